/** What TypeScript makes of routines: checked by `npm run typecheck`. */
import { describe, expect, expectTypeOf, test } from 'vitest';
import { type CallOptions, type Remote, type Routine, routine } from '../../src/index.ts';

const asynchronous = routine(async (x: number, y?: string) => `${x}${y}`);
const synchronous = routine((x: number) => x + 1);
const rest = routine((first: string, ...others: number[]) => others.length + first.length);
const generic = routine(async <T>(list: readonly T[]): Promise<T | undefined> => list[0]);
const nothing = routine(() => {});
const perhaps = routine((x: number): number | Promise<string> => (x > 0 ? x : Promise.resolve('')));
const steps = routine(async function* (to: number): AsyncGenerator<number, string, boolean> {
  yield to;
  return 'done';
});
const syncSteps = routine(function* (): Generator<Promise<number>, Promise<string>, boolean> {
  yield Promise.resolve(1);
  return Promise.resolve('done');
});

describe('the type of a routine', () => {
  test('is that of an async function where it was made of one', () => {
    expectTypeOf(asynchronous).parameters.toEqualTypeOf<[x: number, y?: string | undefined]>();
    expectTypeOf(asynchronous).returns.toEqualTypeOf<Promise<string>>();
  });

  test('gives a promise where the function is sync', () => {
    expectTypeOf(synchronous).parameters.toEqualTypeOf<[x: number]>();
    expectTypeOf(synchronous).returns.toEqualTypeOf<Promise<number>>();
    expectTypeOf(rest).parameters.toEqualTypeOf<[first: string, ...others: number[]]>();
    expectTypeOf(nothing).returns.toEqualTypeOf<Promise<void>>();
    expectTypeOf(perhaps).returns.toEqualTypeOf<Promise<number | string>>();
  });

  test('keeps type parameters', () => {
    const call = () => generic(['a']);
    expectTypeOf(call).returns.toEqualTypeOf<Promise<string | undefined>>();
  });

  test('is that of an async generator for generators of both kinds', () => {
    expectTypeOf(steps).returns.toEqualTypeOf<AsyncGenerator<number, string, boolean>>();
    expectTypeOf(syncSteps).returns.toEqualTypeOf<AsyncGenerator<number, string, boolean>>();
  });

  test('has the plain function as .local', () => {
    expectTypeOf(synchronous.local).toEqualTypeOf<(x: number) => number>();
    expectTypeOf(syncSteps.local).returns.toEqualTypeOf<
      Generator<Promise<number>, Promise<string>, boolean>
    >();
    expect(synchronous.local(1)).toBe(2);
  });

  test('stays the same with .on and .with', () => {
    type Fn = (x: number) => number;
    expectTypeOf(synchronous).toEqualTypeOf<Routine<Fn>>();
    expectTypeOf(synchronous.on).returns.toEqualTypeOf<Remote<Fn>>();
    expectTypeOf(synchronous.with).returns.toEqualTypeOf<Remote<Fn>>();
    expectTypeOf(synchronous.with).parameter(0).toEqualTypeOf<CallOptions>();
  });

  test('refuses wrong arguments', () => {
    const wrong = () => [
      // @ts-expect-error a string is no number
      synchronous('1'),
      // @ts-expect-error there is no second parameter
      synchronous(1, 2),
      // @ts-expect-error no such option
      synchronous.with({ retries: 3 }),
      // @ts-expect-error a number is no pool
      synchronous.on(1),
      // @ts-expect-error a routine is made of a function
      routine(42),
    ];
    expect(wrong).toBeTypeOf('function');
  });
});

class Decorated {
  n = 1;

  @routine
  async add(x: number, y?: string) {
    return `${x}${y}${this.n}`;
  }

  @routine
  sync(x: number) {
    return this.n + x;
  }

  @routine({ idempotent: true })
  async *steps(to: number): AsyncGenerator<number, string, boolean> {
    yield to;
    return 'done';
  }

  @routine
  static async make<T>(value: T) {
    return [value];
  }
}

describe('the type of a method that is a routine', () => {
  test('is that of the method', () => {
    expectTypeOf<Decorated['add']>().toEqualTypeOf<(x: number, y?: string) => Promise<string>>();
    expectTypeOf<Decorated['sync']>().toEqualTypeOf<(x: number) => number>();
    expectTypeOf<Decorated['steps']>().returns.toEqualTypeOf<
      AsyncGenerator<number, string, boolean>
    >();
    const call = () => Decorated.make('a');
    expectTypeOf(call).returns.toEqualTypeOf<Promise<string[]>>();
  });

  test('may be asserted to have what a routine has', () => {
    const add = Decorated.prototype.add as Routine<Decorated['add']>;
    expectTypeOf(add.with({ timeout: 1 })).toEqualTypeOf<Decorated['add']>();
    const decorated = new Decorated();
    expectTypeOf(() => add.on({} as never).call(decorated, 1)).returns.toEqualTypeOf<
      Promise<string>
    >();
  });

  test('is made by a name without decorators', () => {
    class Plain {
      readonly value = 1;
      twice() {}
      static make() {}
    }
    const right = () => {
      routine.method(Plain.prototype, 'twice', { idempotent: true });
      routine.method(Plain, 'make');
    };
    const wrong = () => {
      // @ts-expect-error a property is no method
      routine.method(Plain.prototype, 'value');
      // @ts-expect-error no such option
      routine.method(Plain, 'make', { retries: 3 });
    };
    expect([right, wrong]).toHaveLength(2);
  });

  test('is needed', () => {
    const wrong = () => {
      class Wrong {
        // @ts-expect-error a field
        @routine value = 1;

        // @ts-expect-error a getter
        @routine get one() {
          return 1;
        }

        // @ts-expect-error no such option
        @routine({ retries: 3 }) retried() {}
      }
      return Wrong;
    };
    expect(wrong).toBeTypeOf('function');
  });
});
