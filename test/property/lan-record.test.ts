/** What a worker says of itself on a network, and what others may send in its place. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeTxt, encodeTxt, ForOthers } from '../../src/discovery/adapters/lan-record.ts';
import type { AnnouncedWorker } from '../../src/discovery/discovery.ts';
import { parseAnnounced } from '../../src/discovery/metadata.ts';
import { codePoint } from './text.ts';

const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((text) => !/\p{Cc}|\p{Cs}/u.test(text));
const key = fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/);

const workers: fc.Arbitrary<AnnouncedWorker> = fc
  .record({
    uid: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
    address: fc.nat({ max: 65_535 }).map((port) => `tcp://10.0.0.7:${port}`),
    alternatives: fc.array(fc.constantFrom('own://a', 'nats://default/b/c'), { maxLength: 4 }),
    pid: fc.integer({ min: 1, max: 2 ** 31 }),
    host: text,
    version: text,
    tags: fc.array(text, { maxLength: 4 }),
    extra: fc.dictionary(key, text, { maxKeys: 4 }),
    secure: fc.boolean(),
    channel: fc.record({
      concurrency: fc.integer({ min: 1 }),
      keepaliveMs: fc.integer({ min: 1 }),
    }),
  })
  .map((worker) => parseAnnounced(worker));

const entriesOf = (fields: Record<string, string>) =>
  Object.entries(fields).map(([key, value]) => Buffer.from(`${key}=${value}`));

test('what is announced arrives as it was', () => {
  fc.assert(
    fc.property(workers, fc.nat(), (worker, revision) => {
      const announcement = { name: 'skein', revision, worker };
      const entries = entriesOf(encodeTxt(announcement));
      expect(decodeTxt(entries, 'skein')).toEqual(announcement);
      expect(() => decodeTxt(entries, 'other')).toThrow(ForOthers);
      for (const entry of entries) expect(entry.length).toBeLessThanOrEqual(255);
    }),
  );
});

test('whatever comes in its place is refused, or right', () => {
  const damage = fc.record({
    at: fc.nat(),
    entry: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.string({ unit: codePoint, maxLength: 40 }).map((text) => Buffer.from(text)),
      fc
        .tuple(
          fc.constantFrom('uid', 'pid', 'address', 'rev', 'secure', 'tag.0', 'beat'),
          fc.string(),
        )
        .map(([key, value]) => Buffer.from(`${key}=${value}`)),
      fc.anything(),
    ),
  });
  fc.assert(
    fc.property(workers, fc.array(damage, { maxLength: 4 }), (worker, damages) => {
      const entries: unknown[] = entriesOf(encodeTxt({ name: 'skein', revision: 1, worker }));
      for (const { at, entry } of damages) entries.splice(at % entries.length, 1, entry);
      try {
        const { worker, revision } = decodeTxt(entries, 'skein');
        expect(parseAnnounced(worker)).toEqual(worker);
        expect(Number.isSafeInteger(revision)).toBe(true);
      } catch (error) {
        if (!(error instanceof TypeError || error instanceof ForOthers)) throw error;
      }
    }),
  );
});
