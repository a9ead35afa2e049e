import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LoadBalancer, WorkerView } from '../../src/balancing/balancer.ts';
import { leastLoaded, roundRobin, stickyByTag } from '../../src/balancing/policies.ts';

function workersOf(uids: readonly string[]): (WorkerView & { inFlight: number })[] {
  return uids.map((uid) => ({
    uid,
    address: `memory://${uid}`,
    tags: [],
    inFlight: 0,
    stalled: false,
    capacity: 4,
  }));
}

/** All that the policy yields, best first. */
function order(policy: LoadBalancer, workers: readonly WorkerView[], tag = ''): string[] {
  return [...policy.delegate({ routine: 'module#name', tag }, { workers })];
}

/** The worker that gets the task. */
function choose(policy: LoadBalancer, workers: readonly WorkerView[], tag = ''): string {
  for (const uid of policy.delegate({ routine: 'module#name', tag }, { workers })) return uid;
  throw new Error('nobody was chosen');
}

function count(list: readonly string[]): number[] {
  const counts = new Map<string, number>();
  for (const one of list) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts.values()];
}

function times<T>(n: number, fn: (i: number) => T): T[] {
  return Array.from({ length: n }, (_, i) => fn(i));
}

const uids = fc.uniqueArray(fc.string({ minLength: 16, maxLength: 16 }), {
  minLength: 1,
  maxLength: 8,
});

test('all policies name each worker once', () => {
  const policies = fc.constantFrom(roundRobin, leastLoaded, stickyByTag);
  const tag = fc.constantFrom('', 'a', 'b');
  const loads = fc.array(fc.nat(3), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(policies, uids, tag, loads, fc.nat(10), (make, names, tag, loads, before) => {
      const policy = make();
      const workers = workersOf(names);
      for (const [i, worker] of workers.entries()) worker.inFlight = loads[i] ?? 0;
      for (let i = 0; i < before; i += 1) choose(policy, workers, tag);
      expect(order(policy, workers, tag).sort()).toEqual([...names].sort());
    }),
  );
});

test('round robin and least loaded name those that are stalled last, and sticky by tag stays', () => {
  const stalls = fc.array(fc.boolean(), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(uids, stalls, fc.nat(10), (names, stalls, before) => {
      const workers = workersOf(names).map((worker, i) => ({
        ...worker,
        stalled: stalls[i] ?? false,
      }));
      for (const policy of [roundRobin(), leastLoaded()]) {
        for (let i = 0; i < before; i += 1) choose(policy, workers);
        const named = order(policy, workers);
        const stalled = named.map((uid) => workers.find((worker) => worker.uid === uid)?.stalled);
        expect(stalled).toEqual([...stalled].sort());
      }
      expect(order(stickyByTag(), workers, 'a')).toEqual(
        order(stickyByTag(), workersOf(names), 'a'),
      );
    }),
  );
});

describe('round robin', () => {
  test('gives each worker as many as the others', () => {
    fc.assert(
      fc.property(uids, fc.integer({ min: 1, max: 20 }), (names, rounds) => {
        const policy = roundRobin();
        const workers = workersOf(names);
        const chosen = times(names.length * rounds, () => choose(policy, workers));
        expect(count(chosen)).toEqual(names.map(() => rounds));
      }),
    );
  });

  test('goes on with whoever is there when workers come and go', () => {
    const policy = roundRobin();
    const workers = workersOf(['a', 'b', 'c']);
    times(4, () => choose(policy, workers));
    const left = workers.slice(0, 2);
    expect(count(times(10, () => choose(policy, left)))).toEqual([5, 5]);
    expect(count(times(12, () => choose(policy, workers)))).toEqual([4, 4, 4]);
  });
});

describe('least loaded', () => {
  test('chooses one of those that have the fewest calls, and then by their number', () => {
    const loads = fc.array(fc.nat(4), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(loads, fc.nat(10), (loads, before) => {
        const policy = leastLoaded();
        const workers = workersOf(loads.map((_, i) => `w${i}`));
        for (const [i, worker] of workers.entries()) worker.inFlight = loads[i] ?? 0;
        for (let i = 0; i < before; i += 1) choose(policy, workers);
        const seen = order(policy, workers).map((uid) => loads[Number(uid.slice(1))]);
        expect(seen).toEqual([...loads].sort((a, b) => a - b));
      }),
    );
  });

  test('takes equals in turn', () => {
    const policy = leastLoaded();
    const workers = workersOf(['a', 'b', 'c', 'd']);
    expect(count(times(40, () => choose(policy, workers)))).toEqual([10, 10, 10, 10]);
  });
});

describe('sticky by tag', () => {
  const tags = times(3_000, (i) => `tag ${i}`);
  const names = times(6, (i) => `worker-${i}-${'x'.repeat(8)}`);

  test('sends a tag to the same worker, in whatever order the workers are listed', () => {
    fc.assert(
      fc.property(uids, fc.string({ minLength: 1 }), fc.nat(5), (names, tag, turn) => {
        const turned = [...names.slice(turn), ...names.slice(0, turn)];
        const one = order(stickyByTag(), workersOf(names), tag);
        expect(order(stickyByTag(), workersOf(turned), tag)).toEqual(one);
      }),
    );
  });

  test('moves only the share of a worker that leaves, or comes', () => {
    const all = workersOf(names);
    const rest = all.slice(1);
    const policy = stickyByTag();
    const before = tags.map((tag) => choose(policy, all, tag));
    const after = tags.map((tag) => choose(policy, rest, tag));
    for (const [i, uid] of before.entries()) {
      if (uid !== names[0]) expect(after[i]).toBe(uid);
    }
    // What moves goes to all the others.
    const moved = after.filter((_, i) => before[i] === names[0]);
    expect(count(moved).length).toBe(rest.length);
  });

  test('gives each worker about as many tags as the others', () => {
    const policy = stickyByTag();
    const workers = workersOf(names);
    // 500 each, with a standard deviation of 20: six of these to either side.
    for (const share of count(tags.map((tag) => choose(policy, workers, tag)))) {
      expect(share).toBeGreaterThan(380);
      expect(share).toBeLessThan(620);
    }
  });

  test('tasks without a tag go by the other policy', () => {
    const workers = workersOf(['a', 'b', 'c']);
    const policy = stickyByTag();
    expect(count(times(30, () => choose(policy, workers)))).toEqual([10, 10, 10]);
    const last: LoadBalancer = {
      *delegate(_task, { workers }) {
        yield (workers.at(-1) as WorkerView).uid;
      },
    };
    expect(order(stickyByTag(last), workers)).toEqual(['c']);
  });
});
