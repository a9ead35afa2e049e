/** Protocol Buffers with strings as they are. */
import { PbfReader, PbfWriter } from 'pbf';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

// pbf 5.1 writes characters beyond U+1FFFF as others, and drops a byte order mark when it reads.
export class Writer extends PbfWriter {
  override writeString(text: string): void {
    this.writeBytes(encoder.encode(text));
  }
}

export class Reader extends PbfReader {
  override readString(): string {
    return decoder.decode(this.readBytes());
  }
}
