/**
 * User values as bytes: arguments, results, and what generators take and give. What arrives is equal
 * to what was sent, with prototypes, shared references and cycles; or encoding fails and names the
 * place in the value.
 *
 * The format is CBOR (RFC 8949) with the tags of `tags.ts`.
 */
import { decode, encode } from './codec.ts';
import type { DecodeOptions } from './decoder.ts';
import type { Encoded } from './encoder.ts';

export type { DecodeOptions } from './decoder.ts';
export type { Encoded } from './encoder.ts';
export { MAX_DEPTH } from './tags.ts';

const OPTIONS = { stacks: true, attachments: true };
const ALONE = { ...OPTIONS, attachments: false };
const LIST_OPTIONS = { ...OPTIONS, list: true };

/**
 * Encodes one value.
 *
 * The bytes of the value itself are never changed afterwards, so they may be kept. Attachments are
 * the program's own memory: they must be on their way, or copied, before it runs again.
 *
 * @param root what the path in an error starts with, e.g. `result`
 * @throws SerializationError when a part of it can't travel; `path` names the part
 */
export function encodeValue(value: unknown, root = 'value'): Encoded {
  return encode(value, root, OPTIONS);
}

/**
 * Encodes the arguments of a call as one value, an array.
 *
 * @param leading names of items that stand before the arguments, e.g. `this`: paths start with them,
 * and those of arguments count from behind them
 * @throws SerializationError when an argument can't travel; `path` names it, e.g. `args[0].cb`
 */
export function encodeArgs(args: readonly unknown[], leading?: readonly string[]): Encoded {
  return encode(args, 'args', LIST_OPTIONS, leading);
}

/**
 * Encodes what a context variable holds, with nothing beside it.
 *
 * @param root what the path in an error starts with
 * @throws SerializationError as `encodeValue`
 */
export function encodeAlone(value: unknown, root: string): Uint8Array {
  // Without attachments there is only one part.
  return encode(value, root, ALONE) as Uint8Array;
}

/** Bytes that an encoded value takes, attachments included. */
export function sizeOf(encoded: Encoded | undefined): number {
  if (encoded === undefined || encoded instanceof Uint8Array) return encoded?.length ?? 0;
  let total = 0;
  for (const part of encoded) total += part.length;
  return total;
}

/**
 * Decodes one value.
 *
 * `bytes` may be changed afterwards. Attachments become the memory of the decoded arrays.
 *
 * @param options Default: nested as deeply as values may be
 * @throws SerializationError when the bytes or the attachments are not those of a value
 * @throws LimitExceeded when it is nested too deeply
 * @throws UnknownName when it names a routine or a class that is not known here
 */
export function decodeValue(
  bytes: Uint8Array,
  attachments?: readonly Uint8Array[],
  options?: DecodeOptions,
): unknown {
  return decode(bytes, attachments, options);
}
