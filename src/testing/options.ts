/** What a simulation is told to run. */
import { checkFunction, checkNames } from '../routine/options.ts';
import type { Backpressure } from '../worker/backpressure.ts';
import { type FaultDraw, faultKinds, fieldsOf } from './draw.ts';
import type { ClusterPlan, Fault, FaultKind, WorkloadPlan } from './scenario.ts';

export interface SimulationOptions {
  /** Decides everything that is left to chance: equal options give equal traces. */
  readonly seed: number;
  /** Default: 3 workers, 1 caller. */
  readonly cluster?: Partial<ClusterPlan>;
  /** What each worker asks before it takes a task, as in `PoolOptions`, but a plain function. */
  readonly backpressure?: Backpressure;
  /** Calls of built-in routines that the callers make, beside `program`. Default: none. */
  readonly workload?: WorkloadPlan;
  /** What goes wrong: a list, or how much of it the seed shall draw. Default: nothing. */
  readonly faults?: readonly Fault[] | FaultDraw;
  /**
   * Simulated milliseconds in which everything must have come to rest when the faults are over and the
   * programs have ended. Default: 20,000.
   */
  readonly graceMs?: number;
  /** Simulated milliseconds in which the programs must have ended. Default: 600,000. */
  readonly limitMs?: number;
  /** Whether a broken promise throws; if not, the result lists it. Default: true. */
  readonly check?: boolean;
}

const DEFAULTS = {
  workers: 3,
  callers: 1,
  delayMs: [0.05, 2],
  discoveryMs: [0, 20],
  lostAfterMs: 1_000,
  allowInline: false,
} as const;

/** A cluster plan with nothing left out but the limit that there may not be. */
type Plan = ClusterPlan & Required<Omit<ClusterPlan, 'concurrency'>>;

const OPTIONS = [
  'seed',
  'cluster',
  'backpressure',
  'workload',
  'faults',
  'graceMs',
  'limitMs',
  'check',
];
const CLUSTER = [
  'workers',
  'callers',
  'concurrency',
  'delayMs',
  'discoveryMs',
  'lostAfterMs',
  'allowInline',
];

/** The cluster, with what was left out. */
export function planOf({ cluster = {} }: SimulationOptions): Plan {
  const given = Object.entries(cluster).filter(([, value]) => value !== undefined);
  return { ...DEFAULTS, ...(Object.fromEntries(given) as typeof cluster) } as Plan;
}

/**
 * @throws RangeError when a number is wrong
 * @throws TypeError when an option is not what it should be, or unknown
 */
export function checkOptions(options: SimulationOptions, program: unknown): SimulationOptions {
  checkNames('Simulation.run(options)', options, OPTIONS);
  if (program !== undefined) checkFunction('Simulation.run(options, program)', program);
  const {
    seed,
    cluster = {},
    faults = [],
    workload = [],
    graceMs,
    limitMs,
    backpressure,
  } = options;
  if (!Number.isSafeInteger(seed)) {
    throw new RangeError(`seed must be a whole number, not ${String(seed)}`);
  }
  checkCluster(cluster);
  if (backpressure !== undefined) checkFunction('backpressure', backpressure);
  if (!Array.isArray(workload) || !workload.every(Array.isArray)) {
    throw new TypeError('workload must be a list of calls for each caller');
  }
  checkTime('graceMs', graceMs);
  checkTime('limitMs', limitMs);
  if (!Array.isArray(faults)) checkDraw(faults as FaultDraw);
  else for (const [i, fault] of faults.entries()) checkFault(`faults[${i}]`, fault);
  return options;
}

function checkCluster(cluster: Partial<ClusterPlan>): void {
  checkNames('cluster', cluster, CLUSTER);
  const { workers, callers, concurrency, lostAfterMs, allowInline } = cluster;
  if (allowInline !== undefined && typeof allowInline !== 'boolean') {
    throw new TypeError(`cluster.allowInline must be true or false, not ${String(allowInline)}`);
  }
  checkWhole('cluster.workers', workers, 1);
  checkWhole('cluster.callers', callers, 1);
  checkWhole('cluster.concurrency', concurrency, 1);
  checkTime('cluster.lostAfterMs', lostAfterMs);
  for (const name of ['delayMs', 'discoveryMs'] as const) {
    const range = cluster[name];
    if (range === undefined) continue;
    const [least = -1, most = -1] = Array.isArray(range) ? range : [];
    if (Number.isFinite(most) && least >= 0 && least <= most) continue;
    throw new RangeError(`cluster.${name} must be [least, most] in milliseconds`);
  }
}

function checkDraw(draw: FaultDraw): void {
  checkNames('faults', draw, ['count', 'withinMs', 'kinds']);
  const { count, withinMs, kinds = [] } = draw;
  checkWhole('faults.count', count, 0);
  if (count === undefined) throw new RangeError('faults.count is missing: how many shall strike?');
  checkTime('faults.withinMs', withinMs);
  for (const kind of kinds) checkKind('faults.kinds', kind);
}

/** Also of a fault that strikes at once, which has no time. */
export function checkFault(what: string, fault: Fault): void {
  if (typeof fault !== 'object' || fault === null) throw new TypeError(`${what} must be a fault`);
  checkKind(`${what}.kind`, fault.kind);
  if (!Number.isFinite(fault.at)) {
    throw new RangeError(`${what}.at must be a number of milliseconds, not ${String(fault.at)}`);
  }
  for (const name of fieldsOf(fault.kind)) {
    if (name in fault) continue;
    throw new TypeError(`${what} is of the kind '${fault.kind}', and has no '${name}'`);
  }
  for (const [name, value] of Object.entries(fault)) {
    if (name === 'worker' || name === 'caller') checkWhole(`${what}.${name}`, value, 0);
    if (name === 'ms' || name === 'delayMs') checkTime(`${what}.${name}`, value);
  }
}

function checkKind(what: string, kind: FaultKind): void {
  if (faultKinds.includes(kind)) return;
  throw new TypeError(
    `${what}: there is no fault '${String(kind)}'; it may be ${faultKinds.join(', ')}`,
  );
}

function checkWhole(name: string, value: unknown, least: number): void {
  if (value === undefined || (Number.isInteger(value) && (value as number) >= least)) return;
  throw new RangeError(`${name} must be a whole number, ${least} or more, not ${String(value)}`);
}

function checkTime(name: string, value: unknown): void {
  if (value === undefined || (typeof value === 'number' && value >= 0)) return;
  throw new RangeError(`${name} must be a number of milliseconds, 0 or more, not ${String(value)}`);
}
