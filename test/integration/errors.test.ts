import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as skein from '../../src/index.ts';
import {
  MainModuleError,
  RoutineNotFound,
  routine,
  SerializationError,
  SkeinError,
  WorkerPool,
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

/** The stack of an error, with each frame cut down to its function and the name of its file. */
function frames(error: unknown): string[] {
  const [head, ...lines] = ((error as Error).stack as string).split('\n');
  const uid = pool.workers[0]?.uid as string;
  return [
    head as string,
    ...lines.map((line) =>
      line
        .replace(uid, 'uid')
        .replace(/^ +at (?:async )?/, '')
        .replace(/(?:file:)?\/[^()]*\/([\w.-]+):\d+:\d+/, '$1')
        // What has no name, has one on some versions of Node where source maps are on.
        .replace(/^<anonymous> \(([^)]+)\)$/, '$1'),
    ),
  ];
}

describe('the stack of an error', () => {
  async function innerCaller(call: () => Promise<unknown>) {
    await call();
  }
  async function outerCaller(call: () => Promise<unknown>) {
    await innerCaller(call);
  }
  const stackOf = async (call: () => Promise<unknown>) => frames(await failure(outerCaller(call)));
  const caller = [
    'innerCaller (errors.test.ts)',
    'outerCaller (errors.test.ts)',
    'rejection (helpers.ts)',
    'failure (errors.test.ts)',
    'stackOf (errors.test.ts)',
    'errors.test.ts',
  ];

  test('shows the frames of the worker, its uid and the routine, and then the caller', async () => {
    expect((await stackOf(errors.deep)).slice(0, 10)).toEqual([
      'TypeError: deep',
      'deepInside (errors.ts)',
      'errors.ts',
      'deep (worker uid)',
      ...caller,
    ]);
  });

  test('shows the caller of a generator’s step', async () => {
    async function consume() {
      for await (const _ of errors.generator());
    }
    expect((await stackOf(consume)).slice(0, 7)).toEqual([
      'TypeError: in a generator',
      'errors.ts',
      'generator (worker uid)',
      'consume (errors.test.ts)',
      ...caller.slice(0, 3),
    ]);
  });

  test('shows each worker on the way of a nested call, once', async () => {
    expect((await stackOf(errors.outer)).slice(0, 8)).toEqual([
      'TypeError: deep',
      'deepInside (errors.ts)',
      'errors.ts',
      'deep (worker uid)',
      'errors.ts',
      'outer (worker uid)',
      ...caller.slice(0, 2),
    ]);
  });

  test('shows a worker that only passes it on', async () => {
    expect((await stackOf(errors.passesOn)).slice(0, 7)).toEqual([
      'TypeError: deep',
      'deepInside (errors.ts)',
      'errors.ts',
      'deep (worker uid)',
      'passesOn (worker uid)',
      ...caller.slice(0, 2),
    ]);
  });

  test('shows no frames of the runtime in its causes and inner errors, and no worker there', async () => {
    const error = await failure(errors.aggregate());
    for (const one of [error.cause, (error as AggregateError).errors[0]]) {
      expect(frames(one)).toEqual([expect.stringMatching(/^\w+: \w+$/), 'errors.ts']);
    }
  });

  test('is that of its own call, where one error is thrown again and again', async () => {
    async function other() {
      await errors.constant();
    }
    const stacks = [await stackOf(errors.constant), await stackOf(other)];
    stacks.push(await stackOf(errors.constant));
    expect(stacks[0]?.slice(0, 4)).toEqual([
      'Error: constant',
      'errors.ts',
      'constant (worker uid)',
      caller[0],
    ]);
    expect(stacks[1]?.slice(2, 5)).toEqual([
      'constant (worker uid)',
      'other (errors.test.ts)',
      caller[0],
    ]);
    expect(stacks[2]).toEqual(stacks[0]);
  });

  test('of the runtime’s own says where it came from', async () => {
    const missing = elsewhere('integration/routines/math.ts', 'subtract');
    for (const [call, name] of [
      [() => missing(1, 2), 'subtract'],
      [withFunction, 'withFunction'],
      [() => elsewhere('fixtures/broken/no-such-file.ts')(1, 2), 'add'],
    ] as const) {
      const [head, ...rest] = await stackOf(call);
      expect(head).toMatch(/^(?:RoutineNotFound|SerializationError): /);
      expect(rest.slice(0, 2)).toEqual([
        `${name} (worker uid)`,
        expect.stringContaining('errors.test.ts'),
      ]);
    }
  });

  test('of the runtime’s own on this side is that of the call', async () => {
    const late = () => errors.never.with({ timeout: 20 })();
    expect((await stackOf(late)).slice(1, 3)).toEqual(caller.slice(0, 2));
  });

  test.each(errors.prepareKinds)('where the program %s, breaks no call', async (kind) => {
    const error = await failure(errors.prepared(kind));
    expect(error.message).toBe(kind);
    expect(frames(error).slice(0, 2)).toEqual([`RangeError: ${kind}`, 'prepared (worker uid)']);
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
