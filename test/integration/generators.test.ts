import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DispatchTimeout, PoolClosed, SerializationError, withDispatch } from '../../src/index.ts';
import { rejection, scratchFolder, trace, until } from './helpers.ts';
import {
  badDefault,
  catcher,
  counter,
  delegating,
  empty,
  failsInTheMiddle,
  gated,
  hanging,
  large,
  nothing,
  parrot,
  pids,
  promises,
  rejected,
  stubborn,
  syncCounter,
  syncParrot,
  uncatching,
  yieldsFunction,
} from './routines/generators.ts';
import { WorkerPool } from './runtime.ts';

const folder = scratchFolder();
let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 1 });
});
afterAll(() => pool.close());

async function collect<T>(steps: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const step of steps) all.push(step);
  return all;
}

describe.each([
  ['an async generator', counter],
  ['a sync generator', syncCounter],
])('%s', (_kind, count) => {
  test('gives its values one after the other, and its return value last', async () => {
    const file = trace(folder);
    expect(await collect(count(file.path, 3))).toEqual([0, 1, 2]);
    const steps = count(file.path, 1);
    expect(await steps.next()).toEqual({ value: 0, done: false });
    expect(await steps.next()).toEqual({ value: 'done', done: true });
    expect(await steps.next()).toEqual({ value: undefined, done: true });
  });

  test('runs its finally on the worker when the consumer breaks', async () => {
    const file = trace(folder);
    for await (const i of count(file.path, 1_000)) if (i === 2) break;
    expect(file.lines.at(-1)).toBe('finally');
    expect(pool.stats.calls).toBe(0);
  });

  test('runs its finally when the consumer throws, and the error is the consumer’s', async () => {
    const file = trace(folder);
    const consume = async () => {
      for await (const i of count(file.path, 1_000)) throw new Error(`at ${i}`);
    };
    expect(await rejection(consume())).toMatchObject({ message: 'at 0' });
    expect(file.lines.at(-1)).toBe('finally');
  });

  test('ends with the value of return(), of a promise too', async () => {
    const file = trace(folder);
    const steps = count(file.path, 1_000);
    await steps.next();
    const given = Promise.resolve('given') as unknown as string;
    expect(await steps.return(given)).toEqual({ value: 'given', done: true });
    expect(await steps.next()).toEqual({ value: undefined, done: true });
    expect(file.lines.at(-1)).toBe('finally');
  });

  test('sends nothing before its first next()', async () => {
    const file = trace(folder);
    const before = pool.stats;
    const one = count(file.path, 3);
    const two = count(file.path, 3);
    expect(pool.stats).toEqual(before);
    expect(await one.return('early')).toEqual({ value: 'early', done: true });
    expect(await rejection(two.throw(new Error('early')))).toMatchObject({ message: 'early' });
    expect(await collect(one)).toEqual([]);
    expect(await collect(two)).toEqual([]);
    expect(file.lines).toEqual([]);
  });
});

describe('next(value)', () => {
  test.each([
    ['an async generator', parrot],
    ['a sync generator', syncParrot],
  ])('is what yield gives in %s', async (_kind, talk) => {
    const steps = talk();
    expect(await steps.next('ignored')).toEqual({ value: 'ready', done: false });
    expect(await steps.next('a')).toEqual({ value: 'you said a', done: false });
    expect(await steps.next('')).toEqual({ value: 'you said ', done: false });
    expect(await steps.next(undefined as never)).toEqual({
      value: 'you said undefined',
      done: false,
    });
    expect(await steps.next('stop')).toEqual({ value: 'stopped', done: true });
  });

  test('calls that overlap are served one after the other, in their order', async () => {
    const steps = parrot();
    const results = await Promise.all([
      steps.next('ignored'),
      steps.next('a'),
      steps.next('b'),
      steps.next('stop'),
      steps.next('late'),
      steps.return('later'),
    ]);
    expect(results).toEqual([
      { value: 'ready', done: false },
      { value: 'you said a', done: false },
      { value: 'you said b', done: false },
      { value: 'stopped', done: true },
      { value: undefined, done: true },
      { value: 'later', done: true },
    ]);
  });

  test('a value that can’t travel fails that step alone', async () => {
    const steps = parrot();
    await steps.next('');
    const error = await rejection(steps.next((() => {}) as never));
    expect(error).toBeInstanceOf(SerializationError);
    expect(await steps.next('b')).toEqual({ value: 'you said b', done: false });
    await steps.return('');
  });
});

