/** `Simulation`: runs the runtime, and programs on it, on simulated time in one process. */
import { type Dispatcher, type DispatchTarget, dispatcherOf } from '../routine/dispatcher.ts';
import { defaultLimits, type Limits } from '../transport/link.ts';
import type { Violation } from './checker.ts';
import { check } from './checkers.ts';
import { Clock, type Stop } from './clock.ts';
import { type CallerHost, Cluster } from './cluster.ts';
import { type Counts, count } from './counts.ts';
import { drawFaults } from './draw.ts';
import { SimulationFailure } from './failure.ts';
import { Faults } from './faults.ts';
import { Network } from './network.ts';
import { Observer } from './observer.ts';
import { checkFault, checkOptions, planOf, type SimulationOptions } from './options.ts';
import type { SimulatedProcess } from './process.ts';
import { Random } from './random.ts';
import type { Fault, WorkloadPlan } from './scenario.ts';
import { formatTrace, type Trace } from './trace.ts';
import { performAll } from './workload.ts';

export interface SimulationResult<T> {
  readonly seed: number;
  readonly trace: Trace;
  /** The trace as text, one line for each event. */
  readonly text: string;
  /** Promises of the runtime that were broken. */
  readonly violations: readonly Violation[];
  readonly counts: Counts;
  /** What the program returned for each caller; undefined for callers that crashed. */
  readonly results: readonly (T | undefined)[];
  /** Simulated milliseconds. */
  readonly elapsedMs: number;
}

/**
 * A caller as its program sees it. Calls of the program go to the simulated workers by themselves;
 * `add.on(caller)(1, 2)` says so.
 */
export interface SimulatedCaller extends DispatchTarget {
  /** Counts from 0. */
  readonly index: number;
  /** Simulated milliseconds since the start. */
  readonly now: number;
  /** Writes a line into the trace. */
  note(text: string): void;
  /** Has something go wrong now. */
  strike(fault: Strike): void;
}

type WithoutTime<F> = F extends Fault ? Omit<F, 'at'> : never;

/** A fault that strikes at once. */
export type Strike = WithoutTime<Fault>;

/** What a caller does. Where it waits for time to pass, it uses `sleep` of this package. */
export type Program<T> = (caller: SimulatedCaller) => Promise<T>;

/** Small, so that small values meet what large ones meet on a real link. */
const LIMITS: Limits = {
  ...defaultLimits,
  maxValueBytes: 1024 * 1024,
  windowBytes: 16 * 1024,
  sharedWindowBytes: 4 * 1024,
  inlineBytes: 2 * 1024,
  chunkBytes: 2 * 1024,
  maxBacklogBytes: 16 * 1024,
  maxHeldBytes: 64 * 1024,
  helloTimeoutMs: 2_000,
};

/** Connections that were closed are over after so many milliseconds. */
const CLOSING_MS = 5_000;

/** One simulated run. */
export class Simulation {
  /**
   * Runs `program` for each caller of a simulated cluster, with faults, and holds what happened against
   * what the runtime promises. The proxies, links, sessions and executions are those of the runtime; time,
   * network and processes are simulated, and the seed decides them.
   *
   * Only what is simulated may be waited for: calls of routines, and `sleep`. Modules that make routines
   * must have been imported. All simulated processes share this process's memory.
   *
   * @throws SimulationFailure when a promise of the runtime is broken, or a program rejects or does not end
   * @throws RangeError, TypeError when an option is wrong
   * @example
   * ```ts
   * const add = routine(async (x: number, y: number) => x + y);
   *
   * await Simulation.run({ seed: 7, faults: { count: 5 } }, async () => {
   *   try {
   *     assert.equal(await add(1, 2), 3);
   *   } catch (error) {
   *     assert(error instanceof WorkerLost);
   *   }
   * });
   * ```
   */
  static async run<T = void>(
    options: SimulationOptions,
    program?: Program<T>,
  ): Promise<SimulationResult<T>> {
    return await new Simulation(checkOptions(options, program)).#run(program);
  }

  readonly #options: SimulationOptions;
  readonly #clock = new Clock();
  readonly #observer = new Observer(this.#clock);
  readonly #network: Network;
  readonly #cluster: Cluster;
  readonly #faults: Faults;

