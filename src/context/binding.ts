/** The value that a variable has in a chain: as it is, or as it came. */
import { encodeVariable, type TokenTable, withTokens } from '../wire/context.ts';
import { decodeValue, encodeAlone } from '../wire/value.ts';
import type { Variable } from './key.ts';

/** CBOR's major types whose items are objects to the program, or name something; the others are primitives. */
const COMPOUND: ReadonlySet<number> = new Set([2, 4, 5, 6]);

/** Never changed. A variable that is set gets a new one. */
export class Binding {
  readonly variable: Variable;
  #value: unknown;
  /** The item that it came as, until it is decoded; and for good, where that gives a primitive. */
  #bytes: Uint8Array | undefined;
  #tokens: TokenTable | undefined;
  #decoded: boolean;
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

  /**
   * The value.
   *
   * @throws SerializationError when what came is no value, or names something that is not known here
   */
  read(): unknown {
    if (!this.#decoded) {
      const bytes = this.#bytes as Uint8Array;
      this.#value = withTokens(this.#tokens, () => decodeValue(bytes));
      this.#decoded = true;
      this.#tokens = undefined;
      if (isChangeable(this.#value)) this.#bytes = undefined;
    }
    return this.#value;
  }

  /**
   * The item that stands for the value.
   *
   * @param tokens notes the tokens that the value refers to
   * @throws SerializationError when it can't travel
   */
  encode(tokens: TokenTable): Uint8Array {
    if (!this.#decoded && this.isCompound) this.#referAll(tokens);
    if (this.#bytes !== undefined) return this.#bytes;
    const value = this.#value;
    const bytes = withTokens(tokens, () => encodeAlone(value, String(this.variable)));
    if (!isChangeable(value)) this.#bytes = bytes;
    return bytes;
  }

  /** Notes the tokens that a value refers to which came and was not decoded. */
  #referAll(tokens: TokenTable): void {
    const [any] = this.#tokens?.all ?? [];
    if (any === undefined) return;
    try {
      if (this.variable.isDeclared) this.read();
    } catch {
      // Then it goes on as it came.
    }
    // It may refer to any of the tokens that it came with.
    for (const token of this.#tokens?.all ?? []) tokens.refer(token);
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
