import { deepStrictEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { decodeValue, encodeValue } from '../../../src/wire/value.ts';
import { bytesOf, memory, UNSEEN } from './memory.ts';

type Items = (ArrayBuffer | ArrayBufferView)[];

/** For each byte of each item: where all items see a change of it. */
function seen(items: Items): string[] {
  const effects: string[] = [];
  for (const item of items) {
    for (let i = 0; i < item.byteLength; i++) {
      const bytes = bytesOf(item);
      const before = items.map((other) => bytesOf(other).slice());
      bytes[i]! ^= 0xff;
      effects.push(
        items
          .map((other, n) => bytesOf(other).findIndex((byte, at) => byte !== before[n]![at]))
          .join(' '),
      );
      bytes[i]! ^= 0xff;
    }
  }
  return effects;
}

test('a write through one view shows in those that it showed in before, and in no other', () => {
  fc.assert(
    fc.property(memory, (items) => {
      const arrived = decodeValue(encodeValue(items) as Uint8Array) as Items;
      deepStrictEqual(arrived, items);
      deepStrictEqual(seen(arrived), seen(items));
    }),
    { numRuns: 500 },
  );
});

test('bytes that no view shows are not sent', () => {
  fc.assert(
    fc.property(memory, (items) => {
      ok(!(encodeValue(items) as Uint8Array).includes(UNSEEN));
    }),
    { numRuns: 1_000 },
  );
});
