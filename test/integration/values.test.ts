/** Every row of the tables in docs/values.md, through a real worker, in each position that a value can take. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { fork, LimitExceeded, SerializationError } from '../../src/index.ts';
import { dispatcherOf } from '../../src/routine/dispatcher.ts';
import * as remote from '../values/routines.ts';
import { check, isPossible, nameOf } from '../values/row.ts';
import { groups, make, makeRefused, refused, refusedExample, row } from '../values/rows/index.ts';
import { moduleUrl, rejection } from './helpers.ts';
import { WorkerPool } from './runtime.ts';

const ROUTINES = moduleUrl('values/routines.ts');

let pool: WorkerPool;
/** Calls that got as far as to ask for a worker. */
let calls = 0;
beforeAll(async () => {
  pool = await WorkerPool.open({
    size: 1,
    inspect({ type, actorRef }) {
      const { logic } = actorRef as { logic?: { config?: { id?: string } } };
      if (type === '@xstate.actor' && logic?.config?.id === 'call') calls += 1;
    },
  });
});
afterAll(() => pool.close());

/** Tries each example, all at the same time; a failure says which it was. */
async function each(names: readonly string[], fn: (name: string) => unknown): Promise<void> {
  const tries = names.map(async (name) => {
    try {
      await fn(name);
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
    }
  });
  await Promise.all(tries);
}

/** What a routine throws, as others give their result. */
async function thrownBy(call: Promise<unknown>): Promise<readonly [unknown]> {
  try {
    await call;
  } catch (error) {
    return [error];
  }
  throw new Error('nothing was thrown');
}

type Position = (type: string, names: readonly string[]) => Promise<void>;

const positions: Record<string, Position> = {
  'as an argument': (type, names) =>
    each(names, async (name) => {
      const value = make(type, name);
      await remote.takeArgument(type, name, value, value);
    }),

  'as a result': (type, names) =>
    each(names, async (name) => check(row(type), name, await remote.giveResult(type, name))),

  'as a yielded value, and the one that a generator returns': async (type, names) => {
    const steps = remote.giveSteps(type, names);
    for (const name of names) {
      const { value, done } = await steps.next();
      strictEqual(done, false);
      check(row(type), name, value);
    }
    const { value, done } = await steps.next();
    strictEqual(done, true);
    check(row(type), names[names.length - 1] as string, value);
  },

  'as the value of next()': async (type, names) => {
    const steps = remote.takeSteps(type, names);
    await steps.next();
    for (const name of names.slice(0, -1)) {
      strictEqual((await steps.next(make(type, name))).done, false);
    }
    const last = make(type, names[names.length - 1] as string);
    deepStrictEqual(await steps.next(last), { value: 'taken', done: true });
  },

  'as the value of return()': (type, names) =>
    each(names, async (name) => {
      const steps = remote.takeReturn();
      await steps.next();
      const { value, done } = await steps.return(make(type, name));
      strictEqual(done, true);
      check(row(type), name, value);
    }),

  'as a thrown value': (type, names) =>
    each(names, async (name) => {
      const [error] = await thrownBy(remote.throwValue(type, name));
      check(row(type), name, error);
    }),

  'as the value of throw()': async (type, names) => {
    const steps = remote.catchSteps(type, names);
    await steps.next();
    for (const name of names.slice(0, -1)) {
      strictEqual((await steps.throw(make(type, name))).done, false);
    }
    const last = make(type, names[names.length - 1] as string);
    deepStrictEqual(await steps.throw(last), { value: 'caught', done: true });
  },

  'as the value of a context variable': (type, names) =>
    each(names, (name) =>
      fork(async () => {
        remote.carrier.set(make(type, name));
        await remote.checkCarried(type, name);
        remote.carrier.set('not the example');
        await remote.setCarried(type, name);
        check(row(type), name, remote.carrier.get());
      }),
    ),

  'inside other values, more than once': (type, names) =>
    each(names, async (name) => {
      const nested = remote.nest(make(type, name));
      remote.checkNested(type, name, await remote.takeNested(type, name, nested));
    }),
};

for (const { title, rows } of groups) {
  for (const one of rows) {
    const name = nameOf(one);
    const examples = Object.keys(one.examples);
    describe.skipIf(!isPossible(one))(`${title}: ${name}:`, () => {
      test.each(Object.keys(positions))('%s', async (position) => {
        await positions[position]?.(name, examples);
      });
    });
  }
}

