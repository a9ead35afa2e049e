/** Routines for callers that mean harm. */
import { ContextVar, currentTask, routine } from '../../../src/index.ts';

export const mark = new ContextVar<string>('mark', { namespace: 'hostile' });

/** How often a body has begun, in this process. */
export const begun = { echo: 0, wait: 0 };

export const echo = routine(
  async (value: unknown) => {
    begun.echo += 1;
    return value;
  },
  { name: 'echo' },
);

let release = () => {};
let released = new Promise<void>((resolve) => {
  release = resolve;
});

/** Lets all tasks of `wait` end. */
export function releaseAll(): void {
  release();
  released = new Promise((resolve) => {
    release = resolve;
  });
}

/** Gives as many bytes when they are let go. */
export const wait = routine(
  async (bytes = 0) => {
    begun.wait += 1;
    await released;
    return new Uint8Array(bytes);
  },
  { name: 'wait' },
);

export const steps = routine(
  async function* (most = Number.POSITIVE_INFINITY) {
    for (let i = 0; i < most; i += 1) yield i;
  },
  { name: 'steps' },
);

export const whoAmI = routine(async () => currentTask()?.id, { name: 'whoAmI' });
