import { afterEach, describe, expect, test } from 'vitest';
import {
  type BalancerContext,
  type LoadBalancer,
  LoadBalancerError,
  leastLoaded,
  type PoolWorker,
  roundRobin,
  stickyByTag,
  type TaskView,
} from '../../src/index.ts';
import { rejection, scratchFolder, trace, until } from './helpers.ts';
import { gate, pid, slowlyPid } from './routines/tasks.ts';
import { WorkerPool } from './runtime.ts';

const folder = scratchFolder();
const pools: WorkerPool[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close({ grace: 0 })));
});

async function open(loadBalancer?: LoadBalancer, size = 2): Promise<WorkerPool> {
  const pool = await WorkerPool.open({ size, tags: ['t'], ...(loadBalancer && { loadBalancer }) });
  pools.push(pool);
  return pool;
}

function tally(pids: readonly number[]): number[] {
  const counts = new Map<number, number>();
  for (const one of pids) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts.values()].sort();
}

const times = <T>(count: number, fn: () => T) => Array.from({ length: count }, fn);

test('round robin, the default, gives each worker the same number of calls', async () => {
  for (const pool of await Promise.all([open(), open(roundRobin())])) {
    const oneByOne = [];
    for (let i = 0; i < 20; i += 1) oneByOne.push(await pid.on(pool)());
    expect(tally(oneByOne)).toEqual([10, 10]);
    expect(tally(await Promise.all(times(20, pid.on(pool))))).toEqual([10, 10]);
  }
});

describe('leastLoaded', () => {
  test('leaves the busy worker alone', async () => {
    const pool = await open(leastLoaded());
    const file = trace(folder);
    const long = gate.on(pool)(file.path);
    await file.has('start');
    const idle = pool.workers.find(({ inFlight }) => inFlight === 0)?.pid;
    const pids = [];
    for (let i = 0; i < 10; i += 1) pids.push(await pid.on(pool)());
    expect(new Set(pids)).toEqual(new Set([idle]));
    file.open();
    await long;
  });

  test('shares calls out among equals', async () => {
    const pool = await open(leastLoaded());
    expect(tally(await Promise.all(times(20, pid.on(pool))))).toEqual([10, 10]);
  });
});

describe('stickyByTag', () => {
  test('gives all calls of a tag to one worker, and uses all workers for many tags', async () => {
    const pool = await open(stickyByTag(), 2);
    const homes = new Set<number>();
    await Promise.all(
      times(16, () => 0).map(async (_zero, i) => {
        const pids = await Promise.all(times(4, pid.with({ pool, tag: `tag ${i}` })));
        expect(new Set(pids).size).toBe(1);
        homes.add(pids[0] as number);
      }),
    );
    expect(homes.size).toBe(2);
    expect(tally(await Promise.all(times(10, pid.on(pool))))).toEqual([5, 5]);
  });
});