for (const one of refused.rows) {
  const name = nameOf(one);
  const examples = Object.keys(one.examples);

  /** The error names the place, what stands there, and what to do instead. */
  function checkError(error: unknown, example: string, root: string): void {
    ok(error instanceof SerializationError, String(error));
    const [, path] = refusedExample(name, example);
    if (typeof path === 'string') strictEqual(error.path, root + path);
    else {
      ok(error.path.startsWith(root), error.path);
      match(error.path.slice(root.length), path);
    }
    ok(error.message.startsWith(`${error.path}: `), error.message);
    ok(error.message.includes(one.says), error.message);
    ok(error.message.includes(one.advice), error.message);
  }

  describe.skipIf(!isPossible(one))(`${refused.title}: ${name}:`, () => {
    test('as an argument, which no worker hears of', async () => {
      const before = calls;
      await each(examples, async (example) => {
        const value = makeRefused(name, example);
        checkError(await rejection(remote.touch(value)), example, 'args[0]');
        checkError(await rejection(remote.touch(1, { value })), example, 'args[1].value');
      });
      strictEqual(calls, before);
      strictEqual(await remote.touches(), 0);
      strictEqual(calls, before + 1);
    });

    test('as a result, which fails that call alone', async () => {
      const worker = await remote.worker();
      const open = pool.stats.calls;
      await each(examples, async (example) => {
        const error = await rejection(remote.refusedResult(name, example));
        checkError(error, example, 'result');
        strictEqual(await remote.worker(), worker);
      });
      strictEqual(pool.stats.calls, open);
    });

    test('as a yielded value', async () => {
      await each(examples, async (example) => {
        const steps = remote.refusedStep(name, example);
        checkError(await rejection(steps.next()), example, 'result');
      });
    });

    test('as the value of next(), which fails that step alone', async () => {
      const steps = remote.takeSteps('numbers', ['NaN']);
      await steps.next();
      for (const example of examples) {
        const error = await rejection(steps.next(makeRefused(name, example)));
        checkError(error, example, 'next');
      }
      deepStrictEqual(await steps.next(Number.NaN), { value: 'taken', done: true });
    });

    test('as a thrown value: an error arrives that says so', async () => {
      await each(examples, async (example) => {
        const error = await rejection(remote.refusedThrow(name, example));
        ok(error instanceof SerializationError, String(error));
        ok(error.path.startsWith('thrown'), error.path);
        ok(error.message.startsWith('a value was thrown that cannot travel: thrown'));
        ok(error.message.includes(one.says), error.message);
        ok(error.message.includes(one.advice), error.message);
      });
    });
  });
}

describe('Refused: bytes that no encoder wrote:', () => {
  const routine = { module: ROUTINES, name: 'touch', key: `${ROUTINES}#touch` };

  /** Calls `touch` with arguments that are these bytes, as a faulty client might. */
  async function send(args: string): Promise<unknown> {
    const request = {
      routine,
      generator: false,
      attempts: 1,
      timeoutMs: undefined,
      tag: '',
      caller: '',
      signal: undefined,
    };
    return await pool[dispatcherOf].call(request, Buffer.from(args.replaceAll(' ', ''), 'hex'));
  }

  test.each([
    ['text that is shorter than its length says', '81 7affffffff 61'],
    ['bytes that are', '81 5b0000000100000000 01'],
    ['an array that is', '81 9bffffffffffffffff 01'],
    ['an object that is', '81 baffffffff 616101'],
    ['a Map that is', '81 d90103 baffffffff 0102'],
    ['a Set that is', '81 d90102 9affffffff 01'],
    ['arrays within each other that are', '98ff'.repeat(500)],
    ['an attachment that is not there', '81 d9eb0200'],
    ['an object that is not there', 'd9eb00 81 d9eb0105'],
    ['bytes behind the arguments', '8101 01'],
    ['nothing', ''],
  ])('%s', async (_name, args) => {
    const worker = await remote.worker();
    const error = await rejection(send(args));
    ok(error instanceof SerializationError, String(error));
    match(error.message, /damaged value: /);
    strictEqual(await remote.touches(), 0);
    strictEqual(await remote.worker(), worker);
  });

  test('nesting beyond 1,000 levels', async () => {
    const worker = await remote.worker();
    const error = await rejection(send('81'.repeat(100_000)));
    ok(error instanceof LimitExceeded, String(error));
    strictEqual(error.limit, 'maxDepth');
    strictEqual(await remote.touches(), 0);
    strictEqual(await remote.worker(), worker);
  });
});
