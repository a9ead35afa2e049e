/** Objects with properties that hide what is inside them. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import { encodeValue } from '../../../src/wire/value.ts';
import { refusal, roundTrip } from './helpers.ts';

/** Gives an object a property that nobody lists. */
function hiding<T extends object>(object: T, hidden: Record<string, unknown>): T {
  for (const [key, value] of Object.entries(hidden)) Object.defineProperty(object, key, { value });
  return object;
}

describe('arrives as it is, whatever its properties say', () => {
  const other = new ArrayBuffer(64);
  const lies = { byteLength: 5, byteOffset: 3, buffer: other, length: 1 };

  test.each([
    ['a Float64Array', hiding(new Float64Array([1, 2]), lies), new Float64Array([1, 2])],
    ['a Uint8Array', hiding(new Uint8Array([1, 2]), lies), new Uint8Array([1, 2])],
    ['a Buffer', hiding(Buffer.from('ab'), lies), Buffer.from('ab')],
    [
      'a DataView',
      hiding(new DataView(new ArrayBuffer(2)), lies),
      new DataView(new ArrayBuffer(2)),
    ],
    ['an ArrayBuffer', hiding(new ArrayBuffer(2), lies), new ArrayBuffer(2)],
    ['a Date', hiding(new Date(5), { getTime: () => 'late' }), new Date(5)],
    ['a RegExp', hiding(/a/g, { source: '(', flags: 'gg' }), /a/g],
    ['a URL', hiding(new URL('https://a.b/'), { href: 'none' }), new URL('https://a.b/')],
  ])('%s', (_name, sent, same) => {
    deepStrictEqual(roundTrip(sent), same);
    strictEqual(String(roundTrip(sent)), String(same));
  });

  test('views on one buffer', () => {
    const { buffer } = new Float64Array([1, 2]);
    const all = hiding(new Float64Array(buffer), { byteLength: 12 });
    const [one, two] = roundTrip([all, new Float64Array(buffer, 8)]);
    deepStrictEqual([one, two], [new Float64Array([1, 2]), new Float64Array([2])]);
    strictEqual(one!.buffer, two!.buffer);
  });
});

describe('is refused', () => {
  test.each([['text'], [{}], [undefined]])('a RegExp whose lastIndex is %o', (lastIndex) => {
    const error = refusal(() => encodeValue([Object.assign(/a/g, { lastIndex })]));
    expect(error.message).toMatch(/^value\[0\]: a RegExp whose lastIndex is no number/);
  });

  test.each([[2.5], [-1], [NaN], ['2'], [2 ** 32], [Infinity]])(
    'an array of length %o',
    (length) => {
      const target: unknown[] = [1, 2];
      const get = (_target: unknown, key: string) =>
        key === 'length' ? length : Reflect.get(target, key);
      const error = refusal(() => encodeValue([new Proxy(target, { get: get as never }), 'after']));
      expect(error.message).toMatch(/^value\[0\]: an array whose length is none cannot travel/);
    },
  );
});
