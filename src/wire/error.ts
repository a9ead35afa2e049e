/** Errors as bytes: whatever a routine throws. */
import { SerializationError } from '../errors.ts';
import { decode, encode } from './codec.ts';
import type { DecodeOptions } from './decoder.ts';
import type { StackText } from './kinds.ts';

export { type ReviveError, registerErrorClass } from './error-classes.ts';
export type { StackText } from './kinds.ts';

/** How to encode what was thrown. */
export interface EncodeErrorOptions {
  /**
   * Whether errors take their stack along, or what they take for it.
   *
   * @default true
   */
  readonly stack?: boolean | StackText;
}

/**
 * Encodes what was thrown. Never throws: a part of an error that can't travel is replaced by a note,
 * and a thrown value that can't travel by an error that says so.
 */
export function encodeError(error: unknown, options: EncodeErrorOptions = {}): Uint8Array {
  const stacks = options.stack ?? true;
  try {
    return inOnePart(error, stacks);
  } catch (cause) {
    return inOnePart(explain(cause), stacks);
  }
}

/**
 * Decodes what was thrown. The stack of an error is the text that was sent.
 *
 * @param lenient whether what is not known here by its name is replaced by a note, since an error must
 * arrive
 * @param options how deeply it may be nested. Default: as deeply as values may be
 * @throws SerializationError when the bytes are not those of a value
 * @throws LimitExceeded when it is nested too deeply
 * @throws UnknownName when it names a routine or a class that is not known here
 */
export function decodeError(bytes: Uint8Array, lenient = false, options?: DecodeOptions): unknown {
  return decode(bytes, undefined, { ...options, lenient, thrown: true });
}

function inOnePart(value: unknown, stacks: boolean | StackText): Uint8Array {
  // Without attachments there is only one part.
  return encode(value, 'thrown', { stacks, attachments: false, thrown: true }) as Uint8Array;
}

function explain(cause: unknown): SerializationError {
  const { message, path } = cause as SerializationError;
  return new SerializationError(`a value was thrown that cannot travel: ${message}`, { path });
}
