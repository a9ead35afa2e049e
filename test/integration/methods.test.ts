import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type CallOptions,
  DispatchTimeout,
  NoPoolError,
  RoutineIdentityError,
  SerializationError,
  withDispatch,
} from '../../src/index.ts';
import { rejection } from './helpers.ts';
import {
  Counter,
  callMethod,
  callStatic,
  clear,
  giveStatic,
  Hidden,
  Late,
  Logged,
  logged,
  loggedThere,
  NamedA,
  NamedB,
  Square,
  Static,
  Stepper,
  Stray,
  TaggedInside,
  TaggedOutside,
  Triangle,
} from './routines/methods.ts';
import { WorkerPool } from './runtime.ts';

let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 1 });
});
afterAll(() => pool.close());

const there = () => pool.workers[0]?.pid;

async function all<T>(values: Iterable<T> | AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}

/** What a method that is a routine has beside itself. */
type Extras<F> = F & { with(options: CallOptions): F; on(pool: WorkerPool): F; local: F };

describe('a method of an instance', () => {
  test('runs on a worker, on an instance of the same class', async () => {
    const counter = new Counter(40);
    expect(await counter.add(2)).toEqual({
      count: 42,
      is: true,
      pid: there(),
      routine: 'Counter.prototype.add',
    });
  });

  test('leaves the instance of its caller as it was', async () => {
    const counter = new Counter(1);
    await counter.add(1);
    expect(counter.count).toBe(1);
    const given = await counter.self();
    expect(given).toEqual(counter);
    expect(given).not.toBe(counter);
  });

  test('gives a promise where it is sync', async () => {
    const promise = new Counter(40).plus(2);
    expect(promise).toBeInstanceOf(Promise);
    expect(await promise).toBe(42);
  });

  test('may be a generator, which is given values', async () => {
    const steps = new Counter(0).up(10);
    expect(await steps.next()).toEqual({ done: false, value: 0 });
    expect(await steps.next(5)).toEqual({ done: false, value: 6 });
    expect(await all(steps)).toEqual([7, 8, 9]);
    const end = new Counter(7).up(0);
    expect(await end.next()).toEqual({ done: true, value: 'from 7' });
  });

  test('may be a sync generator', async () => {
    const steps = new Counter(2).down();
    expect(await all(steps)).toEqual([2, 1]);
    const last = await (new Counter(0).down() as unknown as AsyncGenerator).next();
    expect(last).toEqual({
      done: true,
      value: { pid: there(), routine: 'Counter.prototype.down' },
    });
  });

  test('calls other methods of its instance', async () => {
    expect(await new Counter(1).twice(1)).toEqual({ count: 2, pid: there(), own: 1 });
  });

  test('may be private', async () => {
    const hidden = { count: 42, pid: there(), routine: 'Hidden.prototype.#hidden' };
    expect(await new Hidden(40).shown(2)).toEqual(hidden);
    expect(await new Hidden(40).shownWith(2, 10_000)).toEqual(hidden);
  });

  test('throws what its body throws', async () => {
    const error = (await rejection(new Counter(3).fails())) as Error;
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toBe('at 3');
    expect(error.stack).toContain('routines/methods.ts');
    expect(error.stack).toContain('methods.test.ts');
  });

  test('has the options that it is decorated with', async () => {
    expect(await new Counter().named()).toEqual({ pid: there(), routine: 'Counter-named' });
  });

  test('is found where its class is registered by a call, under its name', async () => {
    expect(await new Late().double()).toBe(40);
  });

  test('keeps name and length', () => {
    expect([Counter.prototype.add.name, Counter.prototype.add.length]).toEqual(['add', 1]);
    expect([Counter.from.name, Counter.from.length]).toEqual(['from', 1]);
  });
});

test('an idempotent method survives its worker', async () => {
  await using other = await WorkerPool.open({ size: 1 });
  expect(await other.run(() => new Counter(5).insists())).toEqual([5, 2]);
});

test('without a pool to choose, an error says how a method names one', async () => {
  await using _other = await WorkerPool.open({ size: 1 });
  const error = await rejection(new Counter().add(1));
  expect(error).toBeInstanceOf(NoPoolError);
  expect(String(error)).toContain('use Counter.prototype.add.on(pool).call(instance, ...)');
  expect(String(await rejection(Static.twice(1)))).toContain('use Static.twice.on(pool)(...)');
});

