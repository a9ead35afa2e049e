import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as skein from '../../src/index.ts';
import {
  MainModuleError,
  RoutineNotFound,
  routine,
  SerializationError,
  SkeinError,
} from '../../src/index.ts';
import { moduleUrl, rejection, scratchFolder, trace, until } from './helpers.ts';
import * as errors from './routines/errors.ts';
import { once, pid } from './routines/tasks.ts';
import {
  echo,
  plus,
  Secret,
  withFunction,
  withInstance,
  withPromise,
  withSymbol,
} from './routines/values.ts';
import { WorkerPool } from './runtime.ts';

const folder = scratchFolder();
let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 1 });
});
afterAll(() => pool.close());

/** What all failures have in common: the worker is the same afterwards, and runs the next call. */
async function failure(call: Promise<unknown>): Promise<Error> {
  const before = pool.workers[0]?.pid;
  const error = await rejection(call);
  expect(await pid()).toBe(before);
  expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, deadlines: 0 });
  return error as Error;
}

describe('an error that a routine throws arrives', () => {
  test.each([
    'Error',
    'EvalError',
    'RangeError',
    'ReferenceError',
    'SyntaxError',
    'TypeError',
    'URIError',
  ])('as the %s that it is', async (name) => {
    const error = await failure(errors.builtIn(name, 'message'));
    const Class = (globalThis as unknown as Record<string, ErrorConstructor>)[name];
    expect(Object.getPrototypeOf(error)).toBe(Class?.prototype);
    expect(error.message).toBe('message');
    expect(error.name).toBe(name);
  });

  test('as a DOMException with its name and code', async () => {
    const error = await failure(errors.dom());
    expect(error).toBeInstanceOf(DOMException);
    expect(error).toMatchObject({ name: 'QuotaExceededError', message: 'too large', code: 22 });
  });

  test('as an AggregateError with its errors', async () => {
    const error = (await failure(errors.aggregate())) as AggregateError;
    expect(error).toBeInstanceOf(AggregateError);
    expect(error.message).toBe('both');
    expect(error.errors[0]).toBeInstanceOf(TypeError);
    expect(error.errors[1]).toBe('two');
  });

  test('with its chain of causes', async () => {
    const error = await failure(errors.chain());
    expect(error).toBeInstanceOf(TypeError);
    const middle = error.cause as Error;
    expect(middle.message).toBe('middle');
    expect(middle.cause).toBeInstanceOf(RangeError);
    expect((middle.cause as Error).cause).toEqual({ plain: 'data' });
  });

  test('with its own properties', async () => {
    const error = await failure(errors.own());
    expect(error).toMatchObject({ code: 'E_OWN', detail: { list: [1, new Date(5)] } });
  });

  test('as an Error with name and properties where the caller does not know its class', async () => {
    const error = await failure(errors.ownClass());
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'HttpError', message: 'status 404', status: 404 });
    expect(error.stack).toMatch(/^HttpError: status 404/);
  });

  test.each(errors.foreignKinds)('with all that it says, where it is %s', async (kind) => {
    const made = await errors.foreignError(kind);
    const error = await failure(errors.throwsForeign(kind));
    expect(error.constructor).toBe(errors.nearestClass(made));
    expect(error.name).toBe(made.name);
    expect(error.message).toBe(made.message);
    expect(Object.keys(error)).toEqual(Object.keys(made));
    expect({ ...error }).toEqual({ ...made });
    for (const key of ['code', 'cause', 'errors', 'error', 'suppressed'] as const) {
      expect(Reflect.get(error, key)).toEqual(Reflect.get(made, key));
    }
    expect(Object.isFrozen(error)).toBe(false);
  });

  test('with a note in place of a property that can’t travel', async () => {
    const error = await failure(errors.withFunction());
    expect(error).toMatchObject({ message: 'has a function', kept: 2 });
    expect((error as unknown as { retry: string }).retry).toMatch(/^\[not sent: /);
  });

  test.each([['text'], [42], [null], [undefined], [{ code: 1 }]])(
    'as what it is where %j was thrown',
    async (value) => {
      expect(await failure(errors.anything(value))).toEqual(value);
    },
  );

  test('as a SerializationError where what was thrown can’t travel', async () => {
    expect(await failure(errors.throwsFunction())).toBeInstanceOf(SerializationError);
  });

  test('from a sync function, a rejected promise and a generator alike', async () => {
    const steps = errors.generator();
    await steps.next();
    for (const [call, message] of [
      [errors.sync, 'sync'],
      [errors.rejects, 'rejects'],
      [() => steps.next(), 'in a generator'],
    ] as const) {
      const error = (await rejection(call())) as Error;
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toBe(message);
    }
  });
});

