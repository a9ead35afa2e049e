/** What the stacks of errors show, and that they can be left out. */
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { routine } from '../../src/index.ts';
import { moduleUrl, rejection } from './helpers.ts';
import * as errors from './routines/errors.ts';
import { counter } from './routines/generators.ts';
import { withFunction } from './routines/values.ts';
import { WorkerPool } from './runtime.ts';

let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 1 });
});
afterAll(() => pool.close());

async function failed(call: Promise<unknown>): Promise<Error> {
  return (await rejection(call)) as Error;
}

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
  const stackOf = async (call: () => Promise<unknown>) => frames(await failed(outerCaller(call)));
  const caller = [
    'innerCaller (stacks.test.ts)',
    'outerCaller (stacks.test.ts)',
    'rejection (helpers.ts)',
    'failed (stacks.test.ts)',
    'stackOf (stacks.test.ts)',
    'stacks.test.ts',
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
      'consume (stacks.test.ts)',
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
    const error = await failed(errors.aggregate());
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
      'other (stacks.test.ts)',
      caller[0],
    ]);
    expect(stacks[2]).toEqual(stacks[0]);
  });

  test('of the runtime’s own says where it came from', async () => {
    const at = (module: string, name: string) =>
      routine(async () => {}, { name, module: moduleUrl(module) });
    for (const [call, name] of [
      [at('integration/routines/math.ts', 'subtract'), 'subtract'],
      [withFunction, 'withFunction'],
      [at('fixtures/broken/no-such-file.ts', 'add'), 'add'],
    ] as const) {
      const [head, ...rest] = await stackOf(call);
      expect(head).toMatch(/^(?:RoutineNotFound|SerializationError): /);
      expect(rest.slice(0, 2)).toEqual([
        `${name} (worker uid)`,
        expect.stringContaining('stacks.test.ts'),
      ]);
    }
  });

  test('of the runtime’s own on this side is that of the call', async () => {
    const unsent = () => errors.anything(Symbol('unsent'));
    const generated = () => counter(Symbol('unsent') as never, 1).next();
    const late = () => errors.never.with({ timeout: 20 })();
    expect((await stackOf(late)).slice(1, 3)).toEqual(caller.slice(0, 2));
    for (const call of [unsent, generated]) {
      expect((await stackOf(call)).slice(1, 4)).toEqual([
        `${call.name} (stacks.test.ts)`,
        ...caller.slice(0, 2),
      ]);
    }
  });

  test.each(errors.prepareKinds)('where the program %s, breaks no call', async (kind) => {
    const error = await failed(errors.prepared(kind));
    expect(error.message).toBe(kind);
    expect(frames(error).slice(0, 2)).toEqual([`RangeError: ${kind}`, 'prepared (worker uid)']);
  });
});

describe('a pool that leaves stacks out', () => {
  let hidden: WorkerPool;
  beforeAll(async () => {
    hidden = await WorkerPool.open({ size: 2, exposeStacks: false });
  });
  afterAll(() => hidden.close());

  /** Everything that can be seen of what arrived. */
  const all = (value: unknown) =>
    inspect(value, { depth: Number.POSITIVE_INFINITY, showHidden: true, getters: true });

  async function call<T>(fn: () => Promise<T>): Promise<T> {
    return await hidden.run(fn);
  }

  async function failsInAStep() {
    for await (const _ of errors.generator());
  }

  test.each<[string, () => Promise<unknown>, string]>([
    ['a function', errors.deep, 'TypeError: deep'],
    ['causes', errors.chain, 'TypeError: outer'],
    ['inner errors', errors.aggregate, 'AggregateError: both'],
    ['properties', errors.withInner, 'Error: with inner'],
    ['a generator', failsInAStep, 'TypeError: in a generator'],
    ['a nested call', errors.outer, 'TypeError: deep'],
    ['what can’t travel', withFunction, 'SerializationError'],
  ])('shows the caller’s frames alone, in an error of %s', async (_what, fn, head) => {
    const error = (await rejection(call(fn))) as Error;
    const [first, second] = (error.stack as string).split('\n');
    expect(first?.startsWith(head)).toBe(true);
    expect(second).toContain('stacks.test.ts');
    expect(all(error)).not.toMatch(/\(worker |routines\/errors/);
  });

  test('leaves them out in results and yielded values', async () => {
    const result = await call(errors.giving);
    const step = await call(() => errors.yielding().next());
    for (const value of [result, step]) {
      expect(all(value)).toContain('RangeError: given');
      expect(all(value)).not.toContain('routines/errors');
    }
    expect(all(await errors.giving.on(pool)())).toContain('routines/errors');
  });
});