describe('return()', () => {
  test('of a promise that rejects throws its error into the body', async () => {
    const file = trace(folder);
    const steps = uncatching(file.path);
    await steps.next();
    const error = await rejection(steps.return(Promise.reject(new RangeError('no')) as never));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ message: 'no' });
    expect(file.lines).toEqual(['finally']);
    expect(await steps.next()).toEqual({ value: undefined, done: true });

    const catching = catcher();
    await catching.next();
    const caught = await catching.return(Promise.reject(new TypeError('oh')) as never);
    expect(caught).toEqual({ value: 'TypeError: oh', done: false });
    await catching.return(undefined as never);
  });

  test('of a value that can’t travel fails, and ends the body all the same', async () => {
    const file = trace(folder);
    const steps = uncatching(file.path);
    await steps.next();
    const error = await rejection(steps.return((() => 1) as never));
    expect(error).toBeInstanceOf(SerializationError);
    expect(error).toMatchObject({ path: 'return' });
    expect(file.lines).toEqual(['finally']);
    expect(await steps.next()).toEqual({ value: undefined, done: true });

    const again = stubborn();
    await again.next();
    expect(await rejection(again.return((() => 1) as never))).toBeInstanceOf(SerializationError);
    expect(await again.next()).toEqual({ value: undefined, done: true });
    await until(() => expect(pool.stats.calls).toBe(0));
  });
});

describe('throw()', () => {
  test('is caught by the body, which goes on', async () => {
    const steps = catcher();
    expect((await steps.next()).value).toBe('nothing');
    expect((await steps.throw(new RangeError('one'))).value).toBe('RangeError: one');
    expect((await steps.throw(new TypeError('two'))).value).toBe('TypeError: two');
    expect((await steps.next()).value).toBe('TypeError: two');
    expect(await steps.return(undefined as never)).toEqual({ value: undefined, done: true });
  });

  test('comes back with its type when the body does not catch it, after its finally', async () => {
    const file = trace(folder);
    const steps = uncatching(file.path);
    await steps.next();
    const error = await rejection(steps.throw(new RangeError('thrown in')));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ message: 'thrown in' });
    expect(file.lines).toEqual(['finally']);
    expect(await steps.next()).toEqual({ value: undefined, done: true });
  });
});

