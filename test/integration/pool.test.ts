import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import {
  NoWorkersAvailable,
  PoolClosed,
  type PoolOptions,
  TaskAborted,
  WorkerLost,
  WorkerStartError,
} from '../../src/index.ts';
import {
  isAlive,
  rejection,
  scratchFolder,
  type Trace,
  trace,
  until,
  untilGone,
} from './helpers.ts';
import { late } from './routines/slow-load.ts';
import {
  busy,
  family,
  gate,
  gateThenPid,
  once,
  pid,
  seen,
  untilAborted,
} from './routines/tasks.ts';
import { plus } from './routines/values.ts';
import { isNats, WorkerPool } from './runtime.ts';

const folder = scratchFolder();
const pools: WorkerPool[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close({ grace: 0 })));
});

async function open(options?: PoolOptions): Promise<WorkerPool> {
  const pool = await WorkerPool.open(options);
  pools.push(pool);
  return pool;
}

/** Kills a worker, and waits until the pool knows. */
async function kill(pool: WorkerPool, pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await until(() => expect(pidsOf(pool)).not.toContain(pid));
}

function pidsOf(pool: WorkerPool): number[] {
  return pool.workers.map((worker) => worker.pid as number);
}

describe('WorkerPool.open', () => {
  test('spawns workers with tags, and shows them', async () => {
    const pool = await open({ size: 2, tags: ['gpu', 'big'] });
    expect(pool.workers).toHaveLength(2);
    for (const worker of pool.workers) {
      expect(worker.uid).toMatch(/^[0-9a-v]{16}$/);
      expect(worker.address).toMatch(isNats ? /^nats:\/\// : /^unix:\/\/.*\.sock$/);
      expect(worker.tags).toEqual(['gpu', 'big']);
      expect(worker.inFlight).toBe(0);
      expect(isAlive(worker.pid as number)).toBe(true);
    }
    expect(new Set(pool.workers.map(({ uid }) => uid)).size).toBe(2);
    const file = trace(folder);
    const call = gate.on(pool)(file.path);
    await file.has('start');
    expect(pool.workers.map(({ inFlight }) => inFlight).sort()).toEqual([0, 1]);
    file.open();
    await call;
  });

  test.skipIf(isNats)('reaches its workers over TCP, too', async () => {
    const pool = await open({ size: 1, transport: 'tcp' });
    expect(pool.workers[0]?.address).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+$/);
    expect(await plus.on(pool)(1, 2)).toBe(3);
  });

  test.each<[string, object, RegExp]>([
    ['size', { size: -1 }, /^size must be a whole number, 1 or more, not -1$/],
    ['size', { size: 0 }, /size .* not 0/],
    ['size', { size: 1.5 }, /size .* not 1\.5/],
    ['size', { size: Number.NaN }, /size .* not NaN/],
    ['size', { size: Number.POSITIVE_INFINITY }, /size/],
    ['size', { size: '2' }, /size .* not 2/],
    ['concurrency', { concurrency: 0 }, /concurrency/],
    ['maxQueue', { maxQueue: -1 }, /maxQueue/],
    ['limits.maxValueBytes', { limits: { maxValueBytes: 0 } }, /limits\.maxValueBytes/],
    ['startTimeout', { startTimeout: 0 }, /startTimeout/],
    ['startTimeout', { startTimeout: Number.NaN }, /startTimeout/],
    ['restarts', { restarts: { limit: -1 } }, /restarts\.limit/],
    ['restarts', { restarts: { windowMs: 0 } }, /restarts\.windowMs/],
    ['transport', { transport: 'carrier pigeon' }, /transport .* 'carrier pigeon'/],
    ['tags', { tags: 'gpu' }, /tags/],
    ['loadBalancer', { loadBalancer: {} }, /loadBalancer/],
    ['exposeStacks', { exposeStacks: 'no' }, /^exposeStacks must be true or false, not "no"$/],
    [
      'restarts',
      { restarts: 5 },
      /^restarts must be an object, not 5; it may have limit, windowMs$/,
    ],
    ['restarts', { restarts: null }, /^restarts must be an object, not null/],
    [
      'restarts',
      { restarts: { limits: 5 } },
      /^restarts has no option 'limits'; .* limit, windowMs$/,
    ],
    ['inspect', { inspect: 5 }, /^inspect must be a function/],
    ['inspect', { inspect: null }, /^inspect must be a function/],
    [
      'name',
      { sizee: 1 },
      /^WorkerPool\.open\(options\) has no option 'sizee'; it may have size, discovery/,
    ],
    [
      'object',
      5 as never,
      /^WorkerPool\.open\(options\) must be an object, not 5; it may have size/,
    ],
    ['object', null as never, /must be an object, not null/],
    ['object', [] as never, /must be an object, not an array/],
  ])('refuses a wrong %s: %j', async (_name, options, message) => {
    const error = (await rejection(WorkerPool.open(options as PoolOptions))) as Error;
    expect(error instanceof RangeError || error instanceof TypeError).toBe(true);
    expect(error.message).toMatch(message);
  });

  test('takes an option that is undefined for one that is not there', async () => {
    const options = { size: 1, tags: undefined, loadBalancer: undefined, maxQueue: undefined };
    const pool = await open(options as unknown as PoolOptions);
    expect(await plus.on(pool)(1, 2)).toBe(3);
    expect(pool.workers[0]?.tags).toEqual([]);
  });

  test.skipIf(isNats).each([
    ['does not exist', () => join(folder, 'nowhere'), 'ENOENT'],
    ['has too long a path', () => join(folder, 'x'.repeat(100)), 'too long'],
  ])('says what to do when the folder for sockets %s', async (_what, place, why) => {
    const { TMPDIR } = process.env;
    try {
      process.env.TMPDIR = place();
      const error = (await rejection(WorkerPool.open({ size: 1 }))) as Error;
      expect(error).toBeInstanceOf(WorkerStartError);
      expect(error.message).toContain(place());
      expect(error.message).toContain(why);
      expect(error.message).toContain("set TMPDIR to another folder, or use transport: 'tcp'");
      expect(await rejection(plus(1, 2))).toMatchObject({ code: 'NO_POOL' });
      const pool = await open({ size: 1, transport: 'tcp' });
      expect(await plus.on(pool)(1, 2)).toBe(3);
    } finally {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
    }
  });

  test('fails when a worker does not come up in time, and leaves nothing', async () => {
    const error = (await rejection(WorkerPool.open({ size: 2, startTimeout: 1 }))) as Error;
    expect(error).toBeInstanceOf(WorkerStartError);
    expect(error).toMatchObject({ code: 'WORKER_START' });
    expect(error.message).toContain('did not come up within 1 ms');
    expect(await rejection(plus(1, 2))).toMatchObject({ code: 'NO_POOL' });
  });
});

