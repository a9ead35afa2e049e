import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  calls,
  clusters,
  faults,
  scenarioOf,
  scenarios,
  tasks,
  workloads,
} from '../../../src/testing/arbitraries.ts';
import type { CallPlan, FaultKind, Scenario } from '../../../src/testing/scenario.ts';

const depth = (list: readonly CallPlan[]): number =>
  list.length === 0 ? 0 : 1 + Math.max(...list.map(({ task }) => depth(task.nested)));

/** The smallest value for which `fails` holds. */
function shrunk<T>(arbitrary: fc.Arbitrary<T>, fails: (value: T) => boolean): T {
  const found = fc.check(
    fc.property(arbitrary, (value) => !fails(value)),
    { seed: 7, numRuns: 1_000 },
  );
  if (found.counterexample === null) throw new Error('nothing was found');
  return found.counterexample[0];
}

test('scenarios stay within their bounds', () => {
  fc.assert(
    fc.property(scenarios(), ({ cluster, workload, faults }) => {
      expect(cluster.workers).toBeGreaterThanOrEqual(1);
      expect(cluster.workers).toBeLessThanOrEqual(4);
      expect(cluster.callers).toBe(workload.length);
      expect(workload.length).toBeLessThanOrEqual(3);
      for (const list of workload) {
        expect(list.length).toBeLessThanOrEqual(12);
        expect(depth(list)).toBeLessThanOrEqual(3);
        expect(list.map(({ at }) => at)).toEqual(list.map(({ at }) => at).sort((a, b) => a - b));
      }
      expect(faults.length).toBeLessThanOrEqual(8);
      for (const fault of faults) {
        expect(fault.at + ('ms' in fault ? fault.ms : 0)).toBeLessThanOrEqual(5_000);
      }
    }),
  );
});

test('a seed stands for a scenario, and shrinking begins with the same', () => {
  const first = (seed: number) => {
    let found: Scenario | undefined;
    const property = fc.property(scenarios(), (scenario) => {
      found ??= scenario;
    });
    fc.check(property, { seed, numRuns: 1, unbiased: true });
    return found;
  };
  for (const seed of [0, 1, -5, 123_456]) expect(first(seed)).toEqual(scenarioOf(seed));
  expect(scenarioOf(3)).toEqual(scenarioOf(3));
  expect(scenarioOf(3)).not.toEqual(scenarioOf(4));
});

test('every kind of fault occurs, and no other when they are restricted', () => {
  const kinds = (arbitrary: ReturnType<typeof faults>) =>
    new Set(
      fc
        .sample(arbitrary, { seed: 1, numRuns: 300 })
        .flatMap((list) => list.map((one) => one.kind)),
    );
  expect(kinds(faults()).size).toBe(17);
  const few: FaultKind[] = ['stop', 'cut'];
  expect([...kinds(faults({ kinds: few }))].sort()).toEqual(['cut', 'stop']);
  expect(kinds(faults({ kinds: [] })).size).toBe(0);
});

test('scenarios are plain data', () => {
  for (const scenario of fc.sample(scenarios(), { seed: 1, numRuns: 50 })) {
    expect(JSON.parse(JSON.stringify(scenario))).toEqual(dropUndefined(scenario));
  }
});

function dropUndefined<T>(value: T): T {
  if (Array.isArray(value)) return value.map(dropUndefined) as T;
  if (typeof value !== 'object' || value === null) return value;
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries.map(([key, one]) => [key, dropUndefined(one)])) as T;
}

describe('shrinks to what people can read', () => {
  const plainCall: CallPlan = {
    at: 0,
    task: {
      kind: 'function',
      workMs: 0,
      yields: 0,
      outcome: 'return',
      deaf: false,
      bytes: 0,
      nested: [],
    },
    idempotent: false,
    timeoutMs: undefined,
    cancelMs: undefined,
    take: undefined,
    pauseMs: 0,
    retries: 0,
  };
  const one = { workers: 1, callers: 1, concurrency: undefined };

  test('anything at all', () => {
    expect(shrunk(clusters(), () => true)).toEqual(one);
    expect(shrunk(tasks(), () => true)).toEqual(plainCall.task);
    expect(shrunk(calls(), () => true)).toEqual(plainCall);
    expect(shrunk(workloads(), () => true)).toEqual([[]]);
    expect(shrunk(faults(), () => true)).toEqual([]);
    expect(shrunk(scenarios(), () => true)).toEqual({ cluster: one, workload: [[]], faults: [] });
  });

  test('a call and a crash', () => {
    const fails = ({ workload, faults }: Scenario) =>
      workload.some((list) => list.length > 0) && faults.some(({ kind }) => kind === 'crash');
    expect(shrunk(scenarios(), fails)).toEqual({
      cluster: one,
      workload: [[plainCall]],
      faults: [{ kind: 'crash', at: 0, worker: 0, ms: 1, silent: false }],
    });
  });

  test('times, to round ones', () => {
    const late = shrunk(calls(), ({ at, task }) => at > 300 && task.workMs >= 40);
    expect(late).toEqual({ ...plainCall, at: 500, task: { ...plainCall.task, workMs: 50 } });
  });

  test('a nested call', () => {
    const found = shrunk(workloads(), (lists) => lists.some((list) => depth(list) === 3));
    const nest = (nested: CallPlan[]) => ({ ...plainCall, task: { ...plainCall.task, nested } });
    expect(found).toEqual([[nest([nest([plainCall])])]]);
  });
});
