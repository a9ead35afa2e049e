import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  currentTask,
  isWorker,
  NoPoolError,
  PoolClosed,
  routine,
  withDispatch,
} from '../../src/index.ts';
import { rejection, thrown } from './helpers.ts';
import { pid, seen, tagged } from './routines/tasks.ts';
import {
  byteLength,
  bytes,
  countArgs,
  echo,
  first,
  nothing,
  plus,
  self,
  selfSteps,
  sum,
  tags,
  thenable,
} from './routines/values.ts';
import { WorkerPool } from './runtime.ts';

let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 1, tags: ['one'] });
});
afterAll(() => pool.close());

describe('a routine of a function', () => {
  test('runs on a worker when it is called, with no binding while one pool is open', async () => {
    expect(await pid()).toBe(pool.workers[0]?.pid);
  });

  test('gives a promise also where the function is sync', async () => {
    const promise = plus(1, 2);
    expect(promise).toBeInstanceOf(Promise);
    expect(await promise).toBe(3);
  });

  test('keeps generic types', async () => {
    const text: string | undefined = await first(['a', 'b']);
    expect(text).toBe('a');
  });

  test('awaits a thenable that the function returns', async () => {
    expect(await thenable()).toBe('awaited');
  });

  test('gives undefined where the function returns nothing', async () => {
    expect(await nothing()).toBe(undefined);
  });

  test('takes no arguments, many, and undefined ones', async () => {
    expect(await countArgs()).toBe(0);
    expect(await countArgs(undefined)).toBe(1);
    expect(await countArgs(undefined, undefined, null)).toBe(3);
    const numbers = Array.from({ length: 1_000 }, (_, i) => i);
    expect(await sum(...numbers)).toBe(499_500);
  });

  test('has the name, the length and the plain function of what it was made of', () => {
    expect(plus.name).toBe('plus');
    expect(plus.length).toBe(2);
    expect(plus.local(1, 2)).toBe(3);
  });

  test('runs the plain function here with .local', async () => {
    expect(pid.local()).toBe(process.pid);
    expect(await echo.local('x')).toBe('x');
  });

  test('has no `this` in its body, on a worker as with .local', async () => {
    expect(await self()).toBe('undefined');
    expect(self.local()).toBe('undefined');
    expect((await selfSteps().next()).value).toBe('undefined');
    expect((await selfSteps.local().next()).value).toBe('undefined');
    expect(plus.local.name).toBe(plus.name);
    expect(plus.local.length).toBe(2);
  });

  test('can be called from many places at once', async () => {
    const calls = Array.from({ length: 1_000 }, (_, i) => plus(i, 1));
    expect(await Promise.all(calls)).toEqual(calls.map((_, i) => i + 1));
  });
});

describe('values', () => {
  const shared = { a: 1 };
  const cyclic: { self?: unknown; list: number[] } = { list: [1] };
  cyclic.self = cyclic;
  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['true', true],
    ['0', 0],
    ['-0', -0],
    ['NaN', Number.NaN],
    ['Infinity', Number.NEGATIVE_INFINITY],
    ['a fraction', 0.1],
    ['the largest safe integer', Number.MAX_SAFE_INTEGER],
    ['bigints', [0n, -1n, 2n ** 64n, -(2n ** 100n)]],
    ['strings', ['', 'ä€😀', 'x'.repeat(70_000)]],
    ['an array with holes of undefined', [1, undefined, 3]],
    ['a plain object', { a: 1, b: { c: [undefined] }, 'not-a-name': 2, __proto_: 3 }],
    ['an object without prototype', Object.assign(Object.create(null), { a: 1 })],
    ['a Date', new Date(1e12)],
    ['an invalid Date', new Date(Number.NaN)],
    ['a RegExp', /a+b/giu],
    ['a Map', new Map<unknown, unknown>([[{ key: 1 }, new Set([1])]])],
    ['a Set', new Set(['a', new Map()])],
    ['bytes', new Uint8Array([1, 2, 3])],
    ['an ArrayBuffer', new Uint8Array([1, 2, 3]).buffer],
    ['floats', new Float64Array([1.5, -0])],
    ['an error', new RangeError('out')],
    ['the same object twice', [shared, shared]],
    ['a cycle', cyclic],
  ])('%s comes back as it was', async (_name, value) => {
    expect(await echo(value)).toStrictEqual(value);
  });

  test('shared references and cycles stay what they are', async () => {
    const [one, two] = (await echo([shared, shared])) as object[];
    expect(one).toBe(two);
    const back = (await echo(cyclic)) as typeof cyclic;
    expect(back.self).toBe(back);
  });

  test('8 MiB go there and back', async () => {
    const data = new Uint8Array(8 * 1024 * 1024).fill(7);
    const back = (await echo(data)) as Uint8Array;
    expect(Buffer.compare(back, data)).toBe(0);
    expect(await byteLength(data)).toBe(data.length);
    expect((await bytes(data.length)).length).toBe(data.length);
  });

  test('the arguments are read when the call is made, and not later', async () => {
    const list = [1];
    const call = echo(list);
    list.push(2);
    expect(await call).toEqual([1]);
  });
});

