import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { test } from 'vitest';
import { decodeValue, encodeValue } from '../../../src/wire/value.ts';
import { assertArrived } from '../../unit/wire/helpers.ts';
import { tree } from './arbitraries.ts';
import { fromEntries } from './properties.ts';

type Class = new (...args: unknown[]) => object;

const there = runInNewContext(`({
  Array, Object, Map, Set, Date, RegExp, ArrayBuffer, DataView, Uint8Array, Uint8ClampedArray,
  Int16Array, Float32Array, Float64Array, BigInt64Array, Number, String, Boolean, BigInt
})`) as Record<string, Class>;

/** The same value made of objects of another realm, as far as that has their classes. */
function moved(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const name = (value.constructor as Class | undefined)?.name ?? '';
  const There =
    Object.hasOwn(there, name) && !Object.hasOwn(value, 'constructor') ? there[name] : undefined;
  if (There === undefined) return value;
  if (Array.isArray(value)) return movedItems(value, new There(value.length) as unknown[]);
  if (value instanceof Map) return new There([...value].map((pair) => pair.map(moved)));
  if (value instanceof Set) return new There([...value].map(moved));
  if (value instanceof Date) return new There(value.getTime());
  if (value instanceof RegExp) return new There(value.source, value.flags);
  if (value instanceof ArrayBuffer) return bufferOf(new Uint8Array(value));
  if (ArrayBuffer.isView(value)) return new There(bufferOf(value));
  if (name !== 'Object')
    return (there.Object as unknown as (value: unknown) => object)(value.valueOf());
  return fromEntries(
    new There(),
    Object.entries(value).map(([key, item]) => [key, moved(item)]),
  );
}

function movedItems(values: unknown[], into: unknown[]): unknown[] {
  for (const key of Object.keys(values)) Reflect.set(into, key, moved(Reflect.get(values, key)));
  return into;
}

function bufferOf({ buffer, byteOffset, byteLength }: ArrayBufferView): ArrayBuffer {
  const copy = new (there.ArrayBuffer as unknown as typeof ArrayBuffer)(byteLength);
  new Uint8Array(copy).set(new Uint8Array(buffer, byteOffset, byteLength));
  return copy;
}

test('a value of another realm arrives equal, as one of this realm', () => {
  fc.assert(
    fc.property(tree, (value) => {
      assertArrived(decodeValue(encodeValue(moved(value)) as Uint8Array), value);
    }),
    { numRuns: 300 },
  );
});
