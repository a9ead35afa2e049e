/** Writes the items of CBOR (RFC 8949), with no idea of what they mean. */
import { bigintCost, NUMBER, stringCost } from './cost.ts';
import { TAG_BIGINT, TAG_NEGATIVE_BIGINT, TAG_UTF16 } from './tags.ts';

/** Room for many small values: an allocation costs more than the encoding of one. */
const SLAB_BYTES = 16 * 1024;
/** A value starts only where it has at least this much room, so that most never move. */
const START_BYTES = 1024;
/** What any fixed-size item needs: a head of nine bytes, and some. */
const ITEM_BYTES = 16;
/** Strings below this length are written by a loop; above, the call into the engine pays off. */
const SHORT_TEXT = 24;
/** Strings below this length are written first and measured then; it may take three times the room. */
const MEDIUM_TEXT = 16 * 1024;

const loneSurrogate = /\p{Surrogate}/u;

/** Major types, in their place in an item's first byte. */
export const MAJOR = {
  unsigned: 0x00,
  negative: 0x20,
  bytes: 0x40,
  text: 0x60,
  array: 0x80,
  map: 0xa0,
  tag: 0xc0,
} as const;

export class CborWriter {
  protected bytes: Uint8Array;
  protected begin = 0;
  protected position = 0;
  /** Bytes of memory that the value takes where it is decoded; see `cost.ts`. */
  protected cost = 0;
  /** The same memory as `bytes`. */
  #buffer: Buffer;
  #view: DataView;

  constructor() {
    this.#buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.bytes = new Uint8Array(this.#buffer.buffer);
    this.#view = new DataView(this.#buffer.buffer);
  }

  /** Begins a value; its bytes will start here. */
  protected start(): void {
    const left = this.bytes.length - this.position;
    // A slab that grew for a large value must not be kept alive by small ones after it.
    if (left < START_BYTES || this.bytes.length > SLAB_BYTES) this.#allocate(SLAB_BYTES, 0, 0);
    this.begin = this.position;
    this.cost = 0;
  }

  /** Counts memory that the value takes where it is decoded. */
  charge(bytes: number): void {
    this.cost += bytes;
  }

  /**
   * The bytes since `start`. The caller may keep them: later values are written behind them, or
   * into another slab, never over them.
   */
  protected take(from: number): Uint8Array {
    return new Uint8Array(this.bytes.buffer, from, this.position - from);
  }

  /** Makes room for `size` more bytes. */
  protected reserve(size: number): void {
    if (this.position + size > this.bytes.length) this.#grow(size);
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.position++] = value;
  }

  /** The head of an item: its major type, and a length, a count, or a number up to 2^53. */
  head(major: number, n: number): void {
    this.reserve(ITEM_BYTES);
    const { bytes } = this;
    if (n < 24) {
      bytes[this.position++] = major | n;
    } else if (n < 0x100) {
      bytes[this.position++] = major | 24;
      bytes[this.position++] = n;
    } else if (n < 0x10000) {
      bytes[this.position++] = major | 25;
      bytes[this.position++] = n >>> 8;
      bytes[this.position++] = n;
    } else if (n < 0x100000000) {
      bytes[this.position] = major | 26;
      this.#view.setUint32(this.position + 1, n);
      this.position += 5;
    } else {
      bytes[this.position] = major | 27;
      this.#view.setUint32(this.position + 1, Math.floor(n / 0x100000000));
      this.#view.setUint32(this.position + 5, n >>> 0);
      this.position += 9;
    }
  }

  tag(tag: number): void {
    this.head(MAJOR.tag, tag);
  }

  /** Whole numbers as CBOR's, all others, and -0, as floats. */
  number(value: number): void {
    const small = value | 0;
    if (small === value && small > 0) {
      this.head(MAJOR.unsigned, small);
      return;
    }
    if (small !== value) this.cost += NUMBER;
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      if (value >= 0) this.head(MAJOR.unsigned, value);
      else this.head(MAJOR.negative, -1 - value);
      return;
    }
    if (small === value) this.cost += NUMBER;
    this.reserve(ITEM_BYTES);
    this.bytes[this.position] = 0xfb;
    this.#view.setFloat64(this.position + 1, value);
    this.position += 9;
  }

  bigint(value: bigint): void {
    this.tag(value < 0n ? TAG_NEGATIVE_BIGINT : TAG_BIGINT);
    let hex = (value < 0n ? -1n - value : value).toString(16);
    if (hex.length % 2 === 1) hex = `0${hex}`;
    this.cost += bigintCost(hex.length / 2);
    this.byteString(Buffer.from(hex, 'hex'));
  }

  text(value: string): void {
    this.cost += stringCost(this.string(value));
  }

  /** As `text`, but counts no memory; gives the bytes of the string. */
  protected string(value: string): number {
    const { length } = value;
    if (length >= SHORT_TEXT) return this.#longText(value);
    this.reserve(ITEM_BYTES + SHORT_TEXT);
    const { bytes } = this;
    const at = this.position + 1;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return this.#longText(value);
      bytes[at + i] = code;
    }
    bytes[this.position] = MAJOR.text | length;
    this.position = at + length;
    return length;
  }

  byteString(value: Uint8Array): void {
    this.head(MAJOR.bytes, value.length);
    this.reserve(value.length);
    this.bytes.set(value, this.position);
    this.position += value.length;
  }

  /** A byte string of so many zeros. */
  protected zeros(size: number): void {
    this.head(MAJOR.bytes, size);
    this.reserve(size);
    this.bytes.fill(0, this.position, this.position + size);
    this.position += size;
  }

  #longText(value: string): number {
    const { length } = value;
    if (length >= MEDIUM_TEXT) return this.#measuredText(value, Buffer.byteLength(value));
    this.reserve(length * 3 + ITEM_BYTES);
    // Most strings are ASCII, and then this is right.
    const head = length < 24 ? 1 : length < 0x100 ? 2 : 3;
    const size = this.#buffer.write(value, this.position + head, length * 3);
    if (size !== length) return this.#measuredText(value, size);
    this.head(MAJOR.text, size);
    this.position += size;
    return size;
  }

  #measuredText(value: string, size: number): number {
    if (size !== value.length && loneSurrogate.test(value)) {
      const units = Buffer.from(value, 'utf16le');
      this.tag(TAG_UTF16);
      this.byteString(units);
      return units.length;
    }
    this.head(MAJOR.text, size);
    this.reserve(size);
    this.position += this.#buffer.write(value, this.position, size);
    return size;
  }

  #grow(size: number): void {
    const used = this.position - this.begin;
    this.#allocate(Math.max(SLAB_BYTES, (used + size) * 2), this.begin, this.position);
  }

  /** Moves on to a new slab that begins with the old one's bytes `from` to `to`. */
  #allocate(size: number, from: number, to: number): void {
    const old = this.bytes;
    this.#buffer = Buffer.allocUnsafeSlow(size);
    this.bytes = new Uint8Array(this.#buffer.buffer);
    this.#view = new DataView(this.#buffer.buffer);
    if (to > from) this.bytes.set(old.subarray(from, to));
    this.begin = 0;
    this.position = to - from;
  }
}