describe('concurrency', () => {
  test('lets calls wait in the order of their arrival, and no more than maxQueue of them', async () => {
    const pool = await open({ size: 1, concurrency: 1, maxQueue: 3 });
    const file = trace(folder);
    await pool.run(async () => {
      const running = gate(file.path, 'first');
      await file.has('start first');
      const waiting = ['a', 'b', 'c'].map((name) => once(file.path, name));
      await until(() => expect(pool.stats.waiting).toBe(3));
      const error = (await rejection(once(file.path, 'd'))) as Error;
      expect(error).toBeInstanceOf(NoWorkersAvailable);
      expect(error.message).toContain('maxQueue is 3');
      file.open();
      await Promise.all([running, ...waiting]);
    });
    expect(file.lines).toEqual(['start first', 'end first', 'a', 'b', 'c']);
  });

  test('is never exceeded on any worker', async () => {
    const pool = await open({ size: 2, concurrency: 3 });
    const file = trace(folder);
    const calls = Array.from({ length: 20 }, () => gate.on(pool)(file.path));
    await until(() => expect(pool.stats.waiting).toBe(14));
    await file.has('start', 6);
    expect(file.lines).toHaveLength(6);
    file.open();
    await Promise.all(calls);
    expect(file.lines).toHaveLength(40);
  });

  test('does not stop a task from calling routines, though all places are taken', async () => {
    const pool = await open({ size: 2, concurrency: 1 });
    const families = await Promise.all(Array.from({ length: 6 }, () => family.on(pool)(3)));
    for (const { id, children } of families) {
      expect(children.map(({ caller }) => caller)).toEqual([id, id, id]);
    }
  });

  test('a call that waits can be cancelled, and can time out', async () => {
    const pool = await open({ size: 1, concurrency: 1 });
    const [file, other] = [trace(folder), trace(folder)];
    await pool.run(async () => {
      const running = gate(file.path);
      await file.has('start');
      const controller = new AbortController();
      const cancelled = rejection(once.with({ signal: controller.signal })(other.path, 'a'));
      const late = rejection(once.with({ timeout: 100 })(other.path, 'b'));
      const patient = once(other.path, 'c');
      await until(() => expect(pool.stats.waiting).toBe(3));
      controller.abort('no');
      expect(await cancelled).toBe('no');
      expect(await late).toMatchObject({ code: 'DISPATCH_TIMEOUT' });
      expect(pool.stats.waiting).toBe(1);
      file.open();
      await Promise.all([running, patient]);
    });
    expect(other.lines).toEqual(['c']);
  });
});

