/** What runs on skein's worker. */
import { routine } from 'skein';
import { forgetPeak, heldBytes, peakBytes, residentBytes } from './memory.ts';

export const add = routine(async (x: number, y: number) => x + y);

export const count = routine(async function* (): AsyncGenerator<number, void> {
  for (let i = 0; ; i++) yield i;
});

/** The processor's time that this process has had. */
export const cpu = routine(async () => process.cpuUsage());

export const size = routine(async (bytes: ArrayBufferView) => bytes.byteLength);

let kept: Float64Array | undefined;

/** Makes a large value, and keeps it. */
export const keep = routine(async (bytes: number) => {
  kept = new Float64Array(bytes / 8).fill(0.5);
});

export const letGo = routine(async () => {
  kept = undefined;
});

export const give = routine(async () => kept);

/** Resident bytes; the peak counts from here. */
export const level = routine(async () => {
  const bytes = await residentBytes();
  forgetPeak();
  return bytes;
});

export const peak = routine(async () => peakBytes());

export const memory = routine(async () => heldBytes());

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

let closed = gate();
let waiting = 0;

/** Runs until someone calls `release`. */
export const park = routine(async () => {
  waiting++;
  await closed.opened;
});

/** How many `park` since the last `release`. */
export const parked = routine(async () => waiting);

export const release = routine(async () => {
  closed.open();
  closed = gate();
  waiting = 0;
});
