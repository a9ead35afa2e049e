/** Workers that are asked by a hook before they take a task. What faults do to it: property/backpressure. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  DispatchTimeout,
  fork,
  NoWorkersAvailable,
  PoolClosed,
  type PoolOptions,
  routine,
  TokenUsedError,
  WorkerStartError,
  withDispatch,
} from '../../src/index.ts';
import { moduleUrl, rejection, scratchFolder, trace, until } from './helpers.ts';
import {
  byTag,
  carried,
  family,
  numbers,
  place,
  places,
  refuses,
  rename,
  resetGiven,
  resetKept,
  tenant,
} from './routines/backpressure.ts';
import { WorkerPool } from './runtime.ts';

const folder = scratchFolder();
let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 2, backpressure: byTag });
});
afterAll(() => pool.close({ grace: 0 }));

const uids = () => pool.workers.map(({ uid }) => uid) as [string, string];

describe('a task that one worker refuses', () => {
  test.each([
    ['says so', 'only'],
    ['says so later', 'onlyLater'],
    ['throws', 'onlyElseThrow'],
    ['rejects', 'onlyElseReject'],
  ])('runs on another one, where the hook %s', async (_how, rule) => {
    for (const uid of uids()) {
      const call = place.with({ tag: `${rule}:${uid}` });
      const ran = await Promise.all(Array.from({ length: 20 }, () => call()));
      expect(new Set(ran)).toEqual(new Set([uid]));
    }
  });

  test('runs on another one when it is a generator', async () => {
    for (const uid of uids()) {
      for (const rule of ['only', 'onlyLater']) {
        const ran: unknown[] = [];
        for await (const one of places.with({ tag: `${rule}:${uid}` })(3)) ran.push(one);
        expect(ran).toEqual([uid, uid, uid]);
      }
    }
  });

  test('takes large arguments and a tag for its nested calls with it', async () => {
    for (const uid of uids()) {
      const { own, children } = await withDispatch({ tag: `only:${uid}` }, () => family(10));
      expect(new Set([own, ...children])).toEqual(new Set([uid]));
      const bytes = new Uint8Array(1_000_000);
      const call = place.with({ tag: `only:${uid}` }) as (bytes: Uint8Array) => Promise<string>;
      expect(await call(bytes)).toBe(uid);
    }
  });
});

test('the hook sees the task, in its scope', async () => {
  const file = trace(folder);
  const before = Date.now();
  await place.with({ tag: `note:${file.path}`, timeout: 50_000 })();
  const { id, deadline, worker, ...rest } = JSON.parse(file.lines[0] as string);
  expect(rest).toEqual({
    routine: 'skein/test/integration/routines/backpressure.ts#place',
    attempt: 1,
    tag: `note:${file.path}`,
    inFlight: 0,
    current: id,
    aborted: false,
    frozen: true,
  });
  expect(uids()).toContain(worker);
  expect(deadline).toBeGreaterThan(before + 40_000);
});

describe('the variables of the caller', () => {
  test('are in place where the hook runs, which decides by them', async () => {
    await fork(async () => {
      tenant.set('acme');
      const call = () => place.with({ tag: 'noTenant:acme', timeout: 100 })();
      expect(await rejection(call())).toBeInstanceOf(DispatchTimeout);
      tenant.set('other');
      expect(uids()).toContain(await call());
    });
    expect(uids()).toContain(await place.with({ tag: 'noTenant:acme' })());
  });

  test('are not changed by the hook, and arrive where the task runs in the end', async () => {
    for (const uid of uids()) {
      for (const tag of [`only:${uid}`, `onlyLater:${uid}`, 'noTenant:nobody']) {
        await fork(async () => {
          expect(await rename.with({ tag })('first')).toMatchObject({ before: 'none' });
          expect(tenant.get()).toBe('first');
          expect(await rename.with({ tag })('second')).toMatchObject({ before: 'first' });
          expect(tenant.get()).toBe('second');
        });
      }
    }
  });

  test('a token that was refused somewhere is used where its task runs, once', async () => {
    for (const uid of uids()) {
      await fork(async () => {
        tenant.set('one');
        const token = tenant.set('two');
        expect(await resetGiven.with({ tag: `onlyLater:${uid}` })(token)).toBe('one');
        expect(tenant.get()).toBe('one');
        expect(() => tenant.reset(token)).toThrow(TokenUsedError);
      });
    }
  });

  test('a hook can neither use a token nor keep the right to it', async () => {
    const [here, there] = uids();
    await fork(async () => {
      tenant.set('one');
      const token = tenant.set('two');
      const carrying = carried.set(token);
      // In turn, so that both are asked.
      for (let i = 0; i < 2; i += 1) {
        expect(await place.with({ tag: `onlyElseKeep:${there}` })()).toBe(there);
      }
      carried.reset(carrying);
      expect(await resetKept.with({ tag: `only:${here}` })()).toBe('TokenChainError');
      tenant.reset(token);
      expect(tenant.get()).toBe('one');
    });
  });
});

test('the calls of its own tasks a worker takes unasked', async () => {
  // All others refuse them.
  const { own, children } = await withDispatch({ tag: 'nested' }, () => family(10));
  expect(new Set(children)).toEqual(new Set([own]));
});

describe('a task that all workers refuse', () => {
  test('waits, holds up no others, and runs when one takes it', async () => {
    const file = trace(folder);
    const calls = Array.from({ length: 20 }, () => place.with({ tag: `until:${file.path}` })());
    await until(() => expect(pool.stats.waiting).toBe(20));
    const others = await Promise.all(Array.from({ length: 100 }, () => place()));
    expect(new Set(others)).toEqual(new Set(uids()));
    expect(pool.stats.calls).toBe(20);
    writeFileSync(file.path, '');
    for (const uid of await Promise.all(calls)) expect(uids()).toContain(uid);
    expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, deadlines: 0 });
  });

  test('fails at its timeout, and when its caller gives up', async () => {
    const file = trace(folder);
    const tag = `until:${file.path}`;
    const error = await rejection(place.with({ tag, timeout: 200 })());
    expect(error).toBeInstanceOf(DispatchTimeout);
    expect(String(error)).toContain('it never began, as no worker wanted it');
    const controller = new AbortController();
    const call = rejection(place.with({ tag, signal: controller.signal })());
    await until(() => expect(pool.stats.waiting).toBe(1));
    controller.abort('enough');
    expect(await call).toBe('enough');
    expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, deadlines: 0 });
  });

  test('is refused beyond maxQueue, and ends with the pool', async () => {
    const small = await WorkerPool.open({ size: 1, maxQueue: 1, backpressure: refuses });
    const first = rejection(place.on(small)());
    await until(() => expect(small.stats.waiting).toBe(1));
    // The first one is on its way again now and then; it comes before them all the same.
    for (let i = 0; i < 300; i += 1) {
      const error = await rejection(place.on(small)());
      expect(error).toBeInstanceOf(NoWorkersAvailable);
      expect((error as Error).message).toBe(
        'all workers are full, or do not want the call, and 1 calls wait already (maxQueue is 1)',
      );
    }
    await until(() => expect(small.stats).toMatchObject({ calls: 1, waiting: 1 }));
    await small.close({ grace: 0 });
    expect(await first).toBeInstanceOf(PoolClosed);
  });
});

test('a hook that never says anything is given up with its call', async () => {
  const error = await rejection(place.with({ tag: 'never', timeout: 100 })());
  expect(error).toBeInstanceOf(DispatchTimeout);
  expect(await place()).toBeDefined();
});

describe('WorkerPool.open({ backpressure })', () => {
  const open = (backpressure: unknown) =>
    rejection(WorkerPool.open({ size: 1, backpressure } as PoolOptions));

  // biome-ignore lint/complexity/noStaticOnlyClass: a method is what is refused
  class Hooks {
    static decide() {
      return false;
    }
  }
  routine.method(Hooks, 'decide');

  test.each([
    ['no function', 5, 'must be a routine, made by routine(fn), not 5'],
    [
      'no routine',
      () => false,
      'must be a routine, made by routine(fn) when its module loads, not a plain function',
    ],
    [
      'a routine with options',
      byTag.with({ timeout: 5 }),
      'must be a routine, made by routine(fn) when its module loads, not a plain function',
    ],
    [
      'a function by value',
      routine.inline(() => false),
      'must be a routine that workers import, made by routine(fn), not by value',
    ],
    ['a generator', numbers, 'must be a routine of a function, not of a generator'],
    ['a method', Hooks.decide, 'must be a routine of a function, not of a method'],
  ])('refuses %s', async (_what, hook, message) => {
    expect(await open(hook)).toMatchObject({
      name: 'TypeError',
      message: `backpressure ${message}`,
    });
  });

  test('fails when the workers do not have the hook', async () => {
    const module = moduleUrl('fixtures/gone.ts');
    const error = await open(routine(() => false, { name: 'gone', module }));
    expect(error).toBeInstanceOf(WorkerStartError);
    expect((error as Error).message).toMatch(/the worker can't load .*gone\.ts/);
  });
});