describe('a balancer of one’s own', () => {
  test('sees routine and tag of the task, and tags and calls in flight of each worker', async () => {
    const seen: { task: TaskView; workers: BalancerContext['workers'][number][] }[] = [];
    const pool = await open({
      *delegate(task, { workers }) {
        seen.push({ task: { ...task }, workers: workers.map((worker) => ({ ...worker })) });
        yield workers[0]?.uid ?? '';
      },
    });
    const file = trace(folder);
    const running = times(2, () => gate.with({ pool, tag: 'blue' })(file.path));
    await file.has('start', 2);
    file.open();
    await Promise.all(running);
    const { uid, address } = pool.workers[0] as PoolWorker;
    expect(seen).toHaveLength(2);
    for (const { task } of seen) {
      expect(task.tag).toBe('blue');
      expect(task.routine).toMatch(/tasks\.ts#gate$/);
    }
    expect(seen[0]?.workers).toHaveLength(2);
    expect(seen[0]?.workers[0]).toEqual({
      uid,
      address,
      tags: ['t'],
      inFlight: 0,
      stalled: false,
      capacity: Number.POSITIVE_INFINITY,
    });
    expect(seen[1]?.workers[0]?.inFlight).toBe(1);
    expect(seen[1]?.workers[1]?.inFlight).toBe(0);
  });

  test('may name workers that are not there; the next one is taken', async () => {
    const pool = await open({
      *delegate(_task, { workers }) {
        yield 'nobody';
        yield workers[1]?.uid ?? '';
      },
    });
    expect(await pid.on(pool)()).toBe(pool.workers[1]?.pid);
  });

  test('that throws fails the call with a LoadBalancerError, its error as the cause', async () => {
    let broken = true;
    const pool = await open({
      delegate(_task, { workers }) {
        if (broken) throw new RangeError('no idea');
        return [workers[0]?.uid ?? ''];
      },
    });
    const error = (await rejection(pid.on(pool)())) as Error;
    expect(error).toBeInstanceOf(LoadBalancerError);
    expect(error).toMatchObject({ code: 'LOAD_BALANCER' });
    expect(error.cause).toBeInstanceOf(RangeError);
    broken = false;
    expect(await pid.on(pool)()).toBe(pool.workers[0]?.pid);
  });

  test.each([
    ['a number', () => [42]],
    ['a worker', (workers: readonly unknown[]) => workers],
    ['nothing iterable', () => undefined],
  ])('that yields %s fails the call with a LoadBalancerError', async (_what, give) => {
    const pool = await open({
      delegate: (_task, { workers }) => give(workers) as unknown as string[],
    });
    const error = (await rejection(pid.on(pool)())) as Error;
    expect(error).toBeInstanceOf(LoadBalancerError);
    expect(error.message).toContain('load balancer');
  });

  test('that only names workers that are not there fails the call with a LoadBalancerError', async () => {
    const pool = await open({ delegate: () => ['nobody'] }, 1);
    expect(await rejection(pid.on(pool)())).toBeInstanceOf(LoadBalancerError);
  });

  test('that yields nothing makes the task wait until a place is free', async () => {
    let closed = false;
    const pool = await open({
      *delegate(_task, { workers }) {
        if (!closed) for (const { uid } of workers) yield uid;
      },
    });
    const file = trace(folder);
    const long = gate.on(pool)(file.path);
    await file.has('start');
    closed = true;
    const waiting = pid.on(pool)();
    await until(() => expect(pool.stats.waiting).toBe(1));
    closed = false;
    file.open();
    await long;
    expect(pool.workers.map((worker) => worker.pid)).toContain(await waiting);
  });

  test('is closed when its generator was not read to the end', async () => {
    let ended = 0;
    const pool = await open({
      *delegate(_task, { workers }) {
        try {
          for (const { uid } of workers) yield uid;
        } finally {
          ended += 1;
        }
      },
    });
    await pid.on(pool)();
    expect(ended).toBe(1);
  });
});

describe('workers that take only so many tasks', () => {
  test('are offered no more, so that a worker that dies costs no more calls', async () => {
    const pool = await WorkerPool.open({ size: 1, concurrency: 2 });
    pools.push(pool);
    const started = trace(folder);
    const calls = times(20, () => rejection(gate(started.path)));
    await started.has('start', 2);
    expect(pool.workers[0]?.inFlight).toBe(2);
    expect(pool.stats.waiting).toBe(18);
    process.kill(pool.workers[0]?.pid as number, 'SIGKILL');
    const lost = await Promise.all(calls.slice(0, 2));
    expect(lost.map((error) => (error as { code?: string }).code)).toEqual([
      'WORKER_LOST',
      'WORKER_LOST',
    ]);
    await until(() => expect(pool.workers.map(({ inFlight }) => inFlight)).toEqual([2]));
    expect(pool.stats).toMatchObject({ calls: 18, waiting: 16 });
    await pool.close({ grace: 0 });
    await Promise.all(calls);
  });

  test('all go on when one of them was replaced while calls waited', async () => {
    const pool = await WorkerPool.open({ size: 2, concurrency: 2 });
    pools.push(pool);
    const [dies, stays] = pool.workers.map((worker) => worker.pid as number);
    let replaced = false;
    const after: number[] = [];
    const call = async () => {
      const at = await slowlyPid(5).catch(() => 0);
      if (replaced) after.push(at);
    };
    const calls = times(1_000, call);
    await until(() => expect(pool.stats.waiting).toBeLessThan(980));
    process.kill(dies as number, 'SIGKILL');
    await until(() => {
      const pids = pool.workers.map((worker) => worker.pid);
      expect(pids).toHaveLength(2);
      expect(pids).not.toContain(dies);
    });
    replaced = true;
    await Promise.all(calls);
    // Each has about half of the rest; one that sits idle has next to nothing.
    const kept = after.filter((pid) => pid === stays).length;
    expect(kept).toBeGreaterThan(after.length / 5);
    expect(kept).toBeLessThan((after.length * 4) / 5);
  });
});
