/** Routines that block their worker's event loop. */
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { routine } from '../../../src/index.ts';
import { pid } from './tasks.ts';

/** Writes the pid, and blocks the event loop for so long, or until the trace is opened. */
export const block = routine((file: string, ms: number) => {
  appendFileSync(file, `start ${process.pid}\n`);
  const end = performance.now() + ms;
  while (performance.now() < end && !existsSync(`${file}.open`));
  return process.pid;
});

/** Blocks the other one of two workers. */
export const blockElsewhere = routine(async (file: string, ms: number) => {
  // Workers take turns: the next call goes elsewhere.
  while ((await pid()) !== process.pid);
  return { own: process.pid, other: await block(file, ms) };
});

/** Blocks the event loop for some time, after a while. */
export const busyAfter = routine(async (pauseMs: number, ms: number) => {
  await delay(pauseMs);
  const end = performance.now() + ms;
  while (performance.now() < end);
});
