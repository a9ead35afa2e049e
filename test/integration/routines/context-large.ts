import { createHash } from 'node:crypto';
import { ContextVar, routine } from '../../../src/index.ts';

const namespace = 'large';
export const a = new ContextVar<string>('a', { namespace });
export const b = new ContextVar<Uint8Array>('b', { namespace });
export const c = new ContextVar<string>('c', { namespace });

const pattern = Buffer.from(Array.from({ length: 65_521 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));

/** What does not repeat at the size of a chunk. */
export function fill(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  Buffer.from(bytes.buffer).fill(pattern.subarray(seed));
  return bytes;
}

export function sum(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex');
}

const seen: string[] = [];
process.on('warning', (warning) => {
  if (warning.name === 'SkeinSerializationWarning') seen.push(warning.message);
});

export const workerWarnings = routine(async () => {
  await new Promise((resolve) => setImmediate(resolve));
  return seen.splice(0);
});

export const small = routine(() => 'small');

export const look = routine((_large?: unknown) => {
  const bytes = b.get(new Uint8Array());
  return { a: a.get('').length, b: bytes.length, sum: sum(bytes), c: c.get('').length };
});

/** Sets values of so many bytes, and gives one. */
export const change = routine((sizes: { a?: number; b?: number; c?: number; given?: number }) => {
  if (sizes.a) a.set('a'.repeat(sizes.a));
  if (sizes.b) b.set(fill(sizes.b, 2));
  if (sizes.c) c.set('c'.repeat(sizes.c));
  return 'g'.repeat(sizes.given ?? 0);
});

export const changeAndThrow = routine((size: number, message: number): void => {
  a.set('a'.repeat(size));
  c.set('c');
  throw new RangeError('m'.repeat(message));
});

export const steps = routine(async function* (size: number) {
  for (let i = 0; i < 3; i += 1) {
    b.set(fill(size, i));
    yield sum(b.get());
  }
});

let aborted = 0;
export const countAborted = routine(() => aborted);

/** Gives a large value only if nobody gave it up. */
export const slow = routine(async (size: number) => {
  b.set(fill(size, 3));
  aborted += 1;
  return 'slow';
});