describe('errors of the runtime', () => {
  test('are SkeinErrors, each with a code of its own', () => {
    type ErrorClass = new (message: string, options: object) => SkeinError;
    const classes = Object.values(skein).filter(
      (value) => typeof value === 'function' && value.prototype instanceof SkeinError,
    ) as unknown as ErrorClass[];
    expect(classes.length).toBeGreaterThanOrEqual(15);
    const codes = new Set<string>();
    for (const Class of classes) {
      const error = new Class('message', {});
      expect(error).toBeInstanceOf(SkeinError);
      expect(error).toBeInstanceOf(Error);
      expect(error.name).toBe(Class.name);
      expect(error.code).toMatch(/^[A-Z]+(?:_[A-Z]+)*$/);
      codes.add(error.code);
    }
    expect(codes.size).toBe(classes.length);
  });

  test('of a class of the user’s keep their code', async () => {
    expect(await failure(errors.ownSkeinError())).toMatchObject({
      name: 'QuotaError',
      code: 'MY_QUOTA',
      message: 'used up',
    });
  });
});

/** A routine of a module that this process does not load. */
function elsewhere(path: string, name = 'add') {
  return routine(async (..._args: number[]): Promise<unknown> => undefined, {
    name,
    module: moduleUrl(path),
  });
}

describe('RoutineNotFound', () => {
  async function notFound(path: string, name?: string): Promise<RoutineNotFound> {
    const one = elsewhere(path, name);
    const error = (await failure(one(1, 2))) as RoutineNotFound;
    expect(error).toBeInstanceOf(RoutineNotFound);
    expect(error.code).toBe('ROUTINE_NOT_FOUND');
    // And again: the first failure left nothing half loaded.
    expect(await failure(one(1, 2))).toBeInstanceOf(RoutineNotFound);
    return error;
  }

  test('where the module is missing', async () => {
    const error = await notFound('fixtures/broken/no-such-file.ts');
    expect(error.message).toContain('no-such-file.ts');
    expect(error.cause).toMatchObject({ code: 'ERR_MODULE_NOT_FOUND' });
  });

  test('where a module that it imports is missing', async () => {
    const error = await notFound('fixtures/broken/missing-import.ts', 'broken');
    expect(error.message).toContain('nowhere.ts');
  });

  test('where the module has a syntax error', async () => {
    const error = await notFound('fixtures/broken/syntax.ts');
    expect(error.message).toContain("can't load");
    expect(error.message).toContain('syntax.ts');
  });

  test('where the module throws while it loads, also for a routine that it made before', async () => {
    const error = await notFound('fixtures/broken/throws.ts', 'early');
    expect(error.cause).toBeInstanceOf(RangeError);
    expect(error.message).toContain('no database');
    expect((error.cause as Error).stack).toContain('throws.ts');
  });

  test('where the module has no such routine; it says which it has', async () => {
    const error = await notFound('integration/routines/math.ts', 'subtract');
    expect(error.message).toContain("no routine 'subtract'");
    expect(error.message).toContain('add, fails, nested, squares, whoAmI');
  });

  test('where the module makes no routines at all', async () => {
    const error = await notFound('integration/helpers.ts');
    expect(error.message).toContain('no routines at all');
  });

  test('where it is a generator on one side, and a function on the other', async () => {
    const error = await notFound('integration/routines/generators.ts', 'counter');
    expect(error.message).toContain('different versions');
  });
});

