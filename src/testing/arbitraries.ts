/**
 * Arbitraries for fast-check: clusters, workloads and faults for `Simulation.run`. Public as
 * `skein/testing/arbitraries`.
 *
 * They shrink to cases that people can read: fewer callers, calls and faults first, then times that
 * are small and round, then what is usual in place of what is special.
 */
import fc from 'fast-check';
import type {
  CallPlan,
  ClusterPlan,
  Fault,
  FaultKind,
  Scenario,
  TaskPlan,
  WorkloadPlan,
} from './scenario.ts';

/** How large clusters are at most. */
export interface ClusterConstraints {
  /** Default: 4. */
  readonly maxWorkers?: number;
  /** Default: 3. */
  readonly maxCallers?: number;
}

/** How large tasks are at most. */
export interface TaskConstraints {
  /** Levels of calls that tasks make, below those of the callers. Default: 2. */
  readonly maxDepth?: number;
  /** Milliseconds that a task works, or a generator for each of its values. Default: 500. */
  readonly maxWorkMs?: number;
  /** Bytes of arguments and results. Default: 200,000, which takes several packets. */
  readonly maxBytes?: number;
}

export interface CallConstraints extends TaskConstraints {
  /** Milliseconds between the start of the caller and the call. Default: 3,000. */
  readonly maxAt?: number;
}

export interface WorkloadConstraints extends CallConstraints {
  /** Default: 3. */
  readonly maxCallers?: number;
  /** Calls that each caller makes, without those that its tasks make. Default: 12. */
  readonly maxCalls?: number;
}

export interface FaultConstraints {
  /** Default: 8. */
  readonly maxFaults?: number;
  /** Milliseconds after which all that was broken is whole again. Default: 5,000. */
  readonly maxMs?: number;
  /** Kinds of faults that may strike; those that come first are what a case shrinks to. Default: all. */
  readonly kinds?: readonly FaultKind[];
}

export interface ScenarioConstraints
  extends ClusterConstraints,
    WorkloadConstraints,
    FaultConstraints {}

const ROUND = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000] as const;

/** Milliseconds: any, and those that shrink are round, even where one that is not round is smaller. */
class Moments extends fc.Arbitrary<number> {
  readonly #least: number;
  readonly #most: number;
  readonly #round: readonly number[];

  constructor(least: number, most: number) {
    super();
    this.#least = least;
    this.#most = most;
    this.#round = ROUND.filter((ms) => ms >= least && ms <= most);
  }