describe('with options', () => {
  const add = Counter.prototype.add as Extras<Counter['add']>;
  const plus = Counter.prototype.plus as Extras<Counter['plus']>;

  test('a method is called by .call', async () => {
    const counter = new Counter(40);
    expect(await add.with({ timeout: 10_000 }).call(counter, 2)).toMatchObject({ count: 42 });
    expect(await add.on(pool).call(counter, 2)).toMatchObject({ pid: there() });
    const up = Counter.prototype.up as Extras<Counter['up']>;
    expect(await all(up.with({ tag: 'a' }).call(counter, 42))).toEqual([40, 41]);
  });

  test('a time that is up fails the call', async () => {
    const waits = Counter.prototype.waits as Extras<Counter['waits']>;
    const call = waits.with({ timeout: 20 }).call(new Counter(), 2);
    expect(await rejection(call)).toBeInstanceOf(DispatchTimeout);
    const inside = withDispatch({ timeout: 20 }, () => new Counter().waits(2));
    expect(await rejection(inside)).toBeInstanceOf(DispatchTimeout);
  });

  test('.local runs here', async () => {
    const counter = new Counter(40);
    expect(await add.local.call(counter, 2)).toMatchObject({ pid: process.pid });
    expect(counter.count).toBe(42);
    expect(plus.local.call(counter, 1)).toBe(43);
  });

  test('without an instance, an error says how', async () => {
    const unbound = 'instance.add.with(options).call(instance, ...)';
    const error = await rejection(add.with({ timeout: 50 })(1));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain(unbound);
    expect(String(await rejection(add(1)))).toContain(unbound);
    const { up } = new Counter();
    expect(String(await rejection(up(1).next()))).toContain('instance.up(...)');
    expect(() => plus.local(1)).toThrow('instance.plus.local.call(instance, ...)');
  });
});

describe('a static method', () => {
  test('runs on a worker, also where its class is not registered', async () => {
    const routine = 'Static.twice';
    expect(await Static.twice(21)).toEqual({ n: 42, same: true, pid: there(), routine });
    expect(await Static.scaled(14)).toBe(42);
  });

  test('has its class for this, and gives instances of it', async () => {
    const { made, pid } = await Counter.from('42');
    expect(made).toEqual(new Counter(42));
    expect(made).toBeInstanceOf(Counter);
    expect(pid).toBe(there());
  });

  test('may be a generator', async () => {
    const counters = await all(Counter.between(1, 2));
    expect(counters).toEqual([new Counter(1), new Counter(2)]);
    expect(counters[0]).toBeInstanceOf(Counter);
  });

  test('may be private', async () => {
    expect(await Hidden.open(1)).toEqual({ n: 1, pid: there(), routine: 'Hidden.#secret' });
  });

  test('that is inherited has the class for this that it is called on', async () => {
    const steppers = await all(Stepper.between(1, 2));
    expect(steppers[1]).toBeInstanceOf(Stepper);
    expect(steppers[1]).toMatchObject({ count: 2, step: 10 });
  });

  test('can be called on a class that is not registered only where that defines it', async () => {
    const error = (await rejection(Stray.from('1'))) as SerializationError;
    expect(error).toBeInstanceOf(SerializationError);
    expect(error.path).toBe('this');
    expect(error.message).toContain(
      'this: the class Stray, which is not registered, cannot travel',
    );
  });

  test('needs no class with options, and by itself', async () => {
    const twice = Static.twice as Extras<typeof Static.twice>;
    expect(await twice.with({ timeout: 10_000 })(1)).toMatchObject({ n: 2, same: true });
    expect(await twice.on(pool)(1)).toMatchObject({ n: 2, pid: there() });
    expect(await twice(1)).toMatchObject({ n: 2, same: true });
    expect(await twice.local(1)).toMatchObject({ n: 2, same: true, pid: process.pid });
  });
});

