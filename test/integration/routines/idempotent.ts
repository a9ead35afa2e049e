/** Routines that may run more than once, and leave a line for each attempt. */
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { currentTask, routine } from '../../../src/index.ts';

function note(file: string, what: string): { id: string | undefined; attempt: number } {
  const { id, attempt = 0 } = currentTask() ?? {};
  appendFileSync(file, `${what} ${attempt} ${id} ${process.pid}\n`);
  return { id, attempt };
}

async function opened(file: string): Promise<void> {
  while (!existsSync(`${file}.open`)) await delay(2);
}

/** Waits until the trace is opened, and tells what it saw of its task. */
export const gated = routine(
  async (file: string, ..._rest: unknown[]) => {
    const seen = note(file, 'start');
    await opened(file);
    return seen;
  },
  { idempotent: true },
);

/** A task that ends every worker that takes it. */
export const poison = routine(
  async (file: string) => {
    note(file, 'start');
    process.kill(process.pid, 'SIGKILL');
    await delay(60_000);
  },
  { idempotent: true, attempts: 3 },
);

/** Waits before its first value, then before its second. */
export const steps = routine(
  async function* (file: string) {
    yield note(file, 'start');
    appendFileSync(file, 'given\n');
    await opened(file);
    yield 'second';
  },
  { idempotent: true },
);

/** Waits before its first value. */
export const gatedSteps = routine(
  async function* (file: string) {
    const seen = note(file, 'start');
    await opened(file);
    yield seen;
    return 'done';
  },
  { idempotent: true },
);

/** Calls a task that may run again. */
export const parent = routine(async (file: string) => {
  return { pid: process.pid, child: await gated(file) };
});
