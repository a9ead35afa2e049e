/** Large values in pieces: what a link keeps of them on the sending and on the receiving side. */
import { ProtocolError, SerializationError, ValueTooLarge } from '../errors.ts';
import { exceeded } from '../security/breaches.ts';
import { defaultPeerLimits, type PeerLimits } from '../security/limits.ts';
import type { Chunk, OutChunk, OutValue } from '../wire/frame.ts';

/** What a link allows, and how it sends. */
export interface Limits extends PeerLimits {
  /** Bytes of chunks that may be on the way to this side. */
  readonly windowBytes: number;
  /** The same while small frames are about: they wait behind no more than that. */
  readonly sharedWindowBytes: number;
  /** Values up to this size travel inside their frame. */
  readonly inlineBytes: number;
  /** Bytes in one chunk. */
  readonly chunkBytes: number;
  /**
   * Values that are sent in chunks at the same time on one link; more of them wait. The protocol
   * allows 16, and a receiver takes twice as many, since those that are complete may still wait for
   * their frame.
   */
  readonly openTransfers: number;
}

export const defaultLimits: Limits = {
  ...defaultPeerLimits,
  windowBytes: 512 * 1024,
  sharedWindowBytes: 64 * 1024,
  inlineBytes: 64 * 1024,
  chunkBytes: 64 * 1024,
  openTransfers: 16,
};

/** The lengths of no more parts than this are told ahead of a value; with more, they share their memory. */
const MOST_PARTS = 4_096;

/** After so many chunks without a small frame between them, a value has the link for itself. */
const ALONE_AFTER_CHUNKS = 16;

interface Outgoing {
  readonly transfer: number;
  readonly parts: readonly Uint8Array[];
  /** Of the parts, and of those without a byte, which are not among them. */
  readonly lengths: readonly number[];
  /** Of the parts alone, as they were when the value was queued. */
  readonly sizes: readonly number[];
  readonly total: number;
  readonly done: () => void;
  readonly failed: (started: boolean) => void;
  part: number;
  offset: number;
  started: boolean;
}

