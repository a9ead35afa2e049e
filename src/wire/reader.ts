/**
 * Reads the items of CBOR (RFC 8949), with no idea of what they mean.
 *
 * The bytes may come from anyone. Every length is checked against the bytes that are there before
 * anything is allocated for it.
 */
import { SerializationError } from '../errors.ts';
import { ALLOWANCE, bigintCost, NUMBER, PER_BYTE, stringCost } from './cost.ts';
import { TAG_UTF16 } from './tags.ts';
import { MAJOR } from './writer.ts';

/** Texts up to this length are read by a loop; above, the call into the engine pays off. */
const SHORT_TEXT = 24;
const CACHED_KEYS = 1024;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const { fromCharCode } = String;

/** Keys seen lately. Most keys come again and again, and a hit costs less than a new string. */
const keys: (string | undefined)[] = new Array(CACHED_KEYS).fill(undefined);

const empty = new Uint8Array();
const scratch = new Uint8Array(8);
const scratchView = new DataView(scratch.buffer);

/** The bytes are not what an encoder writes. */
export function damaged(what: string, cause?: unknown): SerializationError {
  return new SerializationError(`damaged value: ${what}`, cause === undefined ? {} : { cause });
}

/** The value, which must be a number. */
export function numberFrom(value: unknown): number {
  if (typeof value !== 'number') throw damaged('no number where one should be');
  return value;
}

export class CborReader {
  protected bytes: Uint8Array = empty;
  protected position = 0;
  protected end = 0;
  /** Bytes of memory that the rest of the value may take; see `cost.ts`. */
  #budget = 0;

  /** @param beside bytes of the value that are not among these */
  protected open(bytes: Uint8Array = empty, beside = 0): void {
    this.bytes = bytes;
    this.position = 0;
    this.end = bytes.length;
    this.#budget = ALLOWANCE + PER_BYTE * (bytes.length + beside);
  }

