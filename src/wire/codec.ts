/** The encoder and the decoder with all kinds, kept for the next value. */

import { LimitExceeded, SerializationError } from '../errors.ts';
import { boxedKinds } from './boxed.ts';
import { byteKinds } from './bytes.ts';
import { collectionKinds } from './collections.ts';
import { contextKinds } from './context-kinds.ts';
import { type DecodeOptions, Decoder } from './decoder.ts';
import { DiscreetEncoder, type HideText } from './discreet.ts';
import { type Encoded, type EncodeOptions, Encoder } from './encoder.ts';
import { errorKind } from './error-kind.ts';
import { inlineKind } from './inline-kind.ts';
import { instanceKind } from './instance-kind.ts';
import { KindTable } from './kinds.ts';
import { damaged } from './reader.ts';
import { asSerializationError } from './refusal.ts';
import { scalarKinds } from './scalars.ts';
import { temporalKinds } from './temporal.ts';
import { webKinds } from './web.ts';

const kinds = new KindTable([
  ...collectionKinds,
  ...scalarKinds,
  ...boxedKinds,
  ...byteKinds,
  ...webKinds,
  ...temporalKinds,
  errorKind,
  instanceKind,
  inlineKind,
  ...contextKinds,
]);

// Taken while in use: a getter inside a value may encode another one.
let idleEncoder: Encoder | undefined;
let idleDiscreet: DiscreetEncoder | undefined;
let idleDecoder: Decoder | undefined;

/**
 * Encodes a value.
 *
 * @param root what the path in an error starts with
 * @param leading what it starts with for the first items of a list
 * @throws SerializationError when it can't travel
 */
export function encode(
  value: unknown,
  root: string,
  options: EncodeOptions,
  leading?: readonly string[],
): Encoded {
  const isDiscreet = hide !== undefined;
  const encoder = isDiscreet ? takeDiscreet(hide as HideText) : (idleEncoder ?? new Encoder(kinds));
  if (!isDiscreet) idleEncoder = undefined;
  try {
    return encoder.encode(value, options);
  } catch (error) {
    throw asSerializationError(error, root, leading);
  } finally {
    encoder.reset();
    if (isDiscreet) idleDiscreet = encoder as DiscreetEncoder;
    else idleEncoder = encoder;
  }
}

function takeDiscreet(hideText: HideText): DiscreetEncoder {
  const encoder = idleDiscreet ?? new DiscreetEncoder(kinds);
  idleDiscreet = undefined;
  encoder.hide = hideText;
  return encoder;
}

let hide: HideText | undefined;

/**
 * Runs `fn`, which encodes values: errors in them, and what is thrown, go without their stacks, and with
 * what `hideText` makes of their texts.
 */
export function withoutStacks<T>(hideText: HideText, fn: () => T): T {
  const before = hide;
  hide = hideText;
  try {
    return fn();
  } finally {
    hide = before;
  }
}

/**
 * Decodes a value.
 *
 * @throws SerializationError when the bytes are not an encoded value
 * @throws LimitExceeded when it is nested too deeply
 * @throws UnknownName when it names something that is not known here
 */
export function decode(
  bytes: Uint8Array,
  attachments?: readonly Uint8Array[],
  options?: DecodeOptions,
): unknown {
  const decoder = idleDecoder ?? new Decoder(kinds);
  idleDecoder = undefined;
  try {
    return decoder.decode(bytes, attachments, options);
  } catch (error) {
    // The engine's own: a RegExp with a bad pattern, an invalid length, a stack that was full before.
    if (error instanceof LimitExceeded) options?.exceeded?.(error);
    if (error instanceof SerializationError || error instanceof LimitExceeded) throw error;
    throw damaged(String(error), error);
  } finally {
    decoder.reset();
    idleDecoder = decoder;
  }
}
