/** The messages of the transport over NATS. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodePacket, encodeData, encodePacket, NatsKind } from '../../src/nats/packet.ts';

const count = fc.oneof(
  fc.nat({ max: 300 }),
  fc.integer({ min: 1, max: 2 ** 32 + 300 }),
  fc.maxSafeInteger().map(Math.abs),
);
const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 });

test('a part of a packet is written in short as it is in full', () => {
  fc.assert(
    fc.property(count, count, fc.boolean(), bytes, (sequence, taken, more, data) => {
      const kind = NatsKind.NATS_DATA;
      const short = encodeData(sequence, taken, more, data);
      if (sequence > 0) {
        expect(Buffer.from(short)).toEqual(
          Buffer.from(encodePacket({ kind, sequence, taken, more, data })),
        );
      }
      expect(decodePacket(short)).toMatchObject({ kind, sequence, taken, more });
      expect(Buffer.from(decodePacket(short).data ?? [])).toEqual(Buffer.from(data));
    }),
  );
});
