/** What is counted of a run. */
import type { CallRecord, FaultKind } from './history.ts';
import type { ChaosResult } from './run.ts';
import { KINDS } from './workload.ts';

export const OUTCOMES = [
  'result',
  'own error',
  'aborted',
  'timed out',
  'stopped',
  'lost offered',
  'lost running',
  'pool closed',
  'other',
  'hung',
] as const;

/** How a call ended, in one word or two. */
export type OutcomeName = (typeof OUTCOMES)[number];

export const FAULTS = [
  'kill',
  'term',
  'stop',
  'stall',
  'reset',
  'end',
  'hold',
  'sever',
  'partition',
  'delay',
  'throttle',
  'cut',
  'restart',
  'freeze',
  'outage',
] as const satisfies readonly FaultKind[];

export interface Figures {
  readonly calls: number;
  readonly callsPerSecond: number;
  readonly outcomes: Readonly<Record<OutcomeName, number>>;
  /** The outcomes of each kind of call. */
  readonly byKind: Readonly<Record<string, Readonly<Record<OutcomeName, number>>>>;
  /** Tasks that have started. */
  readonly executions: number;
  /** Those of them that were not the first attempt at their task. */
  readonly retriedAttempts: number;
  readonly faults: Readonly<Record<FaultKind, number>>;
  /** Connections that were cut. */
  readonly cuts: number;
  /** Workers that were started after the first ones. */
  readonly restarts: number;
  readonly seconds: number;
  /** What the last call took to end after the last fault was taken back. */
  readonly settleMs: number;
}

export function count({ history, options, workers, elapsedMs, settleMs }: ChaosResult): Figures {
  const { calls, faults, executions } = history;
  const byKind = Object.fromEntries(KINDS.map((kind) => [kind, none(OUTCOMES)]));
  const outcomes = none(OUTCOMES);
  for (const call of calls) {
    const name = nameOf(call);
    outcomes[name] += 1;
    const kind = byKind[call.kind];
    if (kind) kind[name] += 1;
  }
  const byFault = none(FAULTS);
  for (const { kind } of faults) byFault[kind] += 1;
  return {
    calls: calls.length,
    callsPerSecond: calls.length / (elapsedMs / 1000),
    outcomes,
    byKind,
    executions: executions.length,
    retriedAttempts: executions.filter(({ attempt }) => attempt > 1).length,
    faults: byFault,
    cuts: byFault.reset + byFault.end + byFault.cut,
    restarts: workers - options.size,
    seconds: elapsedMs / 1000,
    settleMs,
  };
}

function none<K extends string>(names: readonly K[]): Record<K, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>;
}

function nameOf({ outcome, expected }: CallRecord): OutcomeName {
  if (outcome === undefined) return 'hung';
  if (outcome.type === 'result') return 'result';
  const { name, isReason, phase } = outcome.error;
  if (isReason) return 'aborted';
  if (phase) return `lost ${phase}`;
  if (name === 'DispatchTimeout') return 'timed out';
  if (name === 'TaskAborted') return 'stopped';
  if (name === 'PoolClosed') return 'pool closed';
  return 'error' in expected && expected.error.name === name ? 'own error' : 'other';
}