/** The sending side: cuts values into chunks, turn about, within the window of the receiver. */
export class Outbox {
  readonly #limits: Limits;
  /** Those that take turns. */
  readonly #open: Outgoing[] = [];
  /** Those that come after them. */
  readonly #waiting: Outgoing[] = [];
  #bytes = 0;
  #last = 0;
  #window = 0;
  /** Bytes of chunks that were given out and not credited. */
  #outstanding = 0;
  /** Chunks since the last small frame, either way. */
  #alone = 0;
  #maxValueBytes: number;
  /** Bytes of values that the receiver takes at a time. */
  #maxOpenBytes = Number.POSITIVE_INFINITY;
  /** Bytes of those that take turns, each counted whole. */
  #openBytes = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#maxValueBytes = limits.maxValueBytes;
  }

  get maxValueBytes(): number {
    return this.#maxValueBytes;
  }

  fitsInline(total: number): boolean {
    return total <= Math.min(this.#limits.inlineBytes, this.#maxValueBytes);
  }

  /** Takes over what the receiver said in its Hello. */
  limit(maxValueBytes: number, window: number, maxOpenBytes = 0): void {
    this.#maxValueBytes = Math.min(this.#limits.maxValueBytes, maxValueBytes);
    this.#maxOpenBytes = maxOpenBytes || Number.POSITIVE_INFINITY;
    this.#window = window;
  }

  /**
   * Queues a value.
   *
   * @param done called when its last chunk was given out
   * @param failed called in its place when bytes of the value are not there any more, with whether the
   * receiver has to be told: some chunks are out already
   */
  add(
    parts: readonly Uint8Array[],
    total: number,
    done: (value: OutValue) => void,
    failed: (started: boolean) => void,
  ): number {
    this.#last += 1;
    const transfer = this.#last;
    const lengths = parts.map((part) => part.length);
    this.#waiting.push({
      transfer,
      lengths,
      sizes: lengths.filter((length) => length > 0),
      parts: parts.filter((part) => part.length > 0),
      total,
      part: 0,
      offset: 0,
      started: false,
      done: () => done({ transfer, lengths }),
      failed,
    });
    this.#bytes += total;
    return transfer;
  }

  /** Returns whether the receiver has to be told: some chunks are out already. */
  abandon(transfer: number): boolean {
    for (const list of [this.#open, this.#waiting]) {
      const index = list.findIndex((item) => item.transfer === transfer);
      const [item] = index < 0 ? [] : list.splice(index, 1);
      if (item === undefined) continue;
      this.#bytes -= item.total;
      if (list === this.#open) this.#openBytes -= item.total;
      return item.started;
    }
    return false;
  }

  /** Bytes of the values that are not out yet, each counted whole. */
  get bytes(): number {
    return this.#bytes;
  }

  credit(bytes: number): void {
    this.#outstanding = Math.max(0, this.#outstanding - bytes);
  }

  /** A small frame went or came: chunks keep out of the way for a while. */
  share(): void {
    this.#alone = 0;
  }

  /** Whether a chunk may go out now. */
  get ready(): boolean {
    return this.#hasRoom && this.#open.length + this.#waiting.length > 0;
  }

  get #hasRoom(): boolean {
    const shared = this.#alone < ALONE_AFTER_CHUNKS ? this.#limits.sharedWindowBytes : this.#window;
    return this.#outstanding < Math.min(this.#window, shared);
  }

  /** Whether one more value may take turns. One that is too large by itself is the receiver's to refuse. */
  get #mayOpen(): boolean {
    const [next] = this.#waiting;
    const { length } = this.#open;
    if (next === undefined || length >= this.#limits.openTransfers) return false;
    return length === 0 || this.#openBytes + next.total <= this.#maxOpenBytes;
  }

  /** The value whose turn it is. Those that have lost bytes fail. */
  #turn(): Outgoing | undefined {
    for (;;) {
      while (this.#mayOpen) {
        const next = this.#waiting.shift() as Outgoing;
        this.#openBytes += next.total;
        this.#open.push(next);
      }
      const item = this.#open.shift();
      if (item === undefined || item.parts[item.part]?.length === item.sizes[item.part]) {
        return item;
      }
      this.#bytes -= item.total;
      this.#openBytes -= item.total;
      item.failed(item.started);
    }
  }

  /** The next chunk that may go out. */
  next(): OutChunk | undefined {
    if (!this.#hasRoom) return undefined;
    const item = this.#turn();
    if (item === undefined) return undefined;
    const part = item.parts[item.part] as Uint8Array;
    const data = part.subarray(item.offset, item.offset + this.#limits.chunkBytes);
    const { transfer, total, lengths, started } = item;
    item.started = true;
    item.offset += data.length;
    if (item.offset === part.length) {
      item.part += 1;
      item.offset = 0;
    }
    this.#outstanding += data.length;
    this.#alone += 1;
    if (item.part < item.parts.length) this.#open.push(item);
    else {
      this.#bytes -= total;
      this.#openBytes -= total;
      item.done();
    }
    if (started) return { transfer, data };
    const told = lengths.length > 1 && lengths.length <= MOST_PARTS;
    return told ? { transfer, data, total, lengths } : { transfer, data, total };
  }

  clear(): void {
    this.#open.length = 0;
    this.#waiting.length = 0;
    this.#bytes = 0;
    this.#openBytes = 0;
  }
}

/** Whether the bytes of a value, which were not copied, are not there any more. */
export function hasLostBytes(parts: readonly Uint8Array[]): boolean {
  return parts.some(isDetached);
}

function isDetached(part: Uint8Array): boolean {
  if (part.length > 0) return false;
  try {
    // Which nothing of a detached buffer can be; Node.js 20 has no `detached` to ask for.
    new Uint8Array(part.buffer);
    return false;
  } catch {
    return true;
  }
}

/** What a call fails with whose bytes were gone before they were sent. */
export function lostBytes(): SerializationError {
  return new SerializationError(
    'a large byte array was transferred elsewhere, or is of WebAssembly memory that grew, before its bytes were sent; wait until the call has ended, or pass a copy',
  );
}

interface Incoming {
  readonly total: number;
  /** Its parts; or one for all of them, where the sender did not tell their lengths. */
  readonly lengths: readonly number[];
  /**
   * Those that have begun to arrive. Each has memory of its own: a typed array needs it aligned, and a
   * program may keep one part only. Undefined when the value is larger than this side takes: its bytes
   * are dropped.
   */
  readonly parts: Uint8Array[] | undefined;
  /** Bytes of the last part that have arrived. */
  offset: number;
  filled: number;
  chunks: number;
}

/** The receiving side: puts values together again, and counts the credit that the sender is owed. */
export class Inbox {
  readonly #limits: Limits;
  readonly #transfers = new Map<number, Incoming>();
  #creditDue = 0;
  /** Bytes that the transfers have, or will have. */
  #bytes = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get creditDue(): number {
    return this.#creditDue;
  }

  /**
   * @throws ProtocolError when the chunk does not fit what came before it
   * @throws LimitExceeded when it is one too many, or of one value too many
   */
  take(chunk: Chunk): void {
    const { transfer, data, abandoned } = chunk;
    if (abandoned) return this.drop(transfer);
    const bytes = data?.length ?? 0;
    this.#creditDue += bytes;
    const item = this.#transfers.get(transfer) ?? this.#start(chunk);
    if (item.filled + bytes > item.total) {
      throw new ProtocolError(`transfer ${transfer} has more than its ${item.total} bytes`);
    }
    if (data !== undefined) place(item, data);
    item.filled += bytes;
    item.chunks += 1;
    const { maxFramesPerCall: most } = this.#limits;
    if (item.chunks > most) {
      throw exceeded(
        'maxFramesPerCall',
        item.chunks,
        most,
        `a value comes in ${item.chunks} chunks`,
      );
    }
  }

  #start({ transfer, total, lengths: told }: Chunk): Incoming {
    const most = this.#limits.openTransfers * 2;
    if (this.#transfers.size >= most)
      throw new ProtocolError(`more than ${most} transfers at a time`);
    const lengths = told.length > 0 && told.length <= MOST_PARTS ? told : [total];
    if (sum(lengths) !== total) throw doNotAddUp(transfer);
    const { maxValueBytes, maxIncomingBytes } = this.#limits;
    const fits = total <= maxValueBytes;
    if (fits) {
      this.#bytes += total;
      if (this.#bytes > maxIncomingBytes) {
        const what = `values of ${this.#bytes} bytes are on their way at a time`;
        throw exceeded('maxIncomingBytes', this.#bytes, maxIncomingBytes, what);
      }
    }
    const parts = fits ? [] : undefined;
    const item = { total, lengths, parts, offset: 0, filled: 0, chunks: 0 };
    this.#transfers.set(transfer, item);
    return item;
  }

  /** What has to be credited to the sender now. */
  takeCredit(): number {
    const credit = this.#creditDue;
    this.#creditDue = 0;
    return credit;
  }

  /**
   * The value of a complete transfer, which ends with this.
   *
   * @throws ProtocolError when it is not complete
   * @throws ValueTooLarge when it was larger than this side takes
   */
  collect(
    transfer: number,
    lengths: readonly number[],
  ): { item: Uint8Array; attachments: Uint8Array[] } {
    const incoming = this.#transfers.get(transfer);
    if (incoming === undefined || incoming.filled !== incoming.total) {
      throw new ProtocolError(`transfer ${transfer} is not complete`);
    }
    this.drop(transfer);
    const { parts, total } = incoming;
    if (parts === undefined) {
      const limit = this.#limits.maxValueBytes;
      throw new ValueTooLarge(
        `a value of ${total} bytes came, and at most ${limit} are taken (maxValueBytes)`,
        { bytes: total, limit },
      );
    }
    const { lengths: told } = incoming;
    const same = told.length === lengths.length && told.every((length, i) => length === lengths[i]);
    if (sum(lengths) !== total || !(same || told.length === 1)) throw doNotAddUp(transfer);
    // Those without a byte at the end have not begun to arrive.
    while (parts.length < told.length) parts.push(new Uint8Array());
    const [item, ...attachments] = same ? parts : cut(parts, lengths);
    if (item === undefined) throw doNotAddUp(transfer);
    return { item, attachments };
  }

  /** Lets go of a transfer that nobody wants any more. */
  drop(transfer: number): void {
    const item = this.#transfers.get(transfer);
    if (item?.parts !== undefined) this.#bytes -= item.total;
    this.#transfers.delete(transfer);
  }

  clear(): void {
    this.#transfers.clear();
    this.#bytes = 0;
  }
}

/** Puts bytes behind those that have arrived. */
function place(item: Incoming, data: Uint8Array): void {
  const { parts, lengths } = item;
  if (parts === undefined) return;
  for (let from = 0; from < data.length; ) {
    let part = parts[parts.length - 1];
    if (part === undefined || item.offset === part.length) {
      part = Buffer.allocUnsafeSlow(lengths[parts.length] as number);
      parts.push(part);
      item.offset = 0;
    }
    const piece = data.subarray(from, from + part.length - item.offset);
    part.set(piece, item.offset);
    item.offset += piece.length;
    from += piece.length;
  }
}

/** The parts of a value whose lengths were not told ahead. */
function cut([whole]: readonly Uint8Array[], lengths: readonly number[]): readonly Uint8Array[] {
  if (whole === undefined) return [];
  let offset = 0;
  return lengths.map((length) => {
    offset += length;
    return whole.subarray(offset - length, offset);
  });
}

function sum(lengths: readonly number[]): number {
  let total = 0;
  for (const length of lengths) total += length;
  return total;
}

function doNotAddUp(transfer: number): ProtocolError {
  return new ProtocolError(`the parts of transfer ${transfer} do not add up`);
}