describe('a generator', () => {
  test('may yield again in its finally, as generators do', async () => {
    const steps = stubborn();
    await steps.next();
    expect(await steps.return(undefined)).toEqual({ value: 'not yet', done: false });
    expect(await steps.next()).toEqual({ value: undefined, done: true });
  });

  test('that throws in the middle gives its values, then its error, then nothing more', async () => {
    const steps = failsInTheMiddle();
    expect(await steps.next()).toEqual({ value: 1, done: false });
    const error = await rejection(steps.next());
    expect(error).toBeInstanceOf(RangeError);
    expect((error as Error).message).toBe('in the middle');
    expect(await steps.next()).toEqual({ value: undefined, done: true });
  });

  test('may be empty', async () => {
    expect(await collect(empty())).toEqual([]);
  });

  test('may yield undefined', async () => {
    expect(await collect(nothing())).toEqual([undefined, undefined]);
  });

  test('that is sync gives what the promises that it yields give', async () => {
    const steps = promises();
    expect(await collect(steps)).toEqual([1, 'two']);
    const again = promises();
    await again.next();
    await again.next();
    expect(await again.next()).toEqual({ value: 3, done: true });
  });

  test('that is sync fails with what a promise that it yields rejects with', async () => {
    const steps = rejected();
    await steps.next();
    expect(await rejection(steps.next())).toBeInstanceOf(TypeError);
    expect(await steps.next()).toEqual({ value: undefined, done: true });
  });

  test('whose default arguments throw fails at its first step', async () => {
    const error = await rejection(badDefault().next());
    expect(error).toBeInstanceOf(EvalError);
    expect((error as Error).message).toBe('default');
    expect(await collect(badDefault(5))).toEqual([5]);
  });

  test('may yield large values', async () => {
    const length = 3 * 1024 * 1024;
    let i = 0;
    for await (const data of large(4, length)) {
      expect(data.length).toBe(length);
      expect([data[0], data.at(-1)]).toEqual([i, i]);
      i += 1;
    }
    expect(i).toBe(4);
  });

  test('does not run ahead of its consumer', async () => {
    const file = trace(folder);
    const steps = counter(file.path, 10);
    for (const i of [0, 1, 2]) {
      await steps.next();
      // A call that goes there and back after the step: whatever the body did ahead would show.
      await collect(empty());
      expect(file.lines).toEqual(['begin', 'yield 0', 'yield 1', 'yield 2'].slice(0, i + 2));
    }
    await steps.return('');
  });

  test('that yields what can’t travel fails there with the path, and runs its finally', async () => {
    const file = trace(folder);
    const steps = yieldsFunction(file.path);
    await steps.next();
    const error = (await rejection(steps.next())) as SerializationError;
    expect(error).toBeInstanceOf(SerializationError);
    expect(error.path).toBe('result.cb');
    await file.has('finally');
    expect(await steps.next()).toEqual({ value: undefined, done: true });
  });

  test('may hand on the values of another one with yield*', async () => {
    const file = trace(folder);
    expect(await collect(delegating(file.path))).toEqual(['first', 0, 1, 'done']);
    for await (const _value of delegating(file.path)) break;
    expect(file.lines.filter((line) => line === 'finally')).toHaveLength(1);
  });

  test('ends with `await using` as with return()', async () => {
    const file = trace(folder);
    {
      await using steps = counter(file.path, 10);
      await steps.next();
    }
    expect(file.lines.at(-1)).toBe('finally');
  });

  test('is an async generator to look at', () => {
    const steps = empty();
    expect(Object.prototype.toString.call(steps)).toBe('[object AsyncGenerator]');
    expect(steps[Symbol.asyncIterator]()).toBe(steps);
  });

  test('is ended by its signal in the middle of a step: the finally runs when the body can', async () => {
    const file = trace(folder);
    const controller = new AbortController();
    const steps = counter.with({ signal: controller.signal })(file.path, 10);
    await steps.next();
    controller.abort(new Error('enough'));
    expect(await rejection(steps.next())).toMatchObject({ message: 'enough' });
    await file.has('finally');

    const again = new AbortController();
    const stuck = hanging.with({ signal: again.signal })(file.path);
    await stuck.next();
    const step = stuck.next();
    await file.has('hanging');
    again.abort(new Error('stuck'));
    expect(await rejection(step)).toMatchObject({ message: 'stuck' });
    expect(pool.stats.calls).toBe(0);
  });

  test('has its timeout from its first step to its end', async () => {
    const file = trace(folder);
    const steps = hanging.with({ timeout: 1_000 })(file.path);
    await steps.next();
    expect(await rejection(steps.next())).toMatchObject({ code: 'DISPATCH_TIMEOUT' });
  });

  test('ends when its consumer has dropped it, and it is collected', async () => {
    const file = trace(folder);
    const dropIt = async () => {
      await counter(file.path, 10).next();
    };
    await dropIt();
    expect(pool.stats.calls).toBe(1);
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    await until(() => {
      collectGarbage();
      expect(pool.stats.calls).toBe(0);
    });
    await file.has('finally');
    expect(file.lines).toEqual(['begin', 'yield 0', 'finally']);
  });

  test('is ended by close(), which waits for a step that was asked for, and not for the next', async () => {
    const other = await WorkerPool.open({ size: 1 });
    const [suspended, asked] = [trace(folder), trace(folder)];
    const idle = uncatching.on(other)(suspended.path);
    await idle.next();
    const busy = gated.on(other)(asked.path);
    const step = busy.next();
    await asked.has('waiting');
    const closed = other.close();
    expect(await rejection(idle.next())).toBeInstanceOf(PoolClosed);
    await suspended.has('finally');
    asked.open();
    expect(await step).toEqual({ value: 'first', done: false });
    const error = await rejection(busy.next());
    expect(error).toMatchObject({ code: 'POOL_CLOSED' });
    expect((error as Error).message).toContain("the generator 'gated'");
    await closed;
    expect(other.stats).toMatchObject({ calls: 0, workers: 0 });
    expect(await idle.next()).toEqual({ value: undefined, done: true });
  });

  test('leaves nothing behind', async () => {
    await until(() => {
      expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, deadlines: 0 });
      expect(pool.workers.map(({ inFlight }) => inFlight)).toEqual([0]);
    });
  });
});

describe('a generator that is made inside of', () => {
  test('withDispatch has its options, wherever it is consumed', async () => {
    const made = withDispatch({ timeout: 200, tag: 'inside' }, () => pids());
    const error = await rejection(
      (async () => {
        for await (const _ of made);
      })(),
    );
    expect(error).toBeInstanceOf(DispatchTimeout);
  });

  test('pool.run goes to that pool, wherever it is consumed', async () => {
    await using other = await WorkerPool.open({ size: 1 });
    const made = other.run(() => pids());
    expect((await made.next()).value).toBe(other.workers[0]?.pid);
    await made.return();
    // Made outside of everything, it goes where it begins.
    const plain = pids();
    expect((await other.run(() => plain.next())).value).toBe(other.workers[0]?.pid);
    await plain.return();
  });
});
