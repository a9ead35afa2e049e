/** Routines that print. */
import { spawn } from 'node:child_process';
import { routine } from '../../../src/index.ts';

export const say = routine(async function say(text: string, times = 1) {
  for (let i = 0; i < times; i += 1) process.stdout.write(text);
});

export const complain = routine(async function complain(text: string) {
  console.error(text);
});

/** Prints, and ends its process at once. */
export const lastWords = routine(async function lastWords(text: string, times: number) {
  for (let i = 0; i < times; i += 1) process.stdout.write(text);
  process.exit();
});

/** Leaves a process behind that holds on to the worker's output; resolves with its id. */
export const leaveBehind = routine(async function leaveBehind(ms: number) {
  const code = `setTimeout(() => console.log('late'), ${ms})`;
  const child = spawn(process.execPath, ['-e', code], { stdio: 'inherit', detached: true });
  child.unref();
  return child.pid as number;
});
