/** What runs on skein's worker. */
import { routine } from 'skein';
import { heldBytes } from './memory.ts';

export const add = routine(async (x: number, y: number) => x + y);

export const size = routine(async (bytes: Uint8Array) => bytes.byteLength);

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