  /** Counts memory that is about to be taken. */
  charge(bytes: number): void {
    this.#budget -= bytes;
    if (this.#budget < 0) throw damaged('it takes too much memory for its size');
  }

  /** Bytes that were not read yet. */
  get left(): number {
    return this.end - this.position;
  }

  /** The next byte, which stays. */
  protected peek(): number {
    if (this.position >= this.end) throw damaged('it ends too early');
    return this.bytes[this.position]!;
  }

  /** Reads the number in a head whose first byte was `first`; a bigint when a number can't hold it. */
  protected wide(first: number): number | bigint {
    const info = first & 0x1f;
    if (info < 24) return info;
    if (info > 27) throw damaged(`unexpected byte 0x${first.toString(16)}`);
    const size = 1 << (info - 24);
    const { bytes, position } = this;
    if (this.end - position < size) throw damaged('it ends too early');
    this.position = position + size;
    if (size === 1) return bytes[position]!;
    if (size === 2) return (bytes[position]! << 8) | bytes[position + 1]!;
    const n = size === 4 ? uint32(bytes, position) : uint64(bytes, position);
    if (n > 0x7fffffff) this.charge(typeof n === 'bigint' ? bigintCost(8) : NUMBER);
    return n;
  }

  /** As `wide`, for counts, lengths and tags. */
  protected narrow(first: number): number {
    const info = first & 0x1f;
    if (info < 24) return info;
    const n = this.wide(first);
    if (typeof n === 'bigint') throw damaged('a number is too large');
    return n;
  }

  /** Reads a head that must be of this major type. */
  head(major: number): number {
    const first = this.peek();
    if ((first & 0xe0) !== major) throw damaged(`unexpected byte 0x${first.toString(16)}`);
    this.position++;
    return this.narrow(first);
  }

  /** Reads a head whose count of items is no more than the bytes that are left could hold. */
  count(major: typeof MAJOR.array | typeof MAJOR.map): number {
    return this.checkCount(this.head(major), major);
  }

  protected checkCount(n: number, major: number): number {
    if (n > (major === MAJOR.map ? this.left / 2 : this.left)) {
      throw damaged('it states more items than it has bytes');
    }
    return n;
  }

  /** A view of the next bytes, of the input's own memory. */
  protected view(size: number): Uint8Array {
    if (size > this.left) throw damaged('it ends too early');
    const from = this.position;
    this.position += size;
    return this.bytes.subarray(from, this.position);
  }

  /** Reads a string: text, or code units where UTF-8 could not hold it. */
  text(): string {
    if (this.#isUtf16()) return this.utf16();
    return this.utf8(this.head(MAJOR.text));
  }

  /** Reads the key of a property, for which no memory is counted. */
  protected key(): string {
    const size = this.peek() - MAJOR.text;
    // What isn't short text leaves this range, on one side or the other.
    if (size < 1 || size >= 24 || size >= this.left) {
      return this.#isUtf16() ? this.#utf16() : this.#utf8(this.head(MAJOR.text));
    }
    const { bytes } = this;
    const at = this.position + 1;
    const last = at + size - 1;
    const slot =
      (bytes[at]! * 31 + bytes[last]! * 7 + bytes[(at + last) >> 1]! * 131 + size) % CACHED_KEYS;
    const known = keys[slot];
    if (known !== undefined && known.length === size && this.#is(known, at)) {
      this.position = last + 1;
      return known;
    }
    const key = this.#utf8(this.head(MAJOR.text));
    // Of equal length means ASCII, so that the comparison above is one of characters.
    if (key.length === size) keys[slot] = key;
    return key;
  }

  /** Whether the next item is this text, which is short and has nothing but ASCII; reads it if so. */
  protected is(text: string): boolean {
    const { length } = text;
    const { position } = this;
    if (this.bytes[position] !== (MAJOR.text | length) || length >= this.left) return false;
    if (!this.#is(text, position + 1)) return false;
    this.position = position + 1 + length;
    return true;
  }

  protected utf8(size: number): string {
    if (size > 1) this.charge(stringCost(size));
    return this.#utf8(size);
  }

  #utf8(size: number): string {
    if (size > this.left) throw damaged('it ends too early');
    return (size < SHORT_TEXT ? this.#ascii(size) : undefined) ?? this.#anyText(size);
  }

  protected utf16(): string {
    const text = this.#utf16();
    this.charge(stringCost(2 * text.length));
    return text;
  }

  #isUtf16(): boolean {
    if ((this.peek() & 0xe0) !== MAJOR.tag) return false;
    if (this.head(MAJOR.tag) !== TAG_UTF16) throw damaged('a tag where a string should be');
    return true;
  }

  #utf16(): string {
    const bytes = this.view(this.head(MAJOR.bytes));
    if (bytes.length % 2 === 1) throw damaged('half a code unit');
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf16le');
  }

  protected bigint(): bigint {
    const bytes = this.view(this.head(MAJOR.bytes));
    this.charge(bigintCost(bytes.length));
    if (bytes.length === 0) return 0n;
    return BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`);
  }

  protected float(size: 4 | 8): number {
    if (size > this.left) throw damaged('it ends too early');
    this.charge(NUMBER);
    for (let i = 0; i < size; i++) scratch[i] = this.bytes[this.position++]!;
    return size === 8 ? scratchView.getFloat64(0) : scratchView.getFloat32(0);
  }

  protected float16(): number {
    if (this.left < 2) throw damaged('it ends too early');
    this.charge(NUMBER);
    const bits = this.bytes[this.position]! * 256 + this.bytes[this.position + 1]!;
    this.position += 2;
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    return sign * (1024 + fraction) * 2 ** (exponent - 25);
  }

  #is(text: string, at: number): boolean {
    const { bytes } = this;
    for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[at + i]) return false;
    return true;
  }

  /** The next bytes as text, or undefined, and nothing read, when they are not all ASCII. */
  #ascii(size: number): string | undefined {
    const { bytes, position } = this;
    if (size === 1) {
      const code = bytes[position]!;
      if (code > 0x7f) return undefined;
      this.position = position + 1;
      return fromCharCode(code);
    }
    const codes: number[] = new Array(size);
    for (let i = 0; i < size; i++) {
      const code = bytes[position + i]!;
      if (code > 0x7f) return undefined;
      codes[i] = code;
    }
    this.position = position + size;
    return fromCharCode.apply(null, codes);
  }

  #anyText(size: number): string {
    const bytes = this.view(size);
    try {
      return utf8.decode(bytes);
    } catch (cause) {
      throw damaged('a string is not UTF-8', cause);
    }
  }
}

function uint32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  return bytes[at]! * 0x1000000 + low;
}

function uint64(bytes: Uint8Array, at: number): number | bigint {
  const high = uint32(bytes, at);
  const low = uint32(bytes, at + 4);
  if (high < 0x200000) return high * 0x100000000 + low;
  return (BigInt(high) << 32n) | BigInt(low);
}
