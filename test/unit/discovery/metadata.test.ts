/** Metadata from outside: what is taken, and that nothing else gets through. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseAnnounced, parseMetadata, sameMetadata } from '../../../src/discovery/metadata.ts';

const whole = {
  uid: 'a1',
  address: 'tcp://10.0.0.7:4000',
  alternatives: ['nats://default/a/b'],
  beat: 'beat+tcp://10.0.0.7:4001',
  pid: 7,
  host: 'one.test',
  version: '0.1.0',
  tags: ['gpu'],
  extra: { a: '1', b: '2' },
  secure: true,
  channel: {
    maxValueBytes: 1,
    maxMessageBytes: 2,
    keepaliveMs: 3,
    keepaliveTimeoutMs: 4,
    concurrency: 5,
  },
};

test('all that is known of a worker is kept, and nothing else', () => {
  const channel = { ...whole.channel, later: 1 };
  expect(parseMetadata({ ...whole, channel, later: 1 })).toEqual(whole);
  expect(parseMetadata({ address: 'unix:///run/w.sock' })).toEqual({
    address: 'unix:///run/w.sock',
  });
});

test('what a worker leaves out of what it says of itself has a default', () => {
  const { uid, address, pid, host, version } = whole;
  const defaults = { tags: [], extra: {}, secure: false, channel: {} };
  const least = { uid, address, pid, host, version };
  expect(parseAnnounced(least)).toEqual({ ...least, ...defaults });
  for (const key of Object.keys(least)) {
    expect(() => parseAnnounced({ ...least, [key]: undefined })).toThrow(`${key} is missing`);
  }
});

test('no alternatives are the same as none', () => {
  expect(parseMetadata({ address: 'tcp://a:1', alternatives: [] })).toEqual({
    address: 'tcp://a:1',
  });
});

test('the same in another order is the same', () => {
  const turned = Object.fromEntries(Object.entries(whole).reverse());
  const extra = { b: '2', a: '1' };
  expect(sameMetadata(parseMetadata(whole), parseMetadata({ ...turned, extra }))).toBe(true);
  const other = parseMetadata({ ...whole, extra: { b: '2' } });
  expect(sameMetadata(parseMetadata(whole), other)).toBe(false);
  const { tags: _, ...without } = whole;
  const empty = parseAnnounced({ ...without, tags: [] });
  expect(sameMetadata(parseAnnounced(without), empty)).toBe(true);
});

test.each([
  ['uid', ''],
  ['uid', '../../etc/passwd'],
  ['uid', 'u'.repeat(65)],
  ['uid', 7],
  ['address', 'localhost:4000'],
  ['address', 'tcp://a b'],
  ['address', `tcp://${'a'.repeat(1_024)}`],
  ['alternatives', 'own://a'],
  ['alternatives', ['own']],
  ['alternatives', Array.from({ length: 5 }, () => 'own://a')],
  ['beat', 'none'],
  ['pid', 0],
  ['pid', -1],
  ['pid', 1.5],
  ['pid', '7'],
  ['host', 'a\nb'],
  ['version', '\u001b[2J'],
  ['tags', 'gpu'],
  ['tags', [1]],
  ['tags', Array.from({ length: 65 }, () => 'a')],
  ['extra', []],
  ['extra', { a: 1 }],
  ['extra', { 'a b': '1' }],
  ['secure', 'true'],
  ['channel', null],
  ['channel', { maxValueBytes: -1 }],
])('%s can not be %j', (key, value) => {
  const parse = () => parseMetadata({ ...whole, [key]: value });
  expect(parse).toThrow(TypeError);
  expect(parse).toThrow(key);
});

test('a key named __proto__ is a key', () => {
  const forged = JSON.parse('{"address":"tcp://a:1","extra":{"__proto__":"x"}}');
  const { extra } = parseMetadata(forged);
  expect(Object.getOwnPropertyNames(extra)).toEqual(['__proto__']);
  expect(Object.getPrototypeOf(extra)).toBe(Object.prototype);
});

test('anything else is refused with a TypeError that repeats nothing of it', () => {
  const part = fc.oneof(fc.jsonValue(), fc.constantFrom(...Object.values(whole)));
  const keys = fc.constantFrom(...Object.keys(whole));
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(keys, part)), (value) => {
      try {
        const parsed = parseMetadata(value);
        expect(parseMetadata(JSON.parse(JSON.stringify(parsed)))).toEqual(parsed);
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError);
        expect((error as Error).message).toMatch(/^(the metadata|an? |each )?[\w. ,:/0-9-]+$/);
      }
    }),
  );
});
