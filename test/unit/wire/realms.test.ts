import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { createContext, runInContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { encodeArgs } from '../../../src/wire/value.ts';
import { refusal, roundTrip } from './helpers.ts';

const context = createContext({});

function foreign(code: string): object {
  return runInContext(`(${code})`, context) as object;
}

describe('an object of another realm arrives as one of this realm', () => {
  const values: [code: string, here: object][] = [
    ['{ a: [1, new Map([[{}, new Set(["x"])]])] }', { a: [1, new Map([[{}, new Set(['x'])]])] }],
    // biome-ignore lint/suspicious/noSparseArray: what is tested
    ['[1, , 3]', [1, , 3]],
    ['Object.create(null)', Object.create(null)],
    ['new Date(7)', new Date(7)],
    ['/a+/gi', /a+/gi],
    ['new Uint8Array([1, 2]).buffer', new Uint8Array([1, 2]).buffer],
    ['new Uint8Array([1, 2])', new Uint8Array([1, 2])],
    ['new Float64Array([1.5])', new Float64Array([1.5])],
    ['new BigInt64Array([-1n])', new BigInt64Array([-1n])],
    ['new DataView(new ArrayBuffer(2), 1)', new DataView(new ArrayBuffer(2), 1)],
    ['new Number(-0)', Object(-0)],
    ['new String("ab")', Object('ab')],
    ['new Boolean(false)', Object(false)],
    ['Object(1n)', Object(1n)],
  ];

  test.each(values)('%s', (code, here) => {
    const sent = foreign(code);
    const arrived = roundTrip([sent, { sent }]) as [object, { sent: object }];
    deepStrictEqual(arrived[0], here);
    strictEqual(arrived[0], arrived[1].sent);
  });

  test('an error, with what is inside', () => {
    const sent = foreign('new RangeError("far", { cause: new Map([["a", [1]]]) })') as Error;
    const arrived = roundTrip(sent);
    ok(arrived instanceof RangeError);
    strictEqual(arrived.message, 'far');
    deepStrictEqual(arrived.cause, new Map([['a', [1]]]));
  });

  test('an array of this realm on an ArrayBuffer of another', () => {
    const sent = new Uint16Array(foreign('new Uint16Array([1, 2]).buffer') as ArrayBuffer);
    deepStrictEqual(roundTrip(sent), new Uint16Array([1, 2]));
  });
});

describe('refused', () => {
  const cases: [name: string, code: string, message: RegExp][] = [
    ['an instance', 'new (class Point { x = 1 })()', /an instance of Point/],
    ['an instance of a subclass', 'new (class Names extends Map {})()', /an instance of Names/],
    ['one whose name deceives', 'new (class Map extends globalThis.Map {})()', /instance of Map/],
    ['a subclass of Array', 'new (class List extends Array {})()', /an instance of List/],
    ['a subclass of Uint8Array', 'new (class Bytes extends Uint8Array {})()', /instance of Bytes/],
    ['what only has the prototype', 'Object.create(Map.prototype)', /an instance of Map/],
    [
      'an array with another for its prototype',
      'Object.setPrototypeOf([], [])',
      /inherits from another/,
    ],
    ['a promise', 'Promise.resolve()', /a promise/],
    ['an array with names', 'Object.assign([1], { x: 1 })', /array with properties/],
    ['a symbol key', '{ [Symbol("s")]: 1 }', /key is a symbol/],
    ['a function inside', '{ f() {} }', /a function/],
  ];

  test.each(cases)('%s', (_name, code, message) => {
    expect(refusal(() => encodeArgs([foreign(code)])).message).toMatch(message);
  });
});
