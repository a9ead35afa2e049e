/** The message Context of `proto/skein/v1/worker.proto`: what a chain sends along with a frame. */
import { LimitExceeded, SerializationError } from '../errors.ts';
import { isVariableKey, MAX_TOKENS, type VariableKey } from './context-kinds.ts';
import * as generated from './generated/worker.js';
import { Reader, Writer } from './pbf.ts';
import { briefBuffer } from './slab.ts';

export {
  MAX_TOKENS,
  mayNameFile,
  registerContextObjects,
  type TokenTable,
  tokenIdsIn,
  type VariableKey,
  withTokens,
} from './context-kinds.ts';
export { TokenState } from './generated/worker.js';

export type ReceivedVariable = generated.Variable;
export type ReceivedToken = generated.Token;

/** How much a Context may have that comes. */
export interface ContextLimits {
  readonly maxContextVars: number;
  readonly maxContextTokens: number;
  readonly maxSpentTokens: number;
}

/** What one Context may have. */
export const MAX_VARIABLES = 10_000;
/** And so many ids of tokens that were used. */
export const MAX_SPENT = 100_000;

const MOST: ContextLimits = {
  maxContextVars: MAX_VARIABLES,
  maxContextTokens: MAX_TOKENS,
  maxSpentTokens: MAX_SPENT,
};

/** A Context that was received. Values are not decoded. */
export interface ReceivedContext {
  /** Empty when the chain has no id. */
  readonly chain: string;
  readonly whole: boolean;
  readonly variables: readonly ReceivedVariable[];
  readonly tokens: readonly ReceivedToken[];
  readonly spent: readonly string[];
  /** It stands for one that did not fit. */
  readonly lost: boolean;
}

/** A Context to be sent. */
export interface SentContext {
  readonly chain: string | undefined;
  readonly whole: boolean;
  /** Each made by `encodeVariable`, one after the other, in the order of their keys. */
  readonly variables: Uint8Array;
  readonly tokens: readonly generated.Init<generated.Token>[];
  readonly spent: readonly string[];
}

/** Stands for a Context that does not fit. */
export const LOST_CONTEXT: Uint8Array = Uint8Array.of(0x30, 1);

/** @param value one CBOR item; undefined: it has no value any more */
export function encodeVariable(
  { namespace, name }: VariableKey,
  value: Uint8Array | undefined,
): Uint8Array {
  const room = 3 * (namespace.length + name.length) + (value?.length ?? 0) + HEADS_BYTES;
  writer.begin(Buffer.allocUnsafe(room));
  generated.writeContext({ variables: [{ namespace, name, value } as ReceivedVariable] }, writer);
  return writer.finish();
}

/** Above those of any head: tags and lengths. */
const HEADS_BYTES = 32;

const writer = new Writer();

export function encodeContext(context: SentContext): Uint8Array {
  const { chain = '', whole, variables, tokens, spent } = context;
  const head = 3 * chain.length + HEADS_BYTES;
  writer.begin(briefBuffer(head + variables.length));
  // First, where a receiver finds them again that has just had the same.
  writer.append(variables);
  generated.writeContext({ chain, whole }, writer);
  if (tokens.length > 0 || spent.length > 0) {
    generated.writeContext({ tokens: tokens as never, spent: spent as never }, writer);
  }
  return writer.finish();
}

/** What the last Context began with: the next one may have the same variables. */
let recent: { readonly fields: Buffer; readonly variables: ReceivedVariable[] } | undefined;

/** Above, they are read anew each time. */
const MAX_RECENT_BYTES = 1 << 16;

const reader = new Reader(new Uint8Array());

/**
 * Reads a Context. `bytes` may be changed afterwards. When it has the same variables as the one before, it
 * has the same array of them.
 *
 * @param limits Default: what any Context may have
 * @throws SerializationError when the bytes are none
 * @throws LimitExceeded when it has more than the limits allow
 */
