/** What a call gave, as its caller sees it. */
import { decodeValue } from '../wire/value.ts';
import type { Abortable, Received } from './dispatcher.ts';
import { addCallerStack } from './stack.ts';

/** @throws SerializationError when the bytes are not a value */
export function decode(received: Received): unknown {
  return received === undefined ? undefined : decodeValue(received.item, received.attachments);
}

/** An error that the call of `name` failed with, with the caller's frames on its stack. */
export function withCallerStack(
  error: unknown,
  name: string,
  signal: Abortable | undefined,
): unknown {
  // The reason of an abort is the caller's own object.
  const own = signal?.aborted && error === signal.reason;
  if (error instanceof Error && !own) addCallerStack(error, name);
  return error;
}
