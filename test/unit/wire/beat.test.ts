import { describe, expect, test } from 'vitest';
import { BeatReader, decodeBeat, encodeBeat, MAX_BEAT_MS } from '../../../src/wire/beat.js';

describe('a packet of the beat', () => {
  // Pinned: clients in other languages have these bytes.
  test.each([
    ['poke', 0, '0100000000'],
    ['beat', 258, '0200000102'],
    ['stop', MAX_BEAT_MS, '03ffffffff'],
  ] as const)('%s with %d is %s', (kind, ms, hex) => {
    const bytes = encodeBeat(kind, ms);
    expect(Buffer.from(bytes).toString('hex')).toBe(hex);
    expect(decodeBeat(bytes)).toEqual({ kind, ms });
  });

  test.each([
    [-1, 0],
    [2.9, 2],
    [Number.POSITIVE_INFINITY, MAX_BEAT_MS],
  ])('of %d ms says %d', (ms, said) => {
    expect(decodeBeat(encodeBeat('beat', ms))?.ms).toBe(said);
  });

  test.each(['', '01', '0000000000', '0400000000', '010000000000'])('%s is none', (hex) => {
    expect(decodeBeat(Buffer.from(hex, 'hex'))).toBeUndefined();
  });

  test.each([1, 2, 5, 7, 15])('is found in a stream that comes in pieces of %d bytes', (size) => {
    const beats = [1, 2, 3].map((ms) => ({ kind: 'beat', ms }));
    const stream = Buffer.concat(beats.map(({ ms }) => encodeBeat('beat', ms)));
    const reader = new BeatReader();
    const packets: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += size) {
      packets.push(...reader.read(stream.subarray(at, at + size)));
    }
    expect(packets.map(decodeBeat)).toEqual(beats);
  });
});
