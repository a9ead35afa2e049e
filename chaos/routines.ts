/** What the workers run. Each task first says in the trace file that it started. */
import { openSync, writeSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { currentTask, routine } from '../src/index.ts';

/** Where a task leaves its mark. */
export interface Mark {
  /** The trace file. */
  readonly file: string;
  readonly id: string;
}

const files = new Map<string, number>();

/** One write with O_APPEND: whole lines of several processes stand one after the other. */
function leave({ file, id }: Mark): void {
  let fd = files.get(file);
  if (fd === undefined) {
    fd = openSync(file, 'a');
    files.set(file, fd);
  }
  const { worker, attempt } = currentTask()!;
  writeSync(fd, `${id} ${worker} ${attempt}\n`);
}

/** A part of a task: the same id with a number behind it. */
export function part({ file, id }: Mark, number: number): Mark {
  return { file, id: `${id}.${number}` };
}

export const add = routine((mark: Mark, x: number, y: number) => {
  leave(mark);
  return x + y;
});

export const nap = routine(async (mark: Mark, ms: number) => {
  leave(mark);
  await after(ms, undefined, { signal: currentTask()!.signal });
  return ms;
});

/** May begin again when its worker is lost. */
export const napAgain = routine(
  async (mark: Mark, ms: number) => {
    leave(mark);
    await after(ms, undefined, { signal: currentTask()!.signal });
    return ms;
  },
  { idempotent: true },
);

/** May begin again when its worker is lost before its consumer has a value. */
export const squaresAgain = routine(
  async function* squaresAgain(mark: Mark, count: number, ms: number) {
    leave(mark);
    for (let i = 0; i < count; i += 1) {
      await after(ms);
      yield i * i;
    }
  },
  { idempotent: true },
);

/** Holds the event loop of its worker. */
export const spin = routine((mark: Mark, ms: number) => {
  leave(mark);
  const end = performance.now() + ms;
  while (performance.now() < end);
  return ms;
});

export const fail = routine((mark: Mark, ms: number) => {
  leave(mark);
  const error = new RangeError(`no good: ${mark.id}`);
  if (ms === 0) throw error;
  return after(ms).then(() => {
    throw error;
  });
});

/** Bytes that a number decides. */
export function pattern(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i += 1) bytes[i] = (i * seed + (i >>> 8)) & 255;
  return bytes;
}

export function flipped(bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i += 1) result[i] = (bytes[i] as number) ^ 255;
  return result;
}

export const flip = routine((mark: Mark, bytes: Uint8Array) => {
  leave(mark);
  return flipped(bytes);
});

export const squares = routine(async function* squares(mark: Mark, count: number, ms: number) {
  leave(mark);
  for (let i = 0; i < count; i += 1) {
    if (ms > 0) await after(ms);
    yield i * i;
  }
});

export const blocks = routine(function* blocks(mark: Mark, count: number, size: number) {
  leave(mark);
  for (let i = 0; i < count; i += 1) yield pattern(size, i);
});

/** Gives back what it is sent, doubled. */
export const doubles = routine(async function* doubles(
  mark: Mark,
): AsyncGenerator<number, string, number> {
  leave(mark);
  let sent = yield 0;
  while (sent < 100) sent = yield sent * 2;
  return 'enough';
});

/** Throws between two values. */
export const breaking = routine(async function* breaking(mark: Mark, count: number) {
  leave(mark);
  for (let i = 0; i < count; i += 1) yield i * i;
  throw new TypeError(`broken: ${mark.id}`);
});

/** Calls other routines, in parallel and as a stream. */
export const nested = routine(async (mark: Mark, x: number, ms: number) => {
  leave(mark);
  const [sum, slept] = await Promise.all([add(part(mark, 1), x, 1), nap(part(mark, 2), ms)]);
  let total = sum + slept;
  for await (const square of squares(part(mark, 3), 4, 0)) total += square;
  return total;
});