export function decodeContext(bytes: Uint8Array, limits = MOST): ReceivedContext {
  const known = recent;
  if (known !== undefined && startsWith(bytes, known.fields)) {
    const isFew = known.variables.length <= limits.maxContextVars;
    const rest = isFew ? read(bytes, known.fields.length, limits) : undefined;
    if (rest?.variables.length === 0) return { ...rest, variables: known.variables };
  }
  if (bytes.length > MAX_RECENT_BYTES) return readApart(bytes, limits);
  const own = Buffer.from(bytes);
  const context = read(own, 0, limits);
  const { variables, leading, end } = context;
  if (leading > 0 && leading === variables.length) {
    recent = { fields: own.subarray(0, end), variables };
  }
  return context;
}

/** A large one, whose values get memory of their own: a small one must not keep what was beside it. */
function readApart(bytes: Uint8Array, limits: ContextLimits): ReceivedContext {
  const context = read(bytes, 0, limits);
  for (const variable of context.variables) {
    if (variable.value !== undefined) variable.value = new Uint8Array(variable.value);
  }
  return context;
}

function startsWith(bytes: Uint8Array, start: Buffer): boolean {
  const { length } = start;
  return length <= bytes.length && start.compare(bytes, 0, length) === 0;
}

interface Read extends generated.Context {
  /** How many variables it begins with, and where they end. */
  leading: number;
  end: number;
}

function read(bytes: Uint8Array, from: number, limits: ContextLimits): Read {
  const context: Read = {
    chain: '',
    whole: false,
    variables: [],
    tokens: [],
    spent: [],
    lost: false,
    leading: 0,
    end: 0,
  };
  let fields = 0;
  reader.begin(bytes, from);
  try {
    for (let field = reader.nextField(); field !== 0; field = reader.nextField()) {
      readField(field, context, limits);
      fields += 1;
      if (context.variables.length !== fields) continue;
      context.leading = fields;
      context.end = reader.pos;
    }
  } catch (cause) {
    if (cause instanceof SerializationError || cause instanceof LimitExceeded) throw cause;
    throw malformed('it is no message', cause);
  }
  if (reader.pos !== bytes.length) throw malformed('a length is wrong');
  return context;
}

// One that has too much is refused before its objects have taken their memory.
function readField(field: number, context: Read, limits: ContextLimits): void {
  const { variables, tokens, spent } = context;
  switch (field) {
    case 1:
      context.chain = reader.readString();
      break;
    case 2:
      context.whole = reader.readBoolean();
      break;
    case 3:
      add(variables, readVariable(), limits, 'maxContextVars', 'variables');
      break;
    case 4:
      add(tokens, readToken(), limits, 'maxContextTokens', 'tokens');
      break;
    case 5:
      add(spent, reader.readString(), limits, 'maxSpentTokens', 'spent tokens');
      break;
    case 6:
      context.lost = reader.readBoolean();
  }
}

function add<T>(
  list: T[],
  item: T,
  limits: ContextLimits,
  limit: keyof ContextLimits,
  what: string,
): void {
  const max = limits[limit];
  if (list.length >= max) {
    const message = `a context came that has more than ${max} ${what} (${limit})`;
    throw new LimitExceeded(message, { limit, value: list.length + 1, max });
  }
  list.push(item);
}

function readVariable(): ReceivedVariable {
  const variable = readMessage(generated.readVariable);
  if (!isVariableKey(variable)) throw malformed('a variable without a name that can be one');
  return variable;
}

function readToken(): ReceivedToken {
  const token = readMessage(generated.readToken);
  if (token.id === '' || !isVariableKey(token)) throw malformed('a token without a name');
  return token;
}

/** The generated readers don't look whether what is inside ends where it must. */
function readMessage<T>(read: (reader: Reader, end: number) => T): T {
  const end = reader.readVarint() + reader.pos;
  const message = read(reader, end);
  if (reader.pos !== end) throw malformed('a length is wrong');
  return message;
}

function malformed(why: string, cause?: unknown): SerializationError {
  return new SerializationError(`malformed context: ${why}`, { cause });
}
