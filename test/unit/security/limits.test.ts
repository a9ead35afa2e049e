import { expect, test } from 'vitest';
import { defaultPeerLimits, limitsOf, PEER_LIMITS } from '../../../src/security/limits.ts';

test('limits that are not given have their defaults', () => {
  expect(limitsOf()).toEqual(defaultPeerLimits);
  expect(limitsOf({ maxValueBytes: 5, maxLinks: undefined } as object)).toEqual({
    ...defaultPeerLimits,
    maxValueBytes: 5,
  });
});

test('Infinity stands for as much as there can be, and JSON can hold it', () => {
  const { maxLinks, idleLinkTimeoutMs } = limitsOf({
    maxLinks: Number.POSITIVE_INFINITY,
    idleLinkTimeoutMs: Number.POSITIVE_INFINITY,
  });
  expect([maxLinks, idleLinkTimeoutMs]).toEqual([Number.MAX_SAFE_INTEGER, 2 ** 31 - 1]);
});

test('there is room for as many of the largest values as by default', () => {
  const { maxIncomingBytes } = limitsOf({ maxValueBytes: 2 ** 30 });
  expect(maxIncomingBytes).toBe(32 * 2 ** 30);
  expect(limitsOf({ maxValueBytes: 5, maxIncomingBytes: 5 })).toMatchObject({
    maxIncomingBytes: 5,
  });
});

test.each<[object, RegExp]>([
  [
    { maxValueBytes: 6, maxIncomingBytes: 5 },
    /^limits\.maxIncomingBytes must be 6 or more, as one value may have \(maxValueBytes\), not 5$/,
  ],
  [{ maxLinks: 0 }, /^limits\.maxLinks must be a whole number, 1 or more, not 0$/],
  [{ maxLinks: 1.5 }, /whole number.* not 1\.5$/],
  [{ maxDepth: 1_001 }, /^limits\.maxDepth must be a whole number, from 16 to 1000, not 1001$/],
  [{ helloTimeoutMs: Number.NaN }, /number of milliseconds.* not NaN$/],
  [{ maxEnvelopeBytes: '9' }, /maxEnvelopeBytes/],
  [{ toString: 1 }, /^limits has no 'toString'; it may have maxEnvelopeBytes, /],
  [[], /limits must be an object/],
])('%o is refused', (given, message) => {
  expect(() => limitsOf(given as never)).toThrow(message);
});

test.each(Object.entries(PEER_LIMITS))('%s has a default within its bounds', (name, row) => {
  expect(limitsOf({ [name]: row.default })).toEqual(defaultPeerLimits);
  const least = { maxValueBytes: 1, [name]: row.least };
  expect(limitsOf(least)).toMatchObject(least);
  expect(row.reason).toMatch(/^\S.*[^.]$/);
});
