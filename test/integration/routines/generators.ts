import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { routine } from '../../../src/index.ts';

function note(file: string, line: string): void {
  appendFileSync(file, `${line}\n`);
}

/** Writes each step before it is taken, and its end. */
export const counter = routine(async function* (file: string, to: number) {
  note(file, 'begin');
  try {
    for (let i = 0; i < to; i += 1) {
      note(file, `yield ${i}`);
      yield i;
    }
    return 'done';
  } finally {
    await delay(1);
    note(file, 'finally');
  }
});

export const syncCounter = routine(function* (file: string, to: number) {
  try {
    for (let i = 0; i < to; i += 1) yield i;
    return 'done';
  } finally {
    note(file, 'finally');
  }
});

/** Yields what it was sent. */
export const parrot = routine(async function* (): AsyncGenerator<string, string, string> {
  let said = yield 'ready';
  while (said !== 'stop') said = yield `you said ${said}`;
  return 'stopped';
});

export const syncParrot = routine(function* (): Generator<string, string, string> {
  let said = yield 'ready';
  while (said !== 'stop') said = yield `you said ${said}`;
  return 'stopped';
});

/** Catches what is thrown into it, and goes on. */
export const catcher = routine(async function* () {
  let caught = 'nothing';
  for (;;) {
    try {
      yield caught;
    } catch (error) {
      caught = `${(error as Error).name}: ${(error as Error).message}`;
    }
  }
});

export const uncatching = routine(async function* (file: string) {
  try {
    yield 1;
    yield 2;
  } finally {
    note(file, 'finally');
  }
});

/** A `return` can't end it before it has said goodbye. */
export const stubborn = routine(async function* () {
  try {
    yield 1;
  } finally {
    yield 'not yet';
  }
});

export const failsInTheMiddle = routine(async function* () {
  yield 1;
  throw new RangeError('in the middle');
});

export const empty = routine(async function* () {});

export const promises = routine(function* () {
  yield Promise.resolve(1);
  yield Promise.resolve('two');
  return Promise.resolve(3);
});

export const rejected = routine(function* () {
  yield 1;
  yield Promise.reject(new TypeError('rejected'));
});

export const badDefault = routine(async function* (
  x: number = (() => {
    throw new EvalError('default');
  })(),
) {
  yield x;
});

export const large = routine(async function* (count: number, length: number) {
  for (let i = 0; i < count; i += 1) yield new Uint8Array(length).fill(i);
});

export const yieldsFunction = routine(async function* (file: string) {
  try {
    yield 1;
    yield { cb: () => 1 };
    yield 3;
  } finally {
    note(file, 'finally');
  }
});

/** A generator that has another one of a worker inside. */
export const delegating = routine(async function* (file: string) {
  yield 'first';
  const result = yield* counter(file, 2);
  yield result;
});

/** Its first step ends when the trace is opened. */
export const gated = routine(async function* (file: string) {
  note(file, 'waiting');
  while (!existsSync(`${file}.open`)) await delay(2);
  yield 'first';
  yield 'second';
});

/** Between two steps it waits until it is aborted. */
export const hanging = routine(async function* (file: string) {
  try {
    yield process.pid;
    note(file, 'hanging');
    await new Promise(() => {});
  } finally {
    note(file, 'finally');
  }
});

export const nothing = routine(async function* (): AsyncGenerator<undefined, void, unknown> {
  yield undefined;
  yield;
});

/** Where it runs, again and again. */
export const pids = routine(async function* (): AsyncGenerator<number, void, unknown> {
  for (;;) {
    await delay(5);
    yield process.pid;
  }
});
