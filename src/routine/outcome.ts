/** What a call gave, as its caller sees it. */
import { joinStacks } from '../wire/error.ts';
import { decodeValue } from '../wire/value.ts';
import type { Abortable, Received } from './dispatcher.ts';

/** @throws SerializationError when the bytes are not a value */
export function decode(received: Received): unknown {
  return received === undefined ? undefined : decodeValue(received.item, received.attachments);
}

/**
 * Puts the frames of the code that awaits the call below those of the worker. They are taken when
 * the call has failed (V8 follows the chain of awaits), so that calls that succeed pay nothing.
 */
export function withCallerStack(
  error: unknown,
  name: string,
  signal: Abortable | undefined,
): unknown {
  // The reason of an abort is the caller's own object.
  if (!(error instanceof Error) || (signal?.aborted && error === signal.reason)) return error;
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, withCallerStack);
  const frames = String(holder.stack).split('\n').slice(1).filter(isForeign).join('\n');
  joinStacks(error, frames, `${name} (called from here)`);
  return error;
}

const OWN_FRAME = /[\\/]routine[\\/](?:routine|outcome|remote-iterator)\.(?:ts|js):\d/;

function isForeign(frame: string): boolean {
  return !OWN_FRAME.test(frame) && !frame.includes('(node:internal');
}