  private constructor(options: SimulationOptions) {
    this.#options = options;
    const { seed } = options;
    const plan = planOf(options);
    const clock = this.#clock;
    const observer = this.#observer;
    this.#network = new Network({
      clock,
      random: Random.of(seed, 'network'),
      delayMs: plan.delayMs,
      observer,
    });
    this.#cluster = new Cluster({
      plan,
      backpressure: options.backpressure,
      limits: LIMITS,
      world: { clock, seed, uncaught: (process, error) => this.#uncaught(process, error) },
      network: this.#network,
      observer,
      random: Random.of(seed, 'discovery'),
    });
    this.#faults = new Faults(this.#cluster);
  }

  async #run<T>(program: Program<T> | undefined): Promise<SimulationResult<T>> {
    const { workload = [], graceMs = 20_000, limitMs = 600_000 } = this.#options;
    const faults = this.#drawn();
    this.#cluster.start();
    const runs = this.#cluster.callers.map((caller, index) => {
      const simulated = this.#simulated(caller, index);
      return new Run(caller, program && (() => program(simulated)), workload[index] ?? []);
    });
    this.#faults.schedule(faults);
    const isOver = () => runs.every((run) => run.isOver);
    const isStuck = () => this.#cluster.isAsleep && !isOver();
    const ended = await this.#clock.run(() => isOver() && this.#faults.isOver, limitMs, isStuck);
    this.#faults.heal();
    if (ended === 'done') await this.#end(graceMs);
    const result = this.#result(runs);
    for (const [index, { failure, isOver }] of runs.entries()) {
      if (failure) {
        const at = failure.at.toFixed(3);
        const what = `the program of caller ${index} failed after ${at} simulated ms: ${failure.error}`;
        throw this.#failure(what, result, failure.error);
      }
      if (!isOver) throw this.#failure(unended(index, ended, this.#clock.now), result);
    }
    if (this.#options.check !== false && result.violations.length > 0) {
      throw this.#failure('the runtime broke a promise', result);
    }
    return result;
  }

  #drawn(): readonly Fault[] {
    const { faults = [], seed } = this.#options;
    return 'count' in faults ? drawFaults(seed, faults) : faults;
  }

  #simulated({ process, proxy }: CallerHost, index: number): SimulatedCaller {
    const clock = this.#clock;
    return {
      index,
      get now() {
        return clock.now;
      },
      get [dispatcherOf](): Dispatcher {
        return proxy;
      },
      note: (text) => this.#observer.note(process, { type: 'note', text }),
      strike: (strike) => {
        const fault = { at: clock.now, ...strike } as Fault;
        checkFault('strike(fault)', fault);
        this.#faults.strike(fault);
      },
    };
  }

  /** Lets `ms` milliseconds pass. */
  async #pass(ms: number): Promise<void> {
    let passed = false;
    this.#clock.after(ms, () => {
      passed = true;
    });
    await this.#clock.run(() => passed, Number.POSITIVE_INFINITY);
  }

  /** Looks at what is left when all should be at rest, closes everything, and looks again. */
  async #end(graceMs: number): Promise<void> {
    await this.#pass(graceMs);
    this.#cluster.noteRest();
    let closed = false;
    const closing = this.#cluster.close();
    closing.then(
      () => {
        closed = true;
      },
      (error) => this.#uncaught(undefined, error),
    );
    const ended = await this.#clock.run(() => closed, this.#clock.now + graceMs);
    if (ended !== 'done') {
      this.#uncaught(undefined, `the callers and workers had not closed after ${graceMs} ms`);
    }
    await this.#pass(CLOSING_MS);
    this.#cluster.noteEnd();
  }

  #result<T>(runs: readonly Run<T>[]): SimulationResult<T> {
    const { seed } = this.#options;
    const { trace } = this.#observer;
    return {
      seed,
      trace,
      get text() {
        return formatTrace(trace);
      },
      violations: check(trace),
      counts: count(trace),
      results: runs.map(({ result }) => result),
      elapsedMs: this.#clock.now,
    };
  }

  #failure(
    what: string,
    { seed, trace, violations }: SimulationResult<unknown>,
    cause?: unknown,
  ): SimulationFailure {
    const details = { seed, trace, violations };
    return new SimulationFailure(what, cause === undefined ? details : { ...details, cause });
  }

  #uncaught(process: SimulatedProcess | undefined, error: unknown): void {
    const message = error instanceof Error ? (error.stack ?? String(error)) : String(error);
    this.#observer.note(process, { type: 'uncaught', message });
  }
}

function unended(index: number, why: Stop, now: number): string {
  const what = `the program of caller ${index} has not ended`;
  const at = `${now.toFixed(0)} simulated ms`;
  if (why === 'limit') return `${what} after ${at} (see limitMs)`;
  return (
    `${what}, and since ${at} it has neither a call nor a sleep to wait for: it waits for ever, or for ` +
    'something that is not simulated, such as a real timer (use sleep of skein/testing)'
  );
}

/** What one caller does. */
class Run<T> {
  result: T | undefined;
  failure: { readonly error: unknown; readonly at: number } | undefined;
  readonly #caller: CallerHost;
  #ended = false;

  constructor(
    caller: CallerHost,
    program: (() => Promise<T>) | undefined,
    plans: WorkloadPlan[number],
  ) {
    this.#caller = caller;
    const run = async () => {
      const planned = performAll(plans);
      this.result = await program?.();
      await planned;
    };
    caller.run(run).then(
      () => {
        this.#ended = true;
      },
      (error: unknown) => {
        this.failure = { error, at: caller.now };
      },
    );
  }

  get isOver(): boolean {
    return this.#ended || this.failure !== undefined || this.#caller.process.isDead;
  }
}
