/** The parts of large values, as the receiving side puts them together. */
import { describe, expect, test } from 'vitest';
import { ProtocolError } from '../../src/errors.ts';
import { defaultLimits, Inbox, Outbox } from '../../src/transport/chunks.ts';
import type { OutChunk } from '../../src/wire/frame.ts';

const limits = { ...defaultLimits, chunkBytes: 4, inlineBytes: 0 };

function bytes(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => from + i);
}

function neverFails(): never {
  throw new Error('it has all its bytes');
}

/** The chunks of a value. */
function chunksOf(parts: readonly Uint8Array[]): OutChunk[] {
  const outbox = new Outbox(limits);
  outbox.limit(1_000, 1_000);
  const total = parts.reduce((sum, { length }) => sum + length, 0);
  outbox.add(parts, total, () => {}, neverFails);
  const chunks: OutChunk[] = [];
  for (let chunk = outbox.next(); chunk !== undefined; chunk = outbox.next()) chunks.push(chunk);
  return chunks;
}

function inboxWith(chunks: readonly OutChunk[]): Inbox {
  const inbox = new Inbox(limits);
  for (const chunk of chunks)
    inbox.take({ total: 0, lengths: [], abandoned: false, ...chunk } as never);
  return inbox;
}

const parts = [bytes(3), bytes(10, 100), bytes(0), bytes(8, 50), bytes(0)];
const lengths = parts.map(({ length }) => length);

describe('the parts of a value', () => {
  test('arrive each in memory of its own, with no more in it', () => {
    const { item, attachments } = inboxWith(chunksOf(parts)).collect(1, lengths);
    expect([item, ...attachments].map((part) => new Uint8Array(part))).toEqual(parts);
    const buffers = [item, ...attachments].map(({ buffer }) => buffer);
    expect(buffers.map(({ byteLength }) => byteLength)).toEqual(lengths);
  });

  test('are told ahead in the first chunk, and only there', () => {
    const [first, ...others] = chunksOf(parts);
    expect(first).toMatchObject({ total: 21, lengths });
    for (const chunk of others) expect(chunk).not.toHaveProperty('lengths');
  });

  test('arrive also where a chunk has the end of one and the begin of others', () => {
    const whole = Buffer.concat(parts);
    for (const size of [1, 2, 5, 20, 21]) {
      const chunks: OutChunk[] = [];
      for (let at = 0; at < whole.length; at += size) {
        const data = whole.subarray(at, at + size);
        chunks.push(at === 0 ? { transfer: 1, data, total: 21, lengths } : { transfer: 1, data });
      }
      const { item, attachments } = inboxWith(chunks).collect(1, lengths);
      expect([item, ...attachments].map((part) => new Uint8Array(part))).toEqual(parts);
    }
  });

  test('arrive where their lengths are not told ahead', () => {
    const chunks = chunksOf(parts).map(({ lengths: _, ...chunk }) => chunk);
    const { item, attachments } = inboxWith(chunks).collect(1, lengths);
    expect([item, ...attachments].map((part) => new Uint8Array(part))).toEqual(parts);
  });

  test('must be as long as was told, and as the whole', () => {
    const [first, ...others] = chunksOf(parts) as [OutChunk, ...OutChunk[]];
    expect(() => inboxWith([{ ...first, lengths: [1, 2] }])).toThrow(ProtocolError);
    const inbox = () => inboxWith([first, ...others]);
    expect(() => inbox().collect(1, [21])).toThrow(ProtocolError);
    expect(() => inbox().collect(1, [3, 9, 1, 8, 0])).toThrow(ProtocolError);
    expect(() => inbox().collect(1, [])).toThrow(ProtocolError);
  });
});
