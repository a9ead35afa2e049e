/** The sending half of a stream: numbers what goes out, and keeps it until the other side has taken it. */
import { ProtocolError } from '../errors.ts';
import { encodeData, encodePacket, HEAD_BYTES, NatsKind } from './packet.ts';

export interface SenderPorts {
  now(): number;
  /** False while there is no connection to a server: nothing was done. */
  publish(message: Uint8Array): boolean;
  /** Largest message that the server takes, in bytes. */
  maxPayload(): number;
  /** All up to this number of the other side was taken here. */
  taken(): number;
  /** The server takes not as much any more as was sent before, and must be sent again. */
  stuck(message: string): void;
}

/** A packet that waits, or what is left of it. */
interface Waiting {
  data: Uint8Array;
  readonly released: (() => void) | undefined;
}

/** What was sent under a number: a packet, a part of one, or the end. */
interface Part {
  /** Undefined for the end. */
  readonly data: Uint8Array | undefined;
  readonly more: boolean;
  readonly released: (() => void) | undefined;
}

/** Parts are no larger than this share of the window: a sender with no room waits for no timer of the other side. */
export const PART_SHARE = 4;
/** Whatever the other side says that it takes, no more is on the way to it. */
const MAX_WINDOW_BYTES = 4 * 1024 * 1024;
/** Who asks for the same once more gets it after such a pause, twice as long each time, up to the longest. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
/** Longest reason that is told, in characters. */
export const MAX_REASON = 1_000;

export class Sender {
  readonly #ports: SenderPorts;
  #window: number;
  #begun = false;
  /** What has no number yet. */
  readonly #waiting: Waiting[] = [];
  /** The end comes behind what waits. */
  #ending = false;
  #reason = '';
  /** What the other side has not taken, in order: the first has the number `#taken + 1`. */
  readonly #parts: Part[] = [];
  #taken = 0;
  /** The last number that was published; after a step back, less than there are. */
  #sent = 0;
  /** Bytes that are kept, and those of them that are on the way. */
  #held = 0;
  #flying = 0;
  /** Until then nothing is sent again. */
  #patienceUntil = Number.NEGATIVE_INFINITY;
  #pauseMs = FIRST_PAUSE_MS;

  /** @param window a guess, until the other side has said what it takes */
  constructor(ports: SenderPorts, window: number) {
    this.#ports = ports;
    this.#window = window;
  }

  /** Whether as much is kept as the other side takes. */
  get isFull(): boolean {
    return this.#held >= this.#window;
  }

  /** Whether there is room again, and not for a moment only. */
  get hasRoom(): boolean {
    return this.#held <= this.#window / 2;
  }

  /** Whether the other side has taken all. */
  get isDone(): boolean {
    return this.#parts.length + this.#waiting.length === 0 && !this.#ending;
  }

  /** The last number that was published. */
  get sent(): number {
    return this.#sent;
  }

  /** The other side takes so many bytes at a time. */
  begin(window: number): void {
    this.#begun = true;
    this.#window = Math.min(Math.max(1, window), MAX_WINDOW_BYTES);
    this.pump();
  }

  add(data: Uint8Array, released: (() => void) | undefined): void {
    this.#waiting.push({ data, released });
    this.#held += data.length;
    this.pump();
  }

  /** The end comes behind all that was added. */
  finish(reason: string): void {
    this.#ending = true;
    this.#reason = reason.slice(0, MAX_REASON);
    this.pump();
  }

  /** Publishes what the window has room for. */
  pump(): void {
    if (!this.#begun) return;
    for (;;) {
      const known = this.#parts[this.#sent - this.#taken];
      const part = known ?? this.#cut();
      if (part === undefined) return;
      const { data } = part;
      const size = data?.length ?? 0;
      if (this.#flying > 0 && this.#flying + size > this.#window) return;
      const { publish, maxPayload, stuck } = this.#ports;
      if (size > 0 && size + HEAD_BYTES > maxPayload()) {
        return stuck(`The NATS server takes messages of ${maxPayload()} bytes only by now.`);
      }
      if (!publish(this.#encode(this.#sent + 1, part))) return;
      if (known === undefined) this.#keep(part);
      this.#sent += 1;
      this.#flying += size;
    }
  }

  /**
   * The other side has taken all up to `taken`.
   *
   * @returns whether that is news
   * @throws ProtocolError when it can't be
   */
  acknowledge(taken: number): boolean {
    if (taken <= this.#taken) return false;
    const count = taken - this.#taken;
    if (count > this.#parts.length) {
      const last = this.#taken + this.#parts.length;
      throw new ProtocolError(`packet ${taken} was taken, and ${last} was the last that was sent`);
    }
    // After a step back it may have taken what was not sent again.
    let flying = this.#sent - this.#taken;
    const released = this.#parts.splice(0, count);
    for (const { data } of released) {
      this.#held -= data?.length ?? 0;
      if (flying > 0) this.#flying -= data?.length ?? 0;
      flying -= 1;
    }
    this.#taken = taken;
    this.#sent = Math.max(this.#sent, taken);
    this.#pauseMs = FIRST_PAUSE_MS;
    for (const part of released) part.released?.();
    return true;
  }

  /**
   * Sends all from this number on again. Who asks for it over and over, and takes nothing, is made to wait: what
   * it asks for is far less than what it gets.
   */
  goBack(sequence: number): void {
    if (sequence > this.#sent || sequence <= this.#taken) return;
    const now = this.#ports.now();
    if (now < this.#patienceUntil) return;
    this.#patienceUntil = now + this.#pauseMs;
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    const [from, to] = [sequence - 1 - this.#taken, this.#sent - this.#taken];
    for (const { data } of this.#parts.slice(from, to)) this.#flying -= data?.length ?? 0;
    this.#sent = sequence - 1;
    this.pump();
  }

  clear(): void {
    this.#parts.length = 0;
    this.#waiting.length = 0;
    this.#ending = false;
  }

  /** The next part of what waits, of a size that goes out now. It still waits. */
  #cut(): Part | undefined {
    const [next] = this.#waiting;
    if (next === undefined) {
      return this.#ending ? { data: undefined, more: false, released: undefined } : undefined;
    }
    const share = Math.floor(this.#window / PART_SHARE);
    const most = Math.max(1, Math.min(share, this.#ports.maxPayload() - HEAD_BYTES));
    if (next.data.length <= most) return { data: next.data, more: false, released: next.released };
    return { data: next.data.subarray(0, most), more: true, released: undefined };
  }

  /** A part was sent, and waits no more. */
  #keep(part: Part): void {
    this.#parts.push(part);
    if (part.data === undefined) this.#ending = false;
    else if (!part.more) this.#waiting.shift();
    else {
      const [next] = this.#waiting;
      if (next) next.data = next.data.subarray(part.data.length);
    }
  }

  #encode(sequence: number, { data, more }: Part): Uint8Array {
    const taken = this.#ports.taken();
    if (data !== undefined) return encodeData(sequence, taken, more, data);
    return encodePacket({ kind: NatsKind.NATS_END, sequence, taken, reason: this.#reason });
  }
}