describe('MainModuleError', () => {
  async function mainAgain(path: string): Promise<Error> {
    const error = (await failure(elsewhere(path)(1, 2))) as MainModuleError;
    expect(error).toBeInstanceOf(MainModuleError);
    expect(error.code).toBe('MAIN_MODULE');
    expect(await failure(elsewhere(path)(1, 2))).toBeInstanceOf(MainModuleError);
    return error;
  }

  test('where the module opens a pool: it says how to guard the main part', async () => {
    const error = await mainAgain('fixtures/broken/opens-pool.ts');
    expect(error.message).toContain('if (!isWorker)');
    expect(error.stack).toContain('opens-pool.ts');
  });

  test('where the module calls a routine while it loads', async () => {
    const error = await mainAgain('fixtures/broken/calls-while-loading.ts');
    expect(error.message).toContain("'add' while it loads");
  });

  test('not where the module opens a pool after it has loaded, but the pool does not open', async () => {
    expect(await elsewhere('fixtures/broken/opens-pool-later.ts')(1, 2)).toBe(3);
    const told = elsewhere('fixtures/broken/opens-pool-later.ts', 'told');
    await until(async () => {
      expect(await told()).toMatch(/^MainModuleError: .*isWorker/);
    });
  });
});

test('calls that come while a module loads wait until it has', async () => {
  const module = moduleUrl('integration/routines/slow-start.ts');
  const early = routine(async () => '', { name: 'early', module });
  let loaded = false;
  const calls = [early().finally(() => (loaded = true))];
  while (!loaded) {
    calls.push(early());
    await pid();
  }
  expect(calls.length).toBeGreaterThan(1);
  expect(new Set(await Promise.all(calls))).toEqual(new Set(['loaded']));
});

describe('SerializationError', () => {
  const loop: { cb?: unknown } = {};
  loop.cb = [loop, { deep: new Map([['key', () => 1]]) }];
  test.each<[string, unknown[], string]>([
    ['a function', [{ cb: () => 1 }], 'args[0].cb'],
    ['a symbol', [1, [Symbol('x')]], 'args[1][0]'],
    ['a promise', [Promise.resolve(1)], 'args[0]'],
    ['an instance of a class', [1, 2, { 'a-b': new Secret() }], 'args[2]["a-b"]'],
    ['a function in a cycle', [loop], 'args[0].cb[1].deep.get("key")'],
  ])(
    'for %s among the arguments: the path is named, no worker is reached',
    async (_what, args, path) => {
      const file = trace(folder);
      const error = (await failure(once(file.path, ...(args as [string])))) as SerializationError;
      expect(error).toBeInstanceOf(SerializationError);
      expect(error.code).toBe('SERIALIZATION');
      const shifted = path.replace(/\d/, (digit) => String(Number(digit) + 1));
      expect(error.path).toBe(shifted);
      expect(error.message).toContain(shifted);
      expect(file.lines).toEqual([]);
    },
  );

  test.each<[string, () => Promise<unknown>, string]>([
    ['a function', withFunction, 'result.list[1].cb'],
    ['a symbol', withSymbol, 'result'],
    ['a promise', withPromise, 'result.later'],
    ['an instance of a class', withInstance, 'result.get("key")'],
  ])('for %s in the result: the path is named', async (_what, call, path) => {
    const error = (await failure(call())) as SerializationError;
    expect(error).toBeInstanceOf(SerializationError);
    expect(error.path).toBe(path);
    expect(error.message).toContain(path);
  });

  test('rejects the call, and does not throw from it', async () => {
    const call = echo(() => 1);
    expect(call).toBeInstanceOf(Promise);
    expect(await rejection(call)).toBeInstanceOf(SerializationError);
    expect(await plus(1, 2)).toBe(3);
  });
});

test.each(errors.unreadableKinds)(
  'an error with %s fails its call, and nothing hangs',
  async (kind) => {
    await expect(errors.throwsUnreadable(kind)).rejects.toBeDefined();
    expect(await pid()).toEqual(expect.any(Number));
  },
);
