/** Protocol Buffers with strings as they are. */
import { PbfReader, PbfWriter } from 'pbf';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const { fromCharCode } = String;

/** Texts up to these lengths are written and read by a loop; above, the call into the engine pays off. */
const SHORT_WRITTEN = 48;
const SHORT_READ = 24;

// pbf 5.1 writes characters beyond U+1FFFF as others, and drops a byte order mark when it reads.
export class Writer extends PbfWriter {
  /** Writes into other memory from now on: texts, bytes and varints only. */
  begin(buffer: Uint8Array): void {
    this.buf = buffer;
    this.length = buffer.length;
    this.pos = 0;
  }

  /** Writes fields that are encoded already. */
  append(fields: Uint8Array): void {
    this.realloc(fields.length);
    this.buf.set(fields, this.pos);
    this.pos += fields.length;
  }

  override writeString(text: string): void {
    if (text.length > SHORT_WRITTEN || !this.#writeAscii(text))
      this.writeBytes(encoder.encode(text));
  }

  /** Writes nothing, and says so, where it is not all ASCII. */
  #writeAscii(text: string): boolean {
    const { length } = text;
    this.realloc(length + 1);
    const { buf, pos } = this;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return false;
      buf[pos + 1 + i] = code;
    }
    buf[pos] = length;
    this.pos = pos + 1 + length;
    return true;
  }
}

export class Reader extends PbfReader {
  /** Reads other bytes from now on, up to their end: texts, bytes and varints only. */
  begin(bytes: Uint8Array, from: number): void {
    this.buf = bytes;
    this.length = bytes.length;
    this.pos = from;
    // Else it might take `from` for the place of a value that nobody has read.
    this._valueStart = -1;
  }

  override readString(): string {
    const size = this.readVarint();
    const { pos } = this;
    this.pos = pos + size;
    const short = size <= SHORT_READ ? this.#ascii(pos, size) : undefined;
    return short ?? decoder.decode(this.buf.subarray(pos, pos + size));
  }

  /** Undefined where it is not all ASCII, or not all there. */
  #ascii(from: number, size: number): string | undefined {
    const { buf } = this;
    const codes: number[] = new Array(size);
    for (let i = 0; i < size; i++) {
      const code = buf[from + i];
      if (code === undefined || code > 0x7f) return undefined;
      codes[i] = code;
    }
    return fromCharCode.apply(null, codes);
  }
}