  generate(random: fc.Random): fc.Value<number> {
    const way = random.nextInt(0, 5);
    if (way < 3 && this.#round.length > 0) {
      return this.#value(this.#round[random.nextInt(0, this.#round.length - 1)] as number);
    }
    const [least, most] = [Math.ceil(this.#least), Math.floor(this.#most)];
    if (way < 5) return this.#value(random.nextInt(least, most));
    // Where the steps of a call lie close together, tenths matter.
    return this.#value(random.nextInt(least * 10, Math.min(most, 10) * 10) / 10);
  }

  canShrinkWithoutContext(value: unknown): value is number {
    return typeof value === 'number' && value >= this.#least && value <= this.#most;
  }

  shrink(value: number): fc.Stream<fc.Value<number>> {
    const smaller = this.#round.filter((ms) => ms < value);
    const isRound = this.#round.includes(value);
    const larger = isRound ? [] : this.#round.filter((ms) => ms > value);
    const whole = Math.floor(value);
    const cut = isRound || whole === value || whole < this.#least ? [] : [whole];
    return fc.stream([...smaller, ...larger, ...cut].values()).map((ms) => this.#value(ms));
  }

  #value(ms: number): fc.Value<number> {
    return new fc.Value(ms, undefined);
  }
}

function moments(most: number, least = 0): fc.Arbitrary<number> {
  return new Moments(least, Math.max(least, most));
}

/** One of a list, smaller the earlier it stands there. */
function oneOf<T>(list: readonly T[]): fc.Arbitrary<T> {
  return fc.nat(list.length - 1).map((index) => list[index] as T);
}

/** `usual` mostly, and what a case shrinks to. */
function mostly<T>(usual: T, weight: number, other: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof(
    { withCrossShrink: true },
    { weight, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: other },
  );
}

function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

function byTime<T extends { readonly at: number }>(list: readonly T[]): T[] {
  return [...list].sort((a, b) => a.at - b.at);
}

/**
 * Clusters of some workers and callers.
 *
 * @example
 * ```ts
 * fc.asyncProperty(clusters({ maxWorkers: 2 }), fc.integer(), async (cluster, seed) => {
 *   await Simulation.run({ seed, cluster }, async (caller) => { ... });
 * });
 * ```
 */
export function clusters(constraints: ClusterConstraints = {}): fc.Arbitrary<ClusterPlan> {
  const { maxWorkers = 4, maxCallers = 3 } = constraints;
  return record<ClusterPlan>({
    workers: fc.integer({ min: 1, max: maxWorkers }),
    callers: fc.integer({ min: 1, max: maxCallers }),
    concurrency: mostly<number | undefined>(undefined, 2, fc.integer({ min: 1, max: 4 })),
  });
}

/**
 * What the body of a task does: a short function that returns, in the smallest case.
 *
 * @example
 * ```ts
 * fc.sample(tasks({ maxDepth: 0 }), 3);
 * ```
 */
export function tasks(constraints: TaskConstraints = {}): fc.Arbitrary<TaskPlan> {
  const { maxDepth = 2, maxWorkMs = 500, maxBytes = 200_000 } = constraints;
  const nested: fc.Arbitrary<readonly CallPlan[]> =
    maxDepth <= 0
      ? fc.constant([])
      : mostly<readonly CallPlan[]>(
          [],
          3,
          fc.array(calls({ ...constraints, maxDepth: maxDepth - 1, maxAt: 50 }), {
            maxLength: 2,
          }),
        );
  return record<TaskPlan>({
    kind: oneOf(['function', 'generator'] as const),
    workMs: moments(maxWorkMs),
    yields: fc.nat(5),
    outcome: mostly<TaskPlan['outcome']>('return', 5, fc.constant('throw')),
    deaf: mostly(false, 3, fc.constant(true)),
    bytes: mostly(0, 8, fc.oneof(fc.nat(Math.min(maxBytes, 2_000)), fc.nat(maxBytes))),
    nested,
  }).map((task) => (task.kind === 'function' ? { ...task, yields: 0 } : task));
}

/**
 * Calls, and what their callers do with them: one that waits for the outcome, in the smallest case.
 *
 * @example
 * ```ts
 * fc.sample(calls({ maxAt: 0 }), 3);
 * ```
 */
export function calls(constraints: CallConstraints = {}): fc.Arbitrary<CallPlan> {
  const { maxAt = 3_000 } = constraints;
  return record<CallPlan>({
    at: moments(maxAt),
    task: tasks(constraints),
    idempotent: mostly(false, 3, fc.constant(true)),
    timeoutMs: mostly<number | undefined>(undefined, 3, moments(1_000, 1)),
    cancelMs: mostly<number | undefined>(undefined, 4, moments(1_000)),
    take: mostly<number | undefined>(undefined, 3, fc.nat(4)),
    pauseMs: mostly(0, 2, moments(200)),
    retries: mostly(0, 3, fc.integer({ min: 1, max: 2 })),
  }).map(plain);
}

/** A function has no steps that its consumer could pause between, or break off after. */
function plain(call: CallPlan): CallPlan {
  if (call.task.kind === 'generator') return call;
  return { ...call, take: undefined, pauseMs: 0 };
}

/**
 * What all callers do: a list of calls for each of them.
 *
 * @example
 * ```ts
 * fc.asyncProperty(workloads({ maxCallers: 1 }), fc.integer(), async (workload, seed) => {
 *   await Simulation.run({ seed, cluster: { workers: 2, callers: 1 }, workload });
 * });
 * ```
 */
export function workloads(constraints: WorkloadConstraints = {}): fc.Arbitrary<WorkloadPlan> {
  const { maxCallers = 3, maxCalls = 12 } = constraints;
  const list = fc.array(calls(constraints), { maxLength: maxCalls, size: 'max' });
  // With a `minLength` fast-check would not drop callers behind the one that matters.
  return fc
    .array(list.map(byTime), { maxLength: maxCallers, size: 'max' })
    .map((lists) => (lists.length === 0 ? [[]] : lists));
}

/** All kinds of faults, those that are easiest to understand first. */
const KINDS: readonly FaultKind[] = [
  'cut',
  'crash',
  'callerCrash',
  'drain',
  'stop',
  'callerStop',
  'block',
  'callerBlock',
  'halfOpen',
  'lose',
  'duplicate',
  'truncate',
  'slow',
  'callerSlow',
  'jump',
  'flap',
  'ghost',
];

/**
 * Schedules of faults, in the order of their times.
 *
 * @example
 * ```ts
 * fc.asyncProperty(faults({ kinds: ['crash', 'cut'] }), fc.integer(), async (schedule, seed) => {
 *   await Simulation.run({ seed, faults: schedule }, async (caller) => { ... });
 * });
 * ```
 */
export function faults(constraints: FaultConstraints = {}): fc.Arbitrary<readonly Fault[]> {
  const { maxFaults = 8, maxMs = 5_000, kinds = KINDS } = constraints;
  if (kinds.length === 0) return fc.constant([]);
  const byKind = faultsByKind(maxMs * 0.6, maxMs * 0.4);
  const one = fc.oneof({ withCrossShrink: true }, ...kinds.map((kind) => byKind[kind]));
  return fc.array(one, { maxLength: maxFaults, size: 'max' }).map(byTime);
}

type FaultOf<Kind extends FaultKind> = Extract<Fault, { readonly kind: Kind }>;

function faultsByKind(maxAt: number, maxMs: number): Record<FaultKind, fc.Arbitrary<Fault>> {
  const at = moments(maxAt);
  const ms = moments(maxMs, 1);
  const worker = fc.nat(3);
  const caller = fc.nat(2);
  const both = { at, caller, worker };
  const ends = { ...both, nested: mostly(false, 3, fc.constant(true)) };
  const way = oneOf(['toWorker', 'toCaller'] as const);
  const delayMs = moments(100, 1);
  const kind = <Kind extends FaultKind>(name: Kind) => fc.constant(name);
  const packet = <Kind extends 'lose' | 'duplicate' | 'truncate'>(name: Kind) =>
    record<Fault>({ kind: kind(name), ...ends, way } as never);
  return {
    cut: record<FaultOf<'cut'>>({ kind: kind('cut'), ...ends } as never),
    crash: record<FaultOf<'crash'>>({
      kind: kind('crash'),
      at,
      worker,
      ms,
      silent: fc.boolean(),
    }),
    callerCrash: record<FaultOf<'callerCrash'>>({
      kind: kind('callerCrash'),
      at,
      caller,
      silent: fc.boolean(),
    }),
    drain: record<FaultOf<'drain'>>({ kind: kind('drain'), at, worker, ms }),
    stop: record<FaultOf<'stop'>>({ kind: kind('stop'), at, worker, ms }),
    callerStop: record<FaultOf<'callerStop'>>({ kind: kind('callerStop'), at, caller, ms }),
    block: record<FaultOf<'block'>>({ kind: kind('block'), at, worker, ms }),
    callerBlock: record<FaultOf<'callerBlock'>>({ kind: kind('callerBlock'), at, caller, ms }),
    halfOpen: record<FaultOf<'halfOpen'>>({
      kind: kind('halfOpen'),
      ...ends,
      ms,
      way: oneOf(['both', 'toWorker', 'toCaller'] as const),
    } as never),
    lose: packet('lose'),
    duplicate: packet('duplicate'),
    truncate: packet('truncate'),
    slow: record<FaultOf<'slow'>>({ kind: kind('slow'), at, worker, ms, delayMs }),
    callerSlow: record<FaultOf<'callerSlow'>>({
      kind: kind('callerSlow'),
      at,
      caller,
      ms,
      delayMs,
    }),
    jump: record<FaultOf<'jump'>>({
      kind: kind('jump'),
      at,
      worker,
      byMs: fc.oneof(
        moments(10_000),
        moments(10_000).map((by) => (by === 0 ? 0 : -by)),
      ),
    }),
    flap: record<FaultOf<'flap'>>({ kind: kind('flap'), ...both, ms }),
    ghost: record<FaultOf<'ghost'>>({ kind: kind('ghost'), ...both, ms, answered: fc.boolean() }),
  };
}

/**
 * All that `Simulation.run` needs beside a seed. By default 1 to 4 workers, 1 to 3 callers with up to 12
 * calls each, and up to 8 faults within 5 simulated seconds.
 *
 * @example
 * ```ts
 * test('my routines survive what happens to them', async () => {
 *   await fc.assert(
 *     fc.asyncProperty(scenarios(), fc.integer(), async (scenario, seed) => {
 *       await Simulation.run({ seed, ...scenario });
 *     }),
 *   );
 * });
 * ```
 */
export function scenarios(constraints: ScenarioConstraints = {}): fc.Arbitrary<Scenario> {
  return record<Scenario>({
    cluster: clusters({ ...constraints, maxCallers: 1 }),
    workload: workloads(constraints),
    faults: faults(constraints),
  }).map((scenario) => ({
    ...scenario,
    cluster: { ...scenario.cluster, callers: scenario.workload.length },
  }));
}

/**
 * The scenario that a seed stands for: the first of `scenarios(constraints)`.
 *
 * @example
 * ```ts
 * await Simulation.run({ seed, ...scenarioOf(seed) });
 * ```
 */
export function scenarioOf(seed: number, constraints?: ScenarioConstraints): Scenario {
  const property = fc.property(scenarios(constraints), () => true);
  const [[scenario] = []] = fc.sample(property, { seed, numRuns: 1, unbiased: true });
  return scenario as Scenario;
}
