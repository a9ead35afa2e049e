/** The worker's side of `test/integration/values.test.ts`: it makes the same examples, and checks. */
import { strictEqual } from 'node:assert/strict';
import { ContextVar, currentTask, routine } from '../../src/index.ts';
import { check } from './row.ts';
import { make, makeRefused, row } from './rows/index.ts';

/** Which worker it is. */
export const worker = routine(() => currentTask()?.worker);

/** Takes an example twice; it must be one object then, too. */
export const takeArgument = routine((type: string, name: string, ...args: unknown[]) => {
  const [value, again] = args;
  check(row(type), name, value);
  strictEqual(again, value, 'the second argument is not the first one');
});

export const giveResult = routine((type: string, name: string): unknown => make(type, name));

/** Holds an example. */
export const carrier = new ContextVar<unknown>('carrier');

export const checkCarried = routine((type: string, name: string) => {
  check(row(type), name, carrier.get());
});

export const setCarried = routine((type: string, name: string) => {
  carrier.set(make(type, name));
});

/** Yields the examples, and returns the last one once more. */
export const giveSteps = routine(function* (type: string, names: readonly string[]) {
  for (const name of names) yield make(type, name);
  return make(type, names[names.length - 1] as string);
});

type Taking = Generator<undefined, unknown, unknown>;

/** Takes the examples as values of `next()`. */
export const takeSteps = routine(function* (type: string, names: readonly string[]): Taking {
  for (const name of names) check(row(type), name, yield);
  return 'taken';
});

export const throwValue = routine((type: string, name: string) => {
  throw make(type, name);
});

/** Takes the examples by `throw()`. */
export const catchSteps = routine(function* (type: string, names: readonly string[]): Taking {
  for (const name of names) {
    let caught: readonly unknown[] = [];
    try {
      yield;
    } catch (error) {
      caught = [error];
    }
    strictEqual(caught.length, 1, 'nothing was thrown');
    check(row(type), name, caught[0]);
  }
  return 'caught';
});

/** An example inside other values, more than once. */
export interface Nested {
  readonly list: readonly [unknown];
  readonly map: ReadonlyMap<string, unknown>;
  readonly value: unknown;
}

export function nest(value: unknown): Nested {
  return { list: [value], map: new Map([['key', value]]), value };
}

/** @throws when the example did not arrive, or not as one */
export function checkNested(type: string, name: string, nested: Nested): void {
  check(row(type), name, nested.value);
  strictEqual(nested.list[0], nested.value, 'the one in the list is another');
  strictEqual(nested.map.get('key'), nested.value, 'the one in the Map is another');
}

export const takeNested = routine((type: string, name: string, nested: Nested): Nested => {
  checkNested(type, name, nested);
  return nest(make(type, name));
});

/** Suspended where `return()` ends it. */
export const takeReturn = routine(function* (): Taking {
  return yield;
});

let touched = 0;

/** Never gets what is refused. */
export const touch = routine((..._args: readonly unknown[]) => {
  touched += 1;
});

export const touches = routine(() => touched);

export const refusedResult = routine((type: string, name: string): unknown => {
  return makeRefused(type, name);
});

export const refusedStep = routine(function* (type: string, name: string) {
  yield makeRefused(type, name);
});

export const refusedThrow = routine((type: string, name: string) => {
  throw makeRefused(type, name);
});
