/** Routines that open pools, and say in which process each of their calls has run. */
import { appendFileSync } from 'node:fs';
import { routine, WorkerPool } from '../../../src/index.ts';
import { pid } from './tasks.ts';

const times = (calls: number, fn: () => Promise<number>) =>
  Promise.all(Array.from({ length: calls }, fn));

/** Where the calls of a task run. */
export const pidsOfCalls = routine(async (calls: number) => ({
  own: process.pid,
  children: await times(calls, () => pid()),
}));

export interface TwoPools {
  readonly own: number;
  readonly workers: readonly (number | undefined)[];
  /** Calls that say nothing, before, while and after the inner pool is open. */
  readonly unbound: readonly number[][];
  readonly run: readonly number[];
  /** A call inside of `run` that was left to go on beyond it. */
  readonly late: number;
  readonly on: readonly number[];
  /** Where a task of the inner pool runs its calls. */
  readonly below: { readonly own: number; readonly children: readonly number[] };
}

/** Opens a pool of its own. */
export const opensPool = routine(async (): Promise<TwoPools> => {
  const before = await times(4, () => pid());
  const inner = await WorkerPool.open({ size: 2 });
  try {
    const workers = inner.workers.map((worker) => worker.pid);
    let go = () => {};
    const gone = new Promise<void>((resolve) => {
      go = resolve;
    });
    let late: Promise<number> = Promise.resolve(0);
    const run = await inner.run(async () => {
      late = gone.then(() => pid());
      return await times(4, () => pid());
    });
    go();
    return {
      own: process.pid,
      workers,
      unbound: [before, await times(4, () => pid())],
      run,
      late: await late,
      on: await times(4, () => pid.on(inner)()),
      below: await inner.run(() => pidsOfCalls(4)),
    };
  } finally {
    await inner.close();
  }
});

/** Opens two pools, and calls with neither of them named. */
export const opensTwo = routine(async () => {
  await using one = await WorkerPool.open({ size: 1 });
  await using other = await WorkerPool.open({ size: 1 });
  return {
    workers: [one, other].map(({ workers }) => workers[0]?.pid),
    unbound: await times(4, () => pid()),
    nested: await one.run(async () => [await pid(), await other.run(() => pid()), await pid()]),
  };
});

/** Opens a pool, and says which its workers are; then it waits for a call there that does not end. */
export const opensAndWaits = routine(async (file: string) => {
  const inner = await WorkerPool.open({ size: 1 });
  appendFileSync(file, `inner ${inner.workers[0]?.pid}\n`);
  return await inner.run(() => forever());
});

const forever = routine(() => new Promise<void>(() => {}), { name: 'forever' });
