/** Routines that tell what they see of their task, and leave traces of what happens to them. */
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type CallOptions,
  currentTask,
  isWorker,
  routine,
  withDispatch,
} from '../../../src/index.ts';

function note(file: string, line: string): void {
  appendFileSync(file, `${line}\n`);
}

export const seen = routine(async () => {
  const task = currentTask();
  await delay(1);
  const { id, routine, worker, caller, deadline, tag, signal } = currentTask() ?? {};
  return {
    id,
    routine,
    worker,
    caller,
    deadline,
    tag,
    aborted: signal?.aborted,
    same: task === currentTask(),
    isWorker,
    pid: process.pid,
    now: Date.now(),
  };
});

export const pid = routine(() => process.pid);

/** Writes that it started, and waits until the trace is opened, whatever its signal says. */
export const gate = routine(async (file: string, name = 'gate') => {
  note(file, `start ${name}`);
  while (!existsSync(`${file}.open`)) await delay(2);
  note(file, `end ${name}`);
  return name;
});

export const slowly = routine(async (ms: number) => {
  await delay(ms);
  return `after ${ms} ms`;
});

/** As `gate`; then it calls a routine. */
export const gateThenPid = routine(async (file: string) => {
  await gate.local(file);
  return await pid();
});

/** Ends only by its signal. */
export const untilAborted = routine(async (file: string): Promise<string> => {
  const { signal } = currentTask() ?? {};
  note(file, `start ${process.pid}`);
  if (!signal) throw new Error('no task');
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  }
  note(file, `aborted ${(signal.reason as Error).message}`);
  return 'aborted';
});

/** The body of a task that must not run twice. */
export const once = routine((file: string, name: string) => {
  note(file, name);
  return name;
});

export const busy = routine((ms: number) => {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return ms;
});

/** A parent whose only work is a child that ends by its signal. */
export const parentOfUntilAborted = routine(async (file: string) => {
  note(file, 'parent');
  return await untilAborted(file);
});

/** What a child sees of the time that its parent has left, with a longer timeout of its own. */
export const childDeadlines = routine(async () => {
  const own = currentTask()?.deadline;
  const plain = await seen();
  const longer = await seen.with({ timeout: 600_000 })();
  const none = await seen.with({ timeout: Number.POSITIVE_INFINITY })();
  const shorter = await seen.with({ timeout: 1_000 })();
  return {
    own,
    plain: plain.deadline,
    longer: longer.deadline,
    none: none.deadline,
    shorter: shorter.deadline,
  };
});

export const family = routine(async (calls: number) => {
  const children = await Promise.all(Array.from({ length: calls }, () => seen()));
  return { id: currentTask()?.id, pid: process.pid, children };
});

export const grandparent = routine(async () => {
  const parent = await family(1);
  return { id: currentTask()?.id, parent };
});

export const fib = routine(async (n: number): Promise<number> => {
  if (n < 2) return n;
  const [a, b] = await Promise.all([fib(n - 1), fib(n - 2)]);
  return a + b;
});

/** Children get what `withDispatch` on the worker says. */
export const tagged = routine(async () => {
  return await withDispatch({ tag: 'inner' }, async () => (await seen()).tag);
});

export interface Generation {
  readonly tag: string | undefined;
  /** Milliseconds until the deadline of this task and of those below. */
  readonly left: number | undefined;
  readonly below: Generation | undefined;
}

function generation(below: Generation | undefined): Generation {
  const { tag, deadline } = currentTask() ?? {};
  return { tag, left: deadline === undefined ? undefined : deadline - Date.now(), below };
}

/** What each of `depth` tasks sees of its options, each called by the one before. */
export const generations = routine(async (depth: number): Promise<Generation> => {
  const seen = generation(undefined);
  return { ...seen, below: depth > 1 ? await generations(depth - 1) : undefined };
});

/** The same, as the tasks' generators; what is awaited before a value makes no difference. */
export const generationsOf = routine(async function* (depth: number): AsyncGenerator<Generation> {
  yield generation(undefined);
  await delay(1);
  if (depth > 1) yield* generationsOf(depth - 1);
});

/** As `generations`, with options of the first task around or on the calls that it makes. */
export const generationsWith = routine(async (how: 'around' | 'own', options: CallOptions) => {
  if (how === 'own') return generation(await generations.with(options)(2));
  return generation(await withDispatch(options, () => generations(2)));
});

export const viaSettled = routine(async (file: string) => {
  const child = untilAborted(file).catch((error: Error) => note(file, `child ${error.name}`));
  await child;
  note(file, 'parent went on');
  return 'over';
});

export const leaveBehind = routine(async (file: string) => {
  // Nobody waits for it: it outlives its parent's task, not its parent's time.
  void untilAborted(file).catch((error: Error) => note(file, `child ${error.name}`));
  return currentTask()?.id;
});

/** The worker's process, after so many milliseconds. */
export const slowlyPid = routine(async (ms: number) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return process.pid;
});

/** As `gate`; then it gives so many bytes. */
export const gateThenBytes = routine(async (file: string, size: number) => {
  await gate.local(file);
  return new Uint8Array(size);
});
