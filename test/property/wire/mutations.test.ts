/** What decoding bytes does that no encoder wrote. The soak takes more of them. */
import { ok } from 'node:assert/strict';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SerializationError } from '../../../src/errors.ts';
import { decodeValue, encodeValue } from '../../../src/wire/value.ts';
import { assertArrived } from '../../unit/wire/helpers.ts';
import { tree } from './arbitraries.ts';
import { damage, tryMutations } from './mutation.ts';

test('damaged values decode to a value or are refused', () => {
  expect(tryMutations(1, 15_000)).toBeUndefined();
});

test('bytes of chance too', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeValue(bytes);
      } catch (error) {
        ok(error instanceof SerializationError);
      }
    }),
    { numRuns: 5_000 },
  );
});

test('and the next value is not affected', () => {
  fc.assert(
    fc.property(fc.nat(), tree, (seed, value) => {
      const [item, ...attachments] = damage(seed);
      try {
        decodeValue(item, attachments);
      } catch {
        // Most are refused.
      }
      assertArrived(decodeValue(encodeValue(value) as Uint8Array), value);
    }),
    { numRuns: 300 },
  );
});
