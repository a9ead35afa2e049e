/** Routines whose failures tell where things are on the worker's machine. */
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { ContextVar, fork, routine } from '../../../src/index.ts';

const require = createRequire(import.meta.url);
const here = import.meta.filename;

export const lastError = new ContextVar<unknown>('last-error', { default: undefined });

/** What fails, each in its own way. */
const failures: Readonly<Record<string, () => unknown>> = {
  'a file that is not there': () => readFile(`${here}.not-there`),
  'a file where nothing is': () => readFile('/nowhere-at-all/file'),
  'a folder in place of a file': () => readFile(import.meta.dirname),
  'a module that is not there': () => import(`${here}.mjs`),
  'a module that is required': () => require('./not-there.cjs'),
  'a program that is not there': () => execFileSync(`${here}.exe`),
  'a program that fails': () =>
    execFileSync(process.execPath, ['-e', `console.error('${here}');process.exit(3)`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  'a text that was thrown': () => {
    throw `no ${here}`;
  },
  'an object that was thrown': () => {
    throw { file: here, inside: [new URL(import.meta.url)] };
  },
  'an error around others': () => {
    const first = Object.assign(new Error(`first at ${here}:3:5`), { file: here });
    const cause = new TypeError('second', { cause: new RangeError(import.meta.url) });
    throw new AggregateError([first, cause, here], 'several', { cause });
  },
  'an error with its stack in a property': () => {
    const error = new Error('copied');
    throw Object.assign(error, { trace: error.stack, frames: error.stack?.split('\n') });
  },
  'an error whose name is a path': () => {
    throw Object.assign(new Error('named'), { name: here });
  },
};

export const kinds = Object.keys(failures);

export const leaks = routine(async (kind: string): Promise<unknown> => await failures[kind]?.());

/** The same, in what it gives. */
export const gives = routine(async (kind: string): Promise<unknown> => {
  try {
    return { value: await failures[kind]?.() };
  } catch (error) {
    return { errors: [error instanceof Error ? error : new Error(String(error))] };
  }
});

export const yields = routine(async function* (kind: string) {
  yield { error: await gives.local(kind) };
  await failures[kind]?.();
});

/** The same, in a context variable that goes back to the caller. */
export const remembers = routine(async (kind: string): Promise<void> => {
  lastError.set(await gives.local(kind));
});

export const recall = (kind: string): Promise<unknown> =>
  fork(async () => {
    await remembers(kind);
    return lastError.get();
  });

const told = routine(async (value: unknown, _text: string): Promise<unknown> => {
  const { stack, message } = value as Error;
  return { stack, message };
});

/** What another worker learns of an error that is an argument. */
export const tells = routine(async (): Promise<unknown> => {
  return await told(new Error(`about ${here}`), 'this');
});

/** A value that can't travel, with a reason that tells something. */
export const refuses = routine(async () => ({
  get broken(): never {
    throw new Error(`no ${here}`);
  },
}));
