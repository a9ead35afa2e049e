/** What a call gave, as its caller sees it. */
import { type TokenTable, withTokens } from '../wire/context.ts';
import { decodeError } from '../wire/error.ts';
import { type DecodeOptions, decodeValue } from '../wire/value.ts';
import type { Abortable, Received } from './dispatcher.ts';
import { loading, type Patience, patiently } from './loading.ts';
import { addCallerStack } from './stack.ts';
import type { ModulePolicy } from './whereabouts.ts';

/**
 * A value; or a promise of it, when it names something of a module that must be loaded first. No value
 * is itself a promise.
 *
 * @param tokens those that came with it
 * @param policy which modules may be loaded. Default: as it says itself, or as for the process
 * @param options how to decode it. Default: as it says itself
 * @throws SerializationError, also by the promise, when the bytes are not a value, or name what is
 * not there
 * @throws LimitExceeded, also by the promise, when it is nested too deeply
 */
export function decode(
  received: Received,
  tokens = received?.tokens,
  policy = received?.modules,
  options = received?.decoding,
): unknown {
  const item = received?.item;
  if (item === undefined) return undefined;
  const { attachments } = received as NonNullable<Received>;
  const read = () => decodeValue(item, attachments, options);
  if (tokens === undefined) return loading(read, policy);
  return loading(() => withTokens(tokens, read), policy);
}

/** What was thrown, as `decode` gives values; what it names and is not there, is replaced by a note. */
export function decodeThrown(
  received: Received,
  tokens?: TokenTable,
  policy = received?.modules,
  options?: DecodeOptions,
): unknown {
  const item = received?.item;
  if (item === undefined) return undefined;
  const decodeIt = (lenient: boolean) =>
    withTokens(tokens, () => decodeError(item, lenient, options));
  const read = loading(() => decodeIt(false), policy);
  return read instanceof Promise ? read.catch(() => decodeIt(true)) : read;
}

/** Stands for what was thrown until the modules are loaded that it names. */
export class Unread {
  readonly thrown: Promise<unknown>;

  constructor(thrown: Promise<unknown>) {
    this.thrown = thrown;
    // Perhaps nobody waits for the call any more.
    thrown.catch(() => {});
  }
}

/**
 * What was thrown, at once, for those who only pass it on: an `Unread` where modules must be loaded.
 *
 * @throws SerializationError when the bytes are not a value
 */
export function receiveThrown(
  received: Received,
  tokens?: TokenTable,
  policy?: ModulePolicy,
  options?: DecodeOptions,
): unknown {
  const thrown = decodeThrown(received, tokens, policy, options);
  return thrown instanceof Promise ? new Unread(thrown) : thrown;
}

/** What was thrown, when its modules are loaded; or why it can't be had. */
export async function whenRead({ thrown }: Unread, patience: Patience): Promise<unknown> {
  try {
    return await patiently(thrown, patience);
  } catch (failure) {
    return failure;
  }
}

/** An error that a call failed with, with the caller's frames on its stack. */
export function withCallerStack(error: unknown, signal: Abortable | undefined): unknown {
  // The reason of an abort is the caller's own object.
  const own = signal?.aborted && error === signal.reason;
  return error instanceof Error && !own ? addCallerStack(error) : error;
}