describe('where a call goes', () => {
  test('.on(pool) and .with({ pool }) name the pool, pool.run binds it, also after an await', async () => {
    await using other = await WorkerPool.open({ size: 1 });
    const [here, there] = [pool.workers[0]?.pid, other.workers[0]?.pid];
    expect(await pid.on(other)()).toBe(there);
    expect(await pid.with({ pool })()).toBe(here);
    const bound = await other.run(async () => {
      const before = await pid();
      const inner = await pool.run(() => pid());
      return [before, inner, await pid.on(pool)(), await pid()];
    });
    expect(bound).toEqual([there, here, here, there]);
    expect(await withDispatch({ pool: other }, () => pid())).toBe(there);
    expect(await withDispatch({ pool: other }, () => pid.on(pool)())).toBe(here);
    const error = await rejection(pid());
    expect(error).toBeInstanceOf(NoPoolError);
    expect(error).toMatchObject({ code: 'NO_POOL', message: expect.stringContaining('2 pools') });
    expect((error as Error).message).toContain('pid.on(pool)');
  });

  test('something that is no pool is refused at once', () => {
    expect(thrown(() => pid.on(undefined as never))).toBeInstanceOf(TypeError);
    expect(thrown(() => pid.with({ pool: {} as never }))).toBeInstanceOf(TypeError);
    expect(thrown(() => withDispatch({ pool: {} as never }, () => 1))).toBeInstanceOf(TypeError);
  });

  test('a call after close fails with PoolClosed where the pool is named, else with NoPoolError', async () => {
    const other = await WorkerPool.open({ size: 1 });
    await other.close();
    const error = await rejection(pid.on(other)());
    expect(error).toBeInstanceOf(PoolClosed);
    expect(error).toMatchObject({ code: 'POOL_CLOSED', message: expect.stringContaining("'pid'") });
    expect(await rejection(other.run(() => pid()))).toBeInstanceOf(PoolClosed);
    // The one that is open is again the only one.
    expect(await pid()).toBe(pool.workers[0]?.pid);
  });
});

describe('currentTask()', () => {
  test('tells a task of itself, and stays the same over an await', async () => {
    const before = Date.now();
    const task = await seen.with({ tag: 'blue', timeout: 60_000 })();
    expect(task).toMatchObject({ tag: 'blue', caller: undefined, aborted: false, same: true });
    expect(task.id).toMatch(/^[0-9a-v]{16}-\d+$/);
    expect(task.routine).toBe('skein/test/integration/routines/tasks.ts#seen');
    expect(task.deadline).toBeGreaterThan(before + 30_000);
    expect(task.deadline).toBeLessThan(Date.now() + 61_000);
  });

  test('tells which worker runs it', async () => {
    const task = await seen();
    expect(pool.workers.find(({ uid }) => uid === task.worker)?.pid).toBe(task.pid);
  });

  test('has neither deadline nor tag when the call said none', async () => {
    expect(await seen()).toMatchObject({ tag: undefined, deadline: undefined });
  });

  test('gives each task an id of its own', async () => {
    const tasks = await Promise.all(Array.from({ length: 100 }, () => seen()));
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(100);
  });

  test('is undefined outside of any task', async () => {
    expect(currentTask()).toBe(undefined);
    await seen();
    expect(currentTask()).toBe(undefined);
  });

  test('isWorker is true on a worker, and false at its caller', async () => {
    expect((await seen()).isWorker).toBe(true);
    expect(isWorker).toBe(false);
  });
});

