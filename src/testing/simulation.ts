/** `Simulation`: runs the runtime, or a program on it, on simulated time in one process. */
import { defaultLimits, type Limits } from '../transport/link.ts';
import { check, type Violation } from './checkers.ts';
import { Clock } from './clock.ts';
import { type CallerHost, Cluster } from './cluster.ts';
import { type Counts, count } from './counts.ts';
import { Faults } from './faults.ts';
import { Network } from './network.ts';
import { Observer } from './observer.ts';
import type { SimulatedProcess, World } from './process.ts';
import { Random } from './random.ts';
import type { ClusterPlan, Fault, WorkloadPlan } from './scenario.ts';
import { formatTrace, type Trace } from './trace.ts';
import { performAll } from './workload.ts';

export interface SimulationOptions {
  /** Decides everything that is left to chance. */
  readonly seed: number;
  /** Default: 3 workers, 1 caller. */
  readonly cluster?: Partial<ClusterPlan>;
  /** What the callers do, beside `program`. Default: nothing. */
  readonly workload?: WorkloadPlan;
  /** Default: none. */
  readonly faults?: readonly Fault[];
  /** Simulated milliseconds after the faults, in which everything must come to rest. Default: 60,000. */
  readonly graceMs?: number;
  /** Simulated milliseconds that the whole run may take. Default: 3,600,000. */
  readonly limitMs?: number;
  /** Throws `SimulationFailure` when a promise of the runtime is broken. Default: true. */
  readonly check?: boolean;
}

export interface SimulationResult<T> {
  readonly seed: number;
  readonly trace: Trace;
  /** The trace as text. */
  readonly text: string;
  /** Promises of the runtime that were broken; empty unless `check` is false. */
  readonly violations: readonly Violation[];
  readonly counts: Counts;
  /** What the program returned for each caller; undefined for callers that crashed. */
  readonly results: readonly (T | undefined)[];
  /** Simulated milliseconds. */
  readonly elapsedMs: number;
}

/** Small, so that small values meet what large ones meet on a real link. */
const LIMITS: Limits = {
  ...defaultLimits,
  maxValueBytes: 1024 * 1024,
  windowBytes: 16 * 1024,
  sharedWindowBytes: 4 * 1024,
  inlineBytes: 2 * 1024,
  chunkBytes: 2 * 1024,
  maxBacklogBytes: 64 * 1024,
};

/** A promise of the runtime was broken, or the program failed. */
export class SimulationFailure extends Error {
  override name = 'SimulationFailure';
  readonly seed: number;
  readonly trace: Trace;
  readonly violations: readonly Violation[];

  constructor(
    message: string,
    options: { seed: number; trace: Trace; violations: readonly Violation[]; cause?: unknown },
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.seed = options.seed;
    this.trace = options.trace;
    this.violations = options.violations;
  }
}

/** A caller as a program sees it. */
export type Program<T> = (caller: SimulatedCaller) => Promise<T>;

export interface SimulatedCaller {
  /** Counts from 0. */
  readonly index: number;
  /** Writes a line into the trace. */
  note(text: string): void;
}

export class Simulation {
  static async run<T = void>(
    options: SimulationOptions,
    program?: Program<T>,
  ): Promise<SimulationResult<T>> {
    return await new Simulation(options).#run(program);
  }

  readonly #options: SimulationOptions;
  readonly #clock = new Clock();
  readonly #observer = new Observer(this.#clock);
  readonly #cluster: Cluster;
  readonly #network: Network;

  private constructor(options: SimulationOptions) {
    this.#options = options;
    const { seed } = options;
    const plan = {
      workers: 3,
      callers: 1,
      delayMs: [0.05, 2] as const,
      discoveryMs: [0, 20] as const,
      ...options.cluster,
    };
    const observer = this.#observer;
    const world: World = {
      clock: this.#clock,
      seed,
      uncaught: (process, error) => this.#uncaught(process, error),
    };
    this.#network = new Network({
      clock: this.#clock,
      random: Random.of(seed, 'network'),
      delayMs: plan.delayMs,
      observer,
    });
    this.#cluster = new Cluster({
      plan,
      limits: LIMITS,
      world,
      network: this.#network,
      observer,
      random: Random.of(seed, 'discovery'),
    });
  }

  async #run<T>(program: Program<T> | undefined): Promise<SimulationResult<T>> {
    const { workload = [], faults = [], graceMs = 60_000, limitMs = 3_600_000 } = this.#options;
    const { callers } = this.#cluster;
    const repairs = new Faults(this.#cluster);
    this.#cluster.start();
    const runs = callers.map((caller, i) => new Run(caller, i, program, workload[i] ?? []));
    repairs.schedule(faults);
    const lastFault = Math.max(
      0,
      ...faults.map((fault) => fault.at + ('ms' in fault ? fault.ms : 0)),
    );
    await this.#pass(lastFault);
    repairs.heal();
    const ended = await this.#clock.run(() => runs.every((run) => run.isOver), limitMs);
    if (ended === 'done') await this.#pass(graceMs);
    for (const caller of callers) if (!caller.process.isDead) caller.noteLeft();
    let closed = false;
    void this.#close().then(() => {
      closed = true;
    });
    await this.#clock.run(() => closed, this.#clock.now + graceMs);
    return this.#finish(runs);
  }

  /** Lets `ms` milliseconds pass. */
  async #pass(ms: number): Promise<void> {
    let passed = false;
    this.#clock.after(ms, () => {
      passed = true;
    });
    await this.#clock.run(() => passed, Number.POSITIVE_INFINITY);
  }

  async #close(): Promise<void> {
    await Promise.all(this.#cluster.callers.map((caller) => caller.close()));
    await Promise.all(this.#cluster.workers.map((worker) => worker.stop(0)));
  }

  #finish<T>(runs: readonly Run<T>[]): SimulationResult<T> {
    const { seed } = this.#options;
    const { trace } = this.#observer;
    const violations = check(trace);
    return {
      seed,
      trace,
      get text() {
        return formatTrace(trace);
      },
      violations,
      counts: count(trace),
      results: runs.map(({ result }) => result),
      elapsedMs: this.#clock.now,
    };
  }

  #uncaught(process: SimulatedProcess, error: unknown): void {
    const message = error instanceof Error ? (error.stack ?? String(error)) : String(error);
    this.#observer.note(process, { type: 'uncaught', message });
  }
}

/** What one caller does. */
class Run<T> {
  result: T | undefined;
  failure: { error: unknown } | undefined;
  readonly #caller: CallerHost;
  #ended = false;

  constructor(
    caller: CallerHost,
    index: number,
    program: Program<T> | undefined,
    plans: WorkloadPlan[number],
  ) {
    this.#caller = caller;
    const simulated: SimulatedCaller = { index, note: () => {} };
    const all = caller.run(async () => {
      const planned = performAll(plans);
      this.result = await program?.(simulated);
      await planned;
    });
    all.then(
      () => {
        this.#ended = true;
      },
      (error) => {
        this.#ended = true;
        this.failure = { error };
      },
    );
  }

  get isOver(): boolean {
    return this.#ended || this.#caller.process.isDead;
  }
}
