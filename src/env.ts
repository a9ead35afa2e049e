/**
 * Time, chance and identity, as the runtime sees them. Rooms that must behave the same in a
 * simulation take these from an `Env` and from nowhere else.
 */

import { createHash } from 'node:crypto';

/** A running timer. */
export interface Timer {
  cancel(): void;
}

export interface Env {
  /** Milliseconds that never go back; its zero is arbitrary. */
  now(): number;
  /** Milliseconds since 1970, for people and for other machines; it may jump. */
  date(): number;
  /** Runs `fn` once, `ms` milliseconds from now. A pending timer keeps no process alive. */
  timer(ms: number, fn: () => void): Timer;
  /** Runs `fn` when the code that runs now is done, and all that follows from it in promises. */
  soon(fn: () => void): void;
  /** Runs `fn` after everything that this turn of the event loop still has to do. */
  turn(fn: () => void): void;
  /** Runs `fn` some time after `target` was collected as garbage, or never. `fn` must not hold it. */
  collected(target: object, fn: () => void): void;
  /** A number in [0, 1). */
  random(): number;
  /** A new id, unique across processes: 16 characters, letters and digits. */
  uid(): string;
  /** What stands for an id that is a secret where others see it: as long, and the same for the same id. */
  disguise(id: string): string;
}

const alphabet = '0123456789abcdefghijklmnopqrstuv';

const collected = new FinalizationRegistry<() => void>((fn) => fn());

/** The environment of a real process. */
export const systemEnv: Env = {
  now: () => performance.now(),
  date: () => Date.now(),
  timer: (ms, fn) => {
    const handle = setTimeout(fn, ms);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
  // A tick that is asked for by a microtask comes when no microtask is left.
  soon: (fn) => queueMicrotask(() => process.nextTick(fn)),
  turn: (fn) => {
    setImmediate(fn);
  },
  collected: (target, fn) => collected.register(target, fn),
  random: Math.random,
  uid: () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    let id = '';
    for (const byte of bytes) id += alphabet[byte & 31];
    return id;
  },
  disguise: (id) => {
    let disguised = '';
    const bytes = createHash('sha256').update(id).digest().subarray(0, 16);
    for (const byte of bytes) disguised += alphabet[byte & 31];
    return disguised;
  },
};