describe('options', () => {
  const known = 'it may have signal, timeout, tag, pool';

  test.each<[unknown, string]>([
    [{ timeuot: 5 }, `has no option 'timeuot'; ${known}`],
    [undefined, `must be an object, not undefined; ${known}`],
    [null, `must be an object, not null; ${known}`],
    [5, `must be an object, not 5; ${known}`],
    ['fast', `must be an object, not "fast"; ${known}`],
  ])('that are wrong are refused at once: %j', (options, message) => {
    const error = thrown(() => plus.with(options as never)) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe(`with(options) ${message}`);
    const around = thrown(() => withDispatch(options as never, () => 1)) as Error;
    expect(around).toBeInstanceOf(TypeError);
    expect(around.message).toBe(`withDispatch(options, fn) ${message}`);
  });

  test('that are undefined are none', async () => {
    const options = { timeout: undefined, signal: undefined, tag: undefined, pool: undefined };
    expect(await plus.with(options as never)(1, 2)).toBe(3);
  });

  test('that are wrong are refused everywhere else, too', async () => {
    expect(thrown(() => withDispatch({}, 5 as never))).toMatchObject({
      name: 'TypeError',
      message: 'withDispatch(options, fn) takes a function, not 5',
    });
    expect(thrown(() => pool.run(null as never))).toMatchObject({
      name: 'TypeError',
      message: 'pool.run(fn) takes a function, not null',
    });
    expect(thrown(() => routine(() => 1, { nmae: 'one' } as never))).toMatchObject({
      name: 'TypeError',
      message:
        "routine(fn, options) has no option 'nmae'; it may have name, module, idempotent, attempts",
    });
    expect(await rejection(pool.close({ grase: 5 } as never))).toMatchObject({
      name: 'TypeError',
      message: "pool.close(options) has no option 'grase'; it may have grace",
    });
  });
});

describe('withDispatch', () => {
  test('gives its options to all calls inside, also after an await', async () => {
    await withDispatch({ tag: 'all', timeout: 50_000 }, async () => {
      const [one, two] = [await seen(), await seen()];
      expect([one.tag, two.tag]).toEqual(['all', 'all']);
      expect(two.deadline).toBeGreaterThan(two.now + 40_000);
    });
    expect((await seen()).tag).toBe(undefined);
  });

  test('nests: what the inner one does not say comes from the outer one', async () => {
    const task = await withDispatch({ tag: 'outer', timeout: 50_000 }, () =>
      withDispatch({ tag: 'inner' }, () => seen()),
    );
    expect(task.tag).toBe('inner');
    expect(task.deadline).toBeLessThan(task.now + 50_001);
    const same = await withDispatch({ tag: 'outer' }, () =>
      withDispatch({ tag: undefined } as never, () => seen()),
    );
    expect(same.tag).toBe('outer');
  });

  test("loses to a call's own options", async () => {
    const task = await withDispatch({ tag: 'around', timeout: 50_000 }, () =>
      seen.with({ tag: 'own', timeout: 500_000 })(),
    );
    expect(task.tag).toBe('own');
    expect(task.deadline).toBeGreaterThan(task.now + 400_000);
  });

  test('holds for the calls of a task on the worker', async () => {
    expect(await tagged()).toBe('inner');
  });

  test('has a tag that nested calls get, too', async () => {
    expect(await withDispatch({ tag: 'outer' }, () => tags())).toEqual(['outer', 'outer']);
    expect(await tags.with({ tag: 'own' })()).toEqual(['own', undefined]);
  });

  test('adds its signal to those around it and to that of the call', async () => {
    for (const which of [0, 1, 2]) {
      const controllers = [0, 1, 2].map(() => new AbortController());
      const [outer, inner, own] = controllers.map(({ signal }) => signal) as [
        AbortSignal,
        AbortSignal,
        AbortSignal,
      ];
      controllers[which]?.abort(`signal ${which}`);
      const call = withDispatch({ signal: outer }, () =>
        withDispatch({ signal: inner }, () => seen.with({ signal: own })()),
      );
      expect(await rejection(call)).toBe(`signal ${which}`);
    }
  });
});

describe('without a pool', () => {
  test('a call fails with an error that names .local', async () => {
    await pool.close();
    const error = await rejection(plus(1, 2));
    expect(error).toBeInstanceOf(NoPoolError);
    expect((error as Error).message).toContain('plus.local(...)');
    expect((error as Error).message).toContain('WorkerPool.open');
    pool = await WorkerPool.open({ size: 1 });
  });

  test('a pool has as many workers as there are CPUs when no size is said', async () => {
    await using many = await WorkerPool.open();
    expect(many.workers.length).toBe(availableParallelism());
  });
});

describe('routine()', () => {
  test('refuses what is no function', () => {
    for (const value of [undefined, null, 1, 'add']) {
      const error = thrown(() => routine(value as never));
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).toContain('takes a function');
    }
  });
});
