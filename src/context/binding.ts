/** The value that a variable has in a chain: as it is, or as it came. */
import { SerializationError } from '../errors.ts';
import {
  encodeVariable,
  mayNameFile,
  type TokenTable,
  tokenIdsIn,
  withTokens,
} from '../wire/context.ts';
import { UnknownName } from '../wire/names.ts';
import { decodeValue, encodeAlone } from '../wire/value.ts';
import type { Variable } from './key.ts';

/** CBOR's major types whose items are objects to the program, or name something; the others are primitives. */
const COMPOUND: ReadonlySet<number> = new Set([2, 4, 5, 6]);

const NESTED =
  'it is being encoded, and its own code calls a routine meanwhile: that call goes without it';

/** Never changed. A variable that is set gets a new one. */
export class Binding {
  readonly variable: Variable;
  /** There was a warning that it can't be read here. */
  isReported = false;
  #value: unknown;
  /** The item that it came as, until it is decoded; and for good, where that gives a primitive. */
  #bytes: Uint8Array | undefined;
  #tokens: TokenTable | undefined;
  #decoded: boolean;
  /** Why it can't be decoded, now or later. */
  #unreadable: unknown;
  #encoding = false;
  /** As it goes into a Context, where it can't change. */
  #entry: Uint8Array | undefined;

  private constructor(variable: Variable, decoded: boolean) {
    this.variable = variable;
    this.#decoded = decoded;
  }

  static of(variable: Variable, value: unknown): Binding {
    const binding = new Binding(variable, true);
    binding.#value = value;
    return binding;
  }

  /** @param tokens those that its value may refer to */
  static received(variable: Variable, bytes: Uint8Array, tokens: TokenTable | undefined): Binding {
    const binding = new Binding(variable, false);
    binding.#bytes = bytes;
    if (binding.isCompound) binding.#tokens = tokens;
    return binding;
  }

  /** Whether it came, and must be decoded before somebody needs its value: it may name what has to be loaded. */
  get isCompound(): boolean {
    return !this.#decoded && COMPOUND.has((this.#bytes?.[0] ?? 0) >> 5);
  }

  /** Whether it came, and a process that reads it may import a file since it names one. */
  get mayNameFile(): boolean {
    return this.isCompound && mayNameFile(this.#bytes as Uint8Array);
  }

  /**
   * The value.
   *
   * @throws SerializationError when what came is no value, or names something that is not known here
   */
  read(): unknown {
    if (!this.#decoded) this.#decode();
    return this.#value;
  }

  #decode(): void {
    if (this.#unreadable !== undefined) throw this.#unreadable;
    const bytes = this.#bytes as Uint8Array;
    try {
      this.#value = withTokens(this.#tokens, () => decodeValue(bytes));
    } catch (error) {
      // The module that it names may be loaded by the next time.
      if (!(error instanceof UnknownName)) this.#unreadable = error;
      throw error;
    }
    this.#decoded = true;
    this.#tokens = undefined;
    if (isChangeable(this.#value)) this.#bytes = undefined;
  }

  /**
   * The item that stands for the value.
   *
   * @param tokens notes the tokens that the value refers to
   * @throws SerializationError when it can't travel
   */
  encode(tokens: TokenTable): Uint8Array {
    if (this.#bytes !== undefined) {
      if (this.isCompound) this.#refer(this.#bytes, tokens);
      return this.#bytes;
    }
    if (this.#encoding) throw new SerializationError(`${String(this.variable)}: ${NESTED}`);
    const value = this.#value;
    this.#encoding = true;
    try {
      const bytes = withTokens(tokens, () => encodeAlone(value, String(this.variable)));
      if (!isChangeable(value)) this.#bytes = bytes;
      return bytes;
    } finally {
      this.#encoding = false;
    }
  }

  /** Notes the tokens that a value refers to which came and was not decoded. */
  #refer(bytes: Uint8Array, tokens: TokenTable): void {
    if (this.#tokens === undefined) return;
    for (const id of tokenIdsIn(bytes)) {
      const token = this.#tokens.find(id);
      if (token !== undefined && tokens.refer(token) === undefined) {
        throw new SerializationError(`${String(this.variable)}: it refers to too many tokens`);
      }
    }
  }

  /** The same as it goes into a Context. */
  entry(tokens: TokenTable): Uint8Array {
    if (this.#entry !== undefined) return this.#entry;
    const entry = encodeVariable(this.variable, this.encode(tokens));
    if (this.#decoded ? !isChangeable(this.#value) : !this.isCompound) this.#entry = entry;
    return entry;
  }

  /** Whether its entry is always the same, and refers to no tokens. */
  get isFixed(): boolean {
    return this.#entry !== undefined;
  }
}

/** Whether the program may change it in its place. */
function isChangeable(value: unknown): boolean {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}
