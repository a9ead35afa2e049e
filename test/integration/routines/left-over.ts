/** Routines that leave code running, and classes that have code of their own for crossing. */
import { AsyncResource } from 'node:async_hooks';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ContextVar, registerClass, routine, type Token } from '../../../src/index.ts';

export const level = new ContextVar<unknown>('left-over level');
export const label = new ContextVar<unknown>('left-over label');

/** `ok`, or the code of the error. */
export function tryReset(token: Token<unknown>): string {
  try {
    token.var.reset(token);
    return 'ok';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

export const resetIt = routine(async (token: Token<unknown>) => tryReset(token));

/** What its first step leaves running uses the token while the third step does. */
export const lending = routine(async function* (token: Token<unknown>) {
  let go = () => {};
  const left = new Promise<void>((resolve) => {
    go = resolve;
  }).then(() => resetIt(token));
  yield 1;
  yield 2;
  go();
  // The call of what is left is out after a few turns of promises, and not answered: that takes a turn of
  // the event loop.
  for (let i = 0; i < 10; i += 1) await undefined;
  const here = tryReset(token);
  return [here, await left];
});

let leftOver = () => {};

export const leavesCode = routine(async function* () {
  leftOver = AsyncResource.bind(() => void level.set('left over'));
  yield level.get('none');
  yield level.get('none');
  yield level.get('none');
});

export const runLeftOver = routine(() => leftOver());

/** Remembers the label of the code that writes and reads it. */
export class Witness {
  readonly seen: readonly unknown[];

  constructor(seen: readonly unknown[] = []) {
    this.seen = seen;
  }
}

registerClass(Witness, {
  encode: ({ seen }: Witness) => [...seen, label.get('none')],
  decode: (seen) => new Witness([...(seen as unknown[]), label.get('none')]),
});

export const witness = routine(async (given: Witness) => {
  await sleep(1);
  return [given, new Witness()];
});

export const witnessError = routine(async () => {
  throw Object.assign(new Error('x'), { witness: new Witness() });
});

/** Calls of a worker to itself, while other tasks do the same. */
export const nestedWitness = routine(async () => await witness(new Witness()));

/** Uses the token while the answer is encoded. */
export const usesWhenEncoded = routine(async (token: Token<unknown>) => {
  let result = '';
  const value = {
    get text() {
      result ||= tryReset(token);
      return result;
    },
  };
  label.set(value);
});

export const spendAndFail = routine(async (tokens: Token<unknown>[], length: number) => {
  for (const token of tokens) token.var.reset(token);
  throw new Error('x'.repeat(length));
});

export const keepsToken = routine(async (_token: Token<unknown>, _large: string) => {});

/** Its worker dies in the first attempt. */
export const startedAgain = routine(
  async function* (file: string): AsyncGenerator<unknown, unknown, Token<unknown>> {
    try {
      writeFileSync(file, '', { flag: 'wx' });
      process.kill(process.pid, 'SIGKILL');
      await new Promise(() => {});
    } catch {
      // The file is there: this is another attempt.
    }
    const given = yield 'first';
    const made = level.set('made');
    yield [tryReset(made), tryReset(given)];
    return undefined;
  },
  { idempotent: true },
);

/** A class whose code for reading changes a variable. */
export class Counted {}

export const reads = new ContextVar<number>('left-over reads', { default: 0 });

registerClass(Counted, {
  encode: () => 0,
  decode: () => {
    reads.set(reads.get() + 1);
    return new Counted();
  },
});

export const setsCounted = routine(() => {
  level.set(new Counted());
  label.set('from the worker');
});

let afterTask: Promise<string> | undefined;

/** Leaves a call with a token of its own, and uses that token after it has answered. */
export const leavesCall = routine(() => {
  const token = level.set(1);
  const there = resetIt(token);
  afterTask = (async () => {
    // Behind the answer, which is given when this function is done.
    for (let i = 0; i < 10; i += 1) await undefined;
    return `${tryReset(token)} ${await there}`;
  })();
});

export const whatFollowed = routine(async () => (await afterTask) as string);

/** A class that only workers can read, as the test has it. */
export class Unreadable {}

registerClass(Unreadable, {
  encode: () => 0,
  decode: () => {
    throw new Error('never');
  },
});

let ended = 0;

export const yieldsUnreadable = routine(async function* () {
  try {
    yield new Unreadable();
  } finally {
    ended += 1;
  }
});

export const countEnded = routine(() => ended);
