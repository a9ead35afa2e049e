/** Lists of errors that are not what they seem: nothing is written that does not fit its length. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import { decodeError, encodeError } from '../../../src/wire/error.ts';
import { roundTrip } from './helpers.ts';

/** What arrives for the `errors` of an error. */
function listOf(errors: unknown): unknown {
  const sent = Object.assign(new AggregateError([], 'several'), { errors, after: 1 });
  for (const arrived of [decodeError(encodeError(sent)), roundTrip([sent, 2])]) {
    const error = (Array.isArray(arrived) ? arrived[0] : arrived) as typeof sent;
    strictEqual(error.message, 'several');
    strictEqual(error.after, 1);
  }
  return (decodeError(encodeError(sent)) as typeof sent).errors;
}

describe('the errors of an error', () => {
  class Odd extends Array<number> {
    override *[Symbol.iterator](): ArrayIterator<number> {
      for (let i = 0; i < this.length; i += 1) if (this[i]! % 2 === 1) yield this[i]!;
    }
  }

  test('of a class of arrays with an iterator of its own', () => {
    const list = listOf(Odd.of(1, 2, 3));
    strictEqual(Object.getPrototypeOf(list), Array.prototype);
    deepStrictEqual(list, [1, 2, 3]);
  });

  test('with an iterator of its own', () => {
    const none = { value: [].values };
    deepStrictEqual(listOf(Object.defineProperty([1, 2], Symbol.iterator, none)), [1, 2]);
  });

  test('that grow or shrink while they are read', () => {
    const growing = [0, 2];
    Object.defineProperty(growing, 0, { get: () => growing.push(3), enumerable: true });
    const grown = Object.assign(new AggregateError([]), { errors: growing });
    deepStrictEqual((decodeError(encodeError(grown)) as AggregateError).errors, [3, 2]);
    const shrinking = [0, 2, 3];
    const get = () => {
      shrinking.length = 2;
      return 1;
    };
    const errors = Object.defineProperty(shrinking, 0, { get, enumerable: true });
    const sent = Object.assign(new AggregateError([]), { errors });
    const shrunk = decodeError(encodeError(sent)) as AggregateError;
    deepStrictEqual(shrunk.errors.length, 3);
    deepStrictEqual(Object.keys(shrunk.errors), ['0', '1']);
  });

  test('with empty places', () => {
    // biome-ignore lint/suspicious/noSparseArray: what is tested
    const list = listOf([1, , 3]) as unknown[];
    strictEqual(list.length, 3);
    deepStrictEqual(Object.keys(list), ['0', '2']);
  });

  test.each([
    ['with too many empty places', new Array(2 ** 32 - 1), /^\[not sent: an array with more than/],
    [
      'with names',
      Object.assign([1], { extra: 1 }),
      /^\[not sent: an array with properties of its/,
    ],
    ['of no length', new Proxy([1], { get: () => 1.5 }), /^\[not sent: an array whose length is/],
  ])('%s, are replaced by a note', (_name, errors, note) => {
    expect(listOf(errors)).toMatch(note);
  });
});

describe('an array or an object that changes while it is read', () => {
  test('fits its length', () => {
    const list = [
      {
        get a() {
          list.length = 1;
          return 1;
        },
      },
      2,
    ];
    const object = {
      get a() {
        Reflect.deleteProperty(object, 'b');
        Object.assign(object, { c: 3 });
        return 1;
      },
      b: 2,
    };
    const [first, second, third] = roundTrip([list, object, 'after']);
    strictEqual((first as unknown[]).length, 2);
    deepStrictEqual(second, { a: 1, b: undefined });
    strictEqual(third, 'after');
  });
});

describe('a part that is replaced by a note', () => {
  test('counts nothing of what it would have taken', () => {
    const bytes = new Uint8Array(20 * 1024 * 1024);
    const error = Object.assign(new Error('large'), { part: [bytes, () => 1] });
    expect(encodeError(error).length).toBeLessThan(10_000);
  });

  test('and what has its keys is counted in full', () => {
    const many = Array.from({ length: 500 }, (_, i) => ({ [`k${i}`]: 1 }));
    // So much that the value is made longer by just what it counts.
    const tiny = Array.from({ length: 20_000 }, () => ({}));
    const error = Object.assign(new Error('keys'), { part: [many, () => 1], many, tiny });
    deepStrictEqual((decodeError(encodeError(error)) as typeof error).many, many);
  });
});