describe('inheritance:', () => {
  test('an inherited method runs on an instance of the derived class', async () => {
    const self = await new Stepper(5).self();
    expect(self).toBeInstanceOf(Stepper);
    expect(self).toMatchObject({ count: 5, step: 10 });
    expect(await new Stepper(5).twice(1)).toMatchObject({ count: 15, own: 5 });
  });

  test('super calls the routine of the base class', async () => {
    expect(await new Stepper(0).add(2)).toMatchObject({
      count: 20,
      pid: there(),
      outer: 'Stepper.prototype.add',
      inner: 'Counter.prototype.add',
    });
  });

  test('an override that is no routine runs here, and its super there', async () => {
    expect(await new Stepper(0).plus(2)).toBe(20);
  });

  test('generators call those of super', async () => {
    expect(await all(new Stepper(18).up(2))).toEqual([18, 19]);
  });

  test('static methods call those of super', async () => {
    const given = (await Stepper.from('3')) as { made: Stepper };
    expect(given).toMatchObject({ pid: there(), outer: 'Stepper.from', routine: 'Counter.from' });
    expect(given.made).toBeInstanceOf(Stepper);
  });

  test('the base class need not be registered', async () => {
    expect(await new Triangle().corners()).toMatchObject({ corners: 3, pid: there() });
    expect(await new Square().corners()).toMatchObject({
      corners: 4,
      pid: there(),
      outer: 'Square.prototype.corners',
    });
  });

  test('classes that one function made are told apart', async () => {
    expect(await new NamedA().title()).toBe('a');
    expect(await new NamedB().title()).toBe('b');
    expect(await new NamedA().title()).toBe('a');
  });
});

describe('an instance that can not travel', () => {
  test('of a class that is not registered fails the call, with advice', async () => {
    for (const one of [new Static().never(), new Stray(1).add(1)]) {
      const error = (await rejection(one)) as SerializationError;
      expect(error).toBeInstanceOf(SerializationError);
      expect(error.path).toBe('this');
      expect(error.message).toMatch(/@serializable.*registerClass\(/);
    }
  });

  test('names the part that can not', async () => {
    const counter = Object.assign(new Counter(), { done: [() => {}] });
    expect(await rejection(counter.add(1))).toMatchObject({ path: 'this.done[0]' });
    const wrong = Symbol('x') as never;
    expect(await rejection(new Counter().add(wrong))).toMatchObject({ path: 'args[0]' });
  });

  test('and a method that nobody can find', async () => {
    const error = await rejection(Static.prototype.never.call({ value: 1 } as Static));
    expect(error).toBeInstanceOf(RoutineIdentityError);
    expect(String(error)).toMatch(/'never'.*@serializable.*registerClass\(/);
  });
});

test('other decorators run where they stand: outside on the caller, inside on the worker', async () => {
  clear();
  await loggedThere();
  expect(await new Logged().onCaller()).toMatchObject({ n: 1, pid: there() });
  expect(await Logged.onCallerToo()).toMatchObject({ pid: there() });
  expect([logged(), await loggedThere()]).toEqual([['onCaller', 'onCallerToo'], []]);
  clear();
  expect(await new Logged().onWorker()).toMatchObject({ n: 1, pid: there() });
  expect(await Logged.onWorkerToo()).toMatchObject({ pid: there() });
  expect([logged(), await loggedThere()]).toEqual([[], ['onWorker', 'onWorkerToo']]);
});

test.each([
  ['behind @serializable', TaggedInside, 'TaggedInside'],
  ['in front of @serializable', TaggedOutside, 'TaggedOutside'],
])('a decorator that replaces the class may stand %s', async (_where, Class, name) => {
  const one = await Class.make();
  expect(one).toBeInstanceOf(Class);
  const routine = `${name}.prototype.whole`;
  expect(await one.whole()).toEqual({ n: one.n, tag: 'tagged', pid: there(), routine });
});

describe('methods as values', () => {
  test('arrive as the routines that they are', async () => {
    expect(await callStatic(Static.twice, 21)).toMatchObject({ n: 42, same: true });
    expect(await callMethod(Counter.prototype.add, new Counter(40), 2)).toMatchObject({
      count: 42,
      pid: there(),
    });
    expect(await giveStatic()).toBe(Static.twice);
  });
});