describe('close()', () => {
  /** A pool of one worker that has one task, which ends when its trace is opened. */
  async function occupied(): Promise<{ pool: WorkerPool; file: Trace; call: Promise<unknown> }> {
    const pool = await open({ size: 1 });
    const file = trace(folder);
    const call = gate.on(pool)(file.path);
    call.catch(() => {});
    await file.has('start');
    return { pool, file, call };
  }

  function expectNothingLeft(pool: WorkerPool): void {
    expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, workers: 0, deadlines: 0 });
    expect(pool.workers).toEqual([]);
  }

  test('leaves no process and no socket', async () => {
    const pool = await open({ size: 2 });
    const pids = pidsOf(pool);
    const sockets = dirname((pool.workers[0]?.address ?? '').slice('unix://'.length));
    expect(existsSync(sockets)).toBe(!isNats);
    await plus.on(pool)(1, 2);
    await pool.close();
    expect(pids.filter(isAlive)).toEqual([]);
    expect(existsSync(sockets)).toBe(false);
    expectNothingLeft(pool);
  });

  test('without a grace time waits for the calls in flight; new ones are refused meanwhile', async () => {
    const { pool, file, call } = await occupied();
    const closed = pool.close();
    const error = await rejection(plus.on(pool)(1, 2));
    expect(error).toBeInstanceOf(PoolClosed);
    expect(isAlive(pidsOf(pool)[0] as number)).toBe(true);
    file.open();
    expect(await call).toBe('gate');
    await closed;
    expectNothingLeft(pool);
  });

  test('with grace 0 cancels the calls in flight at once, and aborts their tasks', async () => {
    const pool = await open({ size: 1 });
    const file = trace(folder);
    const call = rejection(untilAborted.on(pool)(file.path));
    await file.has('start');
    const pids = pidsOf(pool);
    await pool.close({ grace: 0 });
    const error = await call;
    expect(error).toBeInstanceOf(PoolClosed);
    expect(error).toMatchObject({ code: 'POOL_CLOSED' });
    await file.has('aborted');
    expect(pids.filter(isAlive)).toEqual([]);
    expectNothingLeft(pool);
  });

  test('with a grace time cancels those that have not ended by then', async () => {
    const { pool, file, call } = await occupied();
    const other = trace(folder);
    const late = rejection(untilAborted.on(pool)(other.path));
    await other.has('start');
    const closed = pool.close({ grace: 300 });
    file.open();
    expect(await call).toBe('gate');
    expect(await late).toBeInstanceOf(PoolClosed);
    await closed;
    await other.has('aborted');
  });

  test('with a grace time ends when the calls have ended', async () => {
    const { pool, file, call } = await occupied();
    const closed = pool.close({ grace: 1e9 });
    file.open();
    expect(await call).toBe('gate');
    await closed;
  });

  test('ends a worker whose task listens to nothing', async () => {
    const { pool, call } = await occupied();
    const pids = pidsOf(pool);
    await pool.close({ grace: 0 });
    expect(await rejection(call)).toBeInstanceOf(PoolClosed);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test('kills a worker that is stuck in a loop', async () => {
    const pool = await open({ size: 1 });
    await pid.on(pool)();
    const call = rejection(busy.on(pool)(1e9));
    await until(() => expect(pool.workers[0]?.inFlight).toBe(1));
    const pids = pidsOf(pool);
    await pool.close({ grace: 0 });
    expect(await call).toBeInstanceOf(PoolClosed);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test('ends also when its last worker dies meanwhile: calls that wait for one fail', async () => {
    const pool = await open({ size: 1, concurrency: 1 });
    const file = trace(folder);
    const running = rejection(gate.on(pool)(file.path));
    await file.has('start');
    const waiting = rejection(plus.on(pool)(1, 2));
    await until(() => expect(pool.stats.waiting).toBe(1));
    const closed = pool.close();
    process.kill(pidsOf(pool)[0] as number, 'SIGKILL');
    expect(await running).toBeInstanceOf(WorkerLost);
    const error = await waiting;
    expect(error).toBeInstanceOf(PoolClosed);
    expect((error as Error).message).toContain('SIGKILL');
    await closed;
    expectNothingLeft(pool);
  });

  test('may be called twice; both end when all is over', async () => {
    const { pool, file } = await occupied();
    const pids = pidsOf(pool);
    const closed = [pool.close(), pool.close()];
    file.open();
    await Promise.all(closed);
    expect(pids.filter(isAlive)).toEqual([]);
    await pool.close();
    await pool.close({ grace: 5 });
  });

  test('may be called again with a shorter grace time, not with a longer one', async () => {
    for (const graces of [
      [{}, { grace: 0 }],
      [{ grace: 1e9 }, { grace: 50 }],
      [{ grace: 200 }, { grace: 1e9 }, {}],
    ]) {
      const { pool, call } = await occupied();
      await Promise.all(graces.map((options) => pool.close(options)));
      expect(await rejection(call)).toBeInstanceOf(PoolClosed);
    }
  });

  test('refuses a grace time that is none', async () => {
    const pool = await open({ size: 1 });
    for (const grace of [-1, Number.NaN, '5'] as number[]) {
      expect(await rejection(pool.close({ grace }))).toBeInstanceOf(RangeError);
    }
    expect(await plus.on(pool)(1, 2)).toBe(3);
  });

  test('is what `await using` does at the end, and it waits for all calls', async () => {
    const file = trace(folder);
    let call: Promise<unknown>;
    let pids: number[];
    {
      await using pool = await WorkerPool.open({ size: 1 });
      pids = pidsOf(pool);
      call = gate.on(pool)(file.path);
      await file.has('start');
      file.open();
    }
    expect(await call).toBe('gate');
    expect(pids.filter(isAlive)).toEqual([]);
  });
});

describe('a signal to a worker', () => {
  test('SIGTERM aborts its tasks at once; it is replaced', async () => {
    const pool = await open({ size: 1 });
    const file = trace(folder);
    const call = rejection(untilAborted.on(pool)(file.path));
    await file.has('start');
    const [old] = pidsOf(pool) as [number];
    process.kill(old, 'SIGTERM');
    const error = await call;
    expect(error).toBeInstanceOf(TaskAborted);
    expect((error as Error).message).toContain('the worker stopped');
    await file.has('aborted the task was aborted: the worker stopped');
    await untilGone([old]);
    expect(await pid.on(pool)()).not.toBe(old);
  });

  test('SIGTERM sends tasks whose module still loads to another worker', async () => {
    const file = trace(folder);
    process.env.SKEIN_TEST_TRACE = file.path;
    await using pool = await WorkerPool.open({ size: 1 });
    delete process.env.SKEIN_TEST_TRACE;
    const old = pool.workers[0]?.pid as number;
    const call = late.on(pool)();
    await file.has(`loading ${old}`);
    process.kill(old, 'SIGTERM');
    expect(await call).not.toBe(old);
  });

  test('SIGTERM ends it also when its task does not listen', async () => {
    const pool = await open({ size: 1 });
    const file = trace(folder);
    const call = rejection(gate.on(pool)(file.path));
    await file.has('start');
    const [old] = pidsOf(pool) as [number];
    process.kill(old, 'SIGTERM');
    expect(await call).toBeInstanceOf(TaskAborted);
    await untilGone([old]);
  });

  test('SIGINT lets its tasks end; calls go to others meanwhile, and it is replaced', async () => {
    const pool = await open({ size: 2 });
    const file = trace(folder);
    const call = gate.on(pool)(file.path);
    await file.has('start');
    const old = pool.workers.find(({ inFlight }) => inFlight === 1)?.pid as number;
    process.kill(old, 'SIGINT');
    await until(async () => {
      const pids = await Promise.all(Array.from({ length: 4 }, () => pid.on(pool)()));
      expect(pids).not.toContain(old);
    });
    expect(isAlive(old)).toBe(true);
    expect(file.lines).toEqual(['start gate']);
    file.open();
    expect(await call).toBe('gate');
    await untilGone([old]);
    await until(() => expect(pool.workers).toHaveLength(2));
    expect(pidsOf(pool)).not.toContain(old);
  });

  test('SIGINT to all: calls wait for their replacements, and none is lost or runs twice', async () => {
    const pool = await open({ size: 2, restarts: { limit: 0 } });
    const file = trace(folder);
    let over = false;
    let calls = 0;
    const caller = async () => {
      while (!over) {
        calls += 1;
        await once.on(pool)(file.path, `call ${calls}`);
      }
    };
    const callers = Array.from({ length: 8 }, caller);
    for (let round = 0; round < 2; round += 1) {
      const goal = calls + 50;
      await until(() => expect(calls).toBeGreaterThan(goal));
      const pids = await until(() => {
        expect(pool.workers).toHaveLength(2);
        return pidsOf(pool);
      });
      for (const old of pids) process.kill(old, 'SIGINT');
      await untilGone(pids);
    }
    over = true;
    await Promise.all(callers);
    expect(file.lines).toHaveLength(calls);
    expect(new Set(file.lines).size).toBe(calls);
  });

  test('SIGINT to all, while a task goes on: others run meanwhile, and it may call routines itself', async () => {
    const pool = await open({ size: 1 });
    const file = trace(folder);
    const call = gateThenPid.on(pool)(file.path);
    await file.has('start');
    const [old] = pidsOf(pool) as [number];
    process.kill(old, 'SIGINT');
    await until(async () => expect(await pid.on(pool)()).not.toBe(old));
    expect(isAlive(old)).toBe(true);
    file.open();
    expect(typeof (await call)).toBe('number');
    await untilGone([old]);
  });

  test('SIGINT while the pool closes: a task may still call routines, and comes to its end', async () => {
    const pool = await open({ size: 1 });
    const file = trace(folder);
    const call = gateThenPid.on(pool)(file.path);
    await file.has('start');
    const [old] = pidsOf(pool) as [number];
    const closed = pool.close();
    process.kill(old, 'SIGINT');
    file.open();
    expect(await call).toBe(old);
    await closed;
  });
});

describe('a worker that dies', () => {
  test('while it is idle is replaced, and calls go on', async () => {
    const pool = await open({ size: 1, tags: ['kept'] });
    const [before] = pool.workers;
    await plus.on(pool)(1, 2);
    await kill(pool, before?.pid as number);
    expect(await pid.on(pool)()).not.toBe(before?.pid);
    const [after] = pool.workers;
    expect(after?.uid).not.toBe(before?.uid);
    expect(after?.tags).toEqual(['kept']);
  });

  test('too often is not replaced any more: a warning says why, and calls fail with it', async () => {
    const warnings: Error[] = [];
    const listen = (warning: Error) => warnings.push(warning);
    process.on('warning', listen);
    const pool = await open({ size: 1, restarts: { limit: 2, windowMs: 60_000 } });
    const kills = [];
    for (let i = 0; i < 3; i += 1) {
      const one = await pid.on(pool)();
      kills.push(one);
      await kill(pool, one);
    }
    expect(new Set(kills).size).toBe(3);
    const error = (await rejection(plus.on(pool)(1, 2))) as Error;
    expect(error).toBeInstanceOf(WorkerStartError);
    expect(error.message).toMatch(/more than 2 have died within 60000 ms .*SIGKILL.*0 are left/);
    await until(() => expect(warnings).toHaveLength(1));
    process.off('warning', listen);
    expect(warnings[0]).toMatchObject({ name: 'SkeinWarning', message: error.message });
    expect(pool.workers).toEqual([]);
    await pool.close();
  });

  test('too often leaves the others to do the work', async () => {
    const pool = await open({ size: 2, restarts: { limit: 0 } });
    const [gone, left] = pidsOf(pool) as [number, number];
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    process.kill(gone, 'SIGKILL');
    expect((await warned).message).toContain('1 are left');
    const pids = await Promise.all(Array.from({ length: 4 }, () => pid.on(pool)()));
    expect(new Set(pids)).toEqual(new Set([left]));
  });

  test('while calls wait for it: these go to its replacement', async () => {
    const pool = await open({ size: 1, concurrency: 1 });
    const file = trace(folder);
    const running = rejection(gate.on(pool)(file.path));
    await file.has('start');
    const waiting = seen.on(pool)();
    await until(() => expect(pool.stats.waiting).toBe(1));
    const [old] = pidsOf(pool) as [number];
    process.kill(old, 'SIGKILL');
    expect(await running).toBeInstanceOf(WorkerLost);
    expect((await waiting).pid).not.toBe(old);
  });
});
