/** Each call goes to the pool that is bound where it is made, on workers too, and with pools in pools. */
import { afterEach, describe, expect, test } from 'vitest';
import { type PoolOptions, StaticDiscovery } from '../../src/index.ts';
import { rejection, scratchFolder, trace, untilGone } from './helpers.ts';
import { opensAndWaits, opensPool, opensTwo, pidsOfCalls } from './routines/pools.ts';
import { Worker, WorkerPool } from './runtime.ts';

const folder = scratchFolder();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function open(options: PoolOptions): Promise<WorkerPool> {
  const pool = await WorkerPool.open(options);
  cleanups.push(() => pool.close({ grace: 0 }));
  return pool;
}

const pidsOf = (pool: WorkerPool) => pool.workers.map(({ pid }) => pid as number).sort();
const sorted = (pids: Iterable<number | undefined>) => [...new Set(pids)].sort();

test('a task that two pools run has its calls run by the one that runs it', async () => {
  const [one, other] = await Promise.all([open({ size: 2 }), open({ size: 2 })]);
  for (const pool of [one, other, one]) {
    const seen = await pool.run(() => Promise.all([pidsOfCalls(4), pidsOfCalls(4)]));
    expect(sorted(seen.map(({ own }) => own))).toEqual(pidsOf(pool));
    expect(sorted(seen.flatMap(({ children }) => children))).toEqual(pidsOf(pool));
  }
  const both = await one.run(async () => [
    await pidsOfCalls(4),
    await other.run(() => pidsOfCalls(4)),
    await pidsOfCalls.on(other)(4),
    await pidsOfCalls(4),
  ]);
  const places = both.map(({ children }) => sorted(children));
  expect(places).toEqual([pidsOf(one), pidsOf(other), pidsOf(other), pidsOf(one)]);
});

describe('a pool that a task opens', () => {
  test.each<[string, PoolOptions]>([
    ['a pool', { size: 2 }],
    ['a pool of one worker with one place', { size: 1, concurrency: 1 }],
  ])('on a worker of %s has the calls that name it, and no others', async (_what, options) => {
    const pool = await open(options);
    const seen = await opensPool.on(pool)();
    const inner = sorted(seen.workers);
    expect(inner).toHaveLength(2);
    expect(pidsOf(pool)).toContain(seen.own);
    for (const pids of seen.unbound) expect(sorted(pids)).toEqual(pidsOf(pool));
    expect(sorted(seen.run)).toEqual(inner);
    expect(inner).toContain(seen.late);
    expect(sorted(seen.on)).toEqual(inner);
    expect(inner).toContain(seen.below.own);
    expect(sorted(seen.below.children)).toEqual(inner);
    await untilGone(inner as number[]);
  });

  test('in a program with a worker of its own does so, too', async () => {
    const worker = new Worker();
    cleanups.push(() => worker.stop(0));
    const pool = await open({ discovery: new StaticDiscovery([await worker.start()]) });
    const seen = await opensPool.on(pool)();
    expect(seen.own).toBe(process.pid);
    expect(sorted(seen.unbound.flat())).toEqual([process.pid]);
    expect(sorted([...seen.run, ...seen.on, ...seen.below.children])).toEqual(sorted(seen.workers));
  });

  test('beside another one leaves the calls that name none where they were', async () => {
    const pool = await open({ size: 1 });
    const { workers, unbound, nested } = await opensTwo.on(pool)();
    expect(sorted(unbound)).toEqual(pidsOf(pool));
    const [one, other] = workers;
    expect(nested).toEqual([one, other, one]);
  });

  test('ends when its worker is killed', async () => {
    const pool = await open({ size: 1 });
    const file = trace(folder);
    const call = rejection(opensAndWaits.on(pool)(file.path));
    await file.has('inner');
    const inner = Number(file.lines[0]?.split(' ')[1]);
    process.kill(pidsOf(pool)[0] as number, 'SIGKILL');
    expect(await call).toHaveProperty('code', 'WORKER_LOST');
    await untilGone([inner]);
  });
});
