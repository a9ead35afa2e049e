/**
 * The rows of the tables in docs/context.md: what context variables do in Python, and here. `npm run
 * context` makes the tables of them; `test/integration/context.test.ts` runs each on real workers, and
 * `python.py`, beside this file, says the same of Python.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { WorkerPool } from '../../../src/index.ts';

export interface Row {
  /** Stands in the title of the row's test, and is the name of its function in `python.py`. */
  readonly id: string;
  /** All texts are Markdown. */
  readonly situation: string;
  /** What Python does; undefined where it has nothing like it. */
  readonly python: string | undefined;
  readonly here: string;
  /** Does it, in a chain of its own; gives what was seen on the way. */
  readonly run: (pool: WorkerPool) => unknown;
  readonly gives: unknown;
}

export interface Group {
  /** Begins with a capital letter. */
  readonly title: string;
  readonly rows: readonly Row[];
}

/** What `fn` gives, or the name of the error that it throws or rejects with. */
export function outcome(fn: () => unknown): unknown {
  const nameOf = (error: unknown) => (error as Error).constructor.name;
  try {
    const given = fn() ?? 'ok';
    return given instanceof Promise ? given.then((value) => value ?? 'ok', nameOf) : given;
  } catch (error) {
    return nameOf(error);
  }
}

const unscoped = AsyncLocalStorage.snapshot();

/** Runs `fn` outside of any chain, as the top level of a program does. */
export async function outside<T>(fn: () => Promise<T>): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    // In an execution of its own: what is entered there must not stay in the snapshot's.
    unscoped(() => setImmediate(() => fn().then(resolve, reject)));
  });
}
