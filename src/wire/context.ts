/** The message Context of `proto/skein/v1/worker.proto`: what a chain sends along with a frame. */
import { SerializationError } from '../errors.ts';
import type { VariableKey } from './context-kinds.ts';
import * as generated from './generated/worker.js';
import { Reader, Writer } from './pbf.ts';

export {
  registerContextObjects,
  type TokenTable,
  type VariableKey,
  withTokens,
} from './context-kinds.ts';
export { TokenState } from './generated/worker.js';

export type ReceivedVariable = generated.Variable;
export type ReceivedToken = generated.Token;

/** A Context that was received. Values are not decoded. */
export interface ReceivedContext {
  /** Empty when the chain has no id. */
  readonly chain: string;
  readonly whole: boolean;
  readonly variables: readonly ReceivedVariable[];
  readonly tokens: readonly ReceivedToken[];
  readonly spent: readonly string[];
}

/** A Context to be sent. */
export interface SentContext {
  readonly chain: string | undefined;
  readonly whole: boolean;
  /** Each made by `encodeVariable`, in the order of their keys. */
  readonly variables: readonly Uint8Array[];
  readonly tokens: readonly generated.Init<generated.Token>[];
  readonly spent: readonly string[];
}

/** @param value one CBOR item; undefined: it has no value any more */
export function encodeVariable(
  { namespace, name }: VariableKey,
  value: Uint8Array | undefined,
): Uint8Array {
  const writer = new Writer();
  generated.writeVariable({ namespace, name, ...(value && { value }) }, writer);
  // A view would keep the writer's whole buffer.
  return writer.finish().slice();
}

const VARIABLES_FIELD = 3;
const TAG_BYTES = 10;

export function encodeContext(context: SentContext): Uint8Array {
  const { chain, whole, variables, tokens, spent } = context;
  let room = 64;
  for (const { length } of variables) room += length + TAG_BYTES;
  const writer = new Writer(Buffer.allocUnsafe(room));
  if (chain !== undefined) generated.writeContext({ chain }, writer);
  if (whole) generated.writeContext({ whole }, writer);
  for (const entry of variables) writer.writeBytesField(VARIABLES_FIELD, entry);
  if (tokens.length > 0 || spent.length > 0) {
    generated.writeContext({ tokens: tokens as never, spent: spent as never }, writer);
  }
  return writer.finish();
}

/**
 * Reads a Context.
 *
 * @throws SerializationError when the bytes are none
 */
export function decodeContext(bytes: Uint8Array): ReceivedContext {
  const reader = new Reader(bytes);
  let context: generated.Context;
  try {
    context = generated.readContext(reader);
  } catch (cause) {
    throw new SerializationError('malformed context', { cause });
  }
  if (reader.pos !== bytes.length)
    throw new SerializationError('malformed context: a length is wrong');
  return context;
}
