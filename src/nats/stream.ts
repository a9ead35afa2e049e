/**
 * What makes a stream of two subjects: packets in order, each once, with backpressure and an end.
 * `proto/skein/v1/nats.proto` describes what is said. It knows nothing of NATS but that messages may be
 * lost, and that the server tells when nobody hears them.
 */
import type { Env, Timer } from '../env.ts';
import { type ChannelHandlers, type CloseReason, oversized } from '../transport/transport.ts';
import { plain } from '../wire/plain.ts';
import { encodePacket, NatsKind, type NatsPacket } from './packet.ts';
import { MAX_REASON, PART_SHARE, Sender } from './sender.ts';

export interface StreamLimits {
  /** Bytes that may be on the way to this side. */
  readonly windowBytes: number;
  /** Largest packet that is taken from the peer, in bytes. */
  readonly maxPacketBytes: number;
  /** After `close`: milliseconds without progress until the stream is given up. */
  readonly closeTimeoutMs: number;
  /** A peer that nobody hears, or a server that is not reached, is given up after so many milliseconds. */
  readonly goneAfterMs: number;
}

export const defaultStreamLimits = {
  windowBytes: 512 * 1024,
  maxPacketBytes: 8 * 1024 * 1024,
  closeTimeoutMs: 2_000,
} as const;

export interface StreamPorts {
  readonly env: Env;
  readonly limits: StreamLimits;
  /**
   * Publishes a message to the other side.
   *
   * @param asks whether the server shall say, by `absent`, that nobody hears it
   * @returns false when there is no connection to a server: nothing was done
   */
  publish(message: Uint8Array, asks: boolean): boolean;
  /** Largest message that the server takes, in bytes. */
  maxPayload(): number;
  /** The stream has ended, also where no handlers were given. */
  ended?(): void;
}

/** How often each side says how far it is. */
const TICK_MS = 1_000;
/** The same while the other side seems to be gone, or to have missed something. */
const SHORT_TICK_MS = 500;
/** The same while it surely goes away. */
const ORPHAN_TICK_MS = 50;

export class Stream {
  readonly #ports: StreamPorts;
  readonly #handlers: ChannelHandlers;
  #timer: Timer | undefined;
  #open = true;
  /** The other side has said how much it takes: packets may go out. */
  #begun = false;
  #closing: CloseReason | undefined;
  #deadline: Timer | undefined;

  readonly #sender: Sender;
  #full = false;

  /** The last number that came in order, and the last that the owner has. */
  #heard = 0;
  #handled = 0;
  /** Bytes that were taken since the other side was told. */
  #untold = 0;
  /** The number that the other side was asked to begin again with, in this tick. */
  #asked = 0;
  /** Parts of a packet that is not whole yet. */
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #paused = false;
  /** What came while the owner did not want it. */
  readonly #waiting: NatsPacket[] = [];
  #waitingBytes = 0;

  #downSince: number | undefined;
  #absentSince: number | undefined;
  /** The server has said so since the last question. */
  #absent = false;
  /** The other side will never come back. */
  #orphaned = false;

  constructor(ports: StreamPorts, handlers: ChannelHandlers) {
    this.#ports = ports;
    this.#handlers = handlers;
    const { env, limits } = ports;
    this.#sender = new Sender(
      {
        now: () => env.now(),
        publish: (message) => ports.publish(message, false),
        maxPayload: () => ports.maxPayload(),
        taken: () => {
          this.#untold = 0;
          return this.#handled;
        },
        // Its owner may be calling.
        stuck: (message) => env.soon(() => this.reset({ code: 'lost', message })),
      },
      limits.windowBytes,
    );
  }

  /** Both sides have agreed: what was sent goes out. `window` is what the other side takes. */
  begin(window: number): void {
    if (this.#begun || !this.#open) return;
    this.#begun = true;
    this.#schedule(TICK_MS);
    this.#sender.begin(window);
  }

  send(packet: Uint8Array, released?: () => void): boolean {
    if (!this.#open || this.#closing !== undefined) return false;
    if (packet.length === 0) throw new TypeError('A packet has at least one byte.');
    this.#sender.add(packet, released);
    this.#full = this.#sender.isFull;
    return !this.#full;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#waiting.length > 0) this.#ports.env.soon(() => this.#handleWaiting());
  }

  close(reason: CloseReason): void {
    if (!this.#open || this.#closing !== undefined) return;
    this.#closing = reason;
    // What still arrives is dropped, and must not stand in the way of the end.
    this.#paused = false;
    this.#sender.finish(reason.message);
    this.#setDeadline(reason);
    if (this.#waiting.length > 0) this.#ports.env.soon(() => this.#handleWaiting());
  }

  /** Ends at once; the other side sees a loss. */
  reset(reason: CloseReason): void {
    if (!this.#open) return;
    const message = { kind: NatsKind.NATS_RESET, reason: reason.message.slice(0, MAX_REASON) };
    this.#ports.publish(encodePacket(message), false);
    this.end(reason);
  }

  /** A message from the other side. */
  receive(packet: NatsPacket): void {
    if (!this.#open || !this.#begun) return;
    this.#absentSince = undefined;
    this.#absent = false;
    this.#acknowledge(packet.taken);
    if (!this.#open) return;
    switch (packet.kind) {
      case NatsKind.NATS_DATA:
      case NatsKind.NATS_END:
        return this.#hear(packet);
      case NatsKind.NATS_STATE:
        if (packet.sequence > this.#heard) this.#askAgain();
        return;
      case NatsKind.NATS_AGAIN:
        return this.#sender.goBack(packet.sequence);
      case NatsKind.NATS_RESET: {
        const why = packet.reason === '' ? 'it knows nothing of the link' : plain(packet.reason);
        return this.end({ code: 'lost', message: `The other side has given the link up: ${why}` });
      }
    }
  }

  /** The server says that nobody hears what was published to the other side. */
  absent(): void {
    if (!this.#open || !this.#begun) return;
    if (this.#orphaned) {
      // What the owner does not want yet, it gets first.
      if (this.#waiting.length > 0) return;
      const message = 'The other side is gone: its process has ended, and nobody hears it on NATS.';
      return this.reset({ code: 'lost', message });
    }
    this.#absent = true;
    if (this.#absentSince !== undefined) return;
    this.#absentSince = this.#ports.env.now();
    this.#schedule(SHORT_TICK_MS);
  }

  /**
   * The process of the other side has ended. The server lets nobody wait for the last words of a connection:
   * when it says that nobody hears, they are here.
   */
  orphan(): void {
    if (!this.#open || !this.#begun) return;
    this.#orphaned = true;
    this.#tell(true);
    this.#schedule(ORPHAN_TICK_MS);
  }

  /** There is no connection to a server. */
  down(): void {
    if (!this.#open) return;
    this.#downSince ??= this.#ports.env.now();
    if (this.#begun) this.#schedule(SHORT_TICK_MS);
  }

  /** There is one again. */
  up(): void {
    this.#downSince = undefined;
    if (!this.#open || !this.#begun) return;
    // What was on the way may be lost: both sides say how far they are.
    this.#tell(true);
    this.#sender.pump();
  }

  /** The other side has taken all up to `taken`. */
  #acknowledge(taken: number): void {
    try {
      if (!this.#sender.acknowledge(taken)) return;
    } catch (cause) {
      const message = `What the other side says can't be: ${(cause as Error).message}.`;
      return this.reset({ code: 'protocol', message, cause });
    }
    if (this.#closing !== undefined) {
      if (this.#sender.isDone) return this.end(this.#closing);
      this.#setDeadline(this.#closing);
    }
    this.#sender.pump();
    if (!this.#full || !this.#sender.hasRoom || this.#closing !== undefined) return;
    this.#full = false;
    this.#handlers.drain();
  }

  #hear(packet: NatsPacket): void {
    if (!this.#open) return;
    if (packet.sequence > this.#heard + 1) return this.#askAgain();
    if (packet.sequence <= this.#heard) {
      // The other side does not know that it was taken.
      return this.#tell(false);
    }
    this.#heard = packet.sequence;
    this.#asked = 0;
    if (!this.#paused && this.#waiting.length === 0) return this.#handle(packet);
    if (this.#waitingBytes > this.#ports.limits.windowBytes) {
      const message = 'The other side sends more than this one takes.';
      return this.reset({ code: 'protocol', message });
    }
    this.#waiting.push(packet);
    this.#waitingBytes += packet.data?.length ?? 0;
  }

  #handleWaiting(): void {
    while (this.#open && !this.#paused) {
      const packet = this.#waiting.shift();
      if (packet === undefined) return;
      this.#waitingBytes -= packet.data?.length ?? 0;
      this.#handle(packet);
    }
  }

  #handle({ kind, sequence, data, more, reason }: NatsPacket): void {
    this.#handled = sequence;
    if (kind === NatsKind.NATS_END) {
      this.#tell(false);
      const message = reason === '' ? 'The other side has closed the link.' : plain(reason);
      return this.end({ code: 'closed', message });
    }
    if (data === undefined || data.length === 0) {
      return this.reset({ code: 'protocol', message: 'A packet without any bytes arrived.' });
    }
    this.#untold += data.length;
    // As much as a part has at most: a sender with no room is never left waiting.
    if (this.#untold * PART_SHARE >= this.#ports.limits.windowBytes) this.#tell(false);
    if (this.#closing !== undefined) return;
    const { maxPacketBytes } = this.#ports.limits;
    const bytes = this.#pieceBytes + data.length;
    if (bytes > maxPacketBytes) {
      const cause = oversized(bytes, maxPacketBytes);
      return this.reset({ code: 'protocol', message: cause.message, cause });
    }
    if (more || this.#pieces.length > 0) {
      this.#pieces.push(data);
      this.#pieceBytes = bytes;
      if (more) return;
    }
    this.#deliver(this.#pieces.length > 0 ? this.#whole() : data);
  }

  #whole(): Uint8Array {
    const packet = new Uint8Array(this.#pieceBytes);
    let at = 0;
    for (const piece of this.#pieces) {
      packet.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [];
    this.#pieceBytes = 0;
    return packet;
  }

  #deliver(packet: Uint8Array): void {
    try {
      this.#handlers.packet(packet);
    } catch (cause) {
      const what = cause instanceof Error ? cause.message : String(cause);
      this.reset({ code: 'protocol', message: `A packet could not be handled: ${what}`, cause });
    }
  }

  /** Asks for what is missing, once for each tick. */
  #askAgain(): void {
    const sequence = this.#heard + 1;
    if (this.#asked === sequence) return;
    this.#asked = sequence;
    const again = { kind: NatsKind.NATS_AGAIN, sequence, taken: this.#handled };
    this.#ports.publish(encodePacket(again), false);
    this.#schedule(SHORT_TICK_MS);
  }

  /** Says how far this side is. */
  #tell(asks: boolean): void {
    const state = { kind: NatsKind.NATS_STATE, sequence: this.#sender.sent, taken: this.#handled };
    if (this.#ports.publish(encodePacket(state), asks)) this.#untold = 0;
  }

  #schedule(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#ports.env.timer(ms, () => this.#tick());
  }

  #tick(): void {
    if (!this.#open) return;
    const { env, limits } = this.#ports;
    const { goneAfterMs } = limits;
    const now = env.now();
    if (this.#downSince !== undefined && now - this.#downSince >= goneAfterMs) {
      const message = `There is no connection to a NATS server since ${goneAfterMs} ms.`;
      return this.reset({ code: 'lost', message });
    }
    if (this.#absentSince !== undefined && now - this.#absentSince >= goneAfterMs) {
      const message = `The other side is gone: nobody hears it on NATS since ${goneAfterMs} ms.`;
      return this.reset({ code: 'lost', message });
    }
    // No word of the server on the last question: somebody hears.
    if (!this.#absent && this.#downSince === undefined) this.#absentSince = undefined;
    this.#absent = false;
    this.#asked = 0;
    this.#tell(true);
    const troubled = this.#absentSince !== undefined || this.#downSince !== undefined;
    const calm = troubled ? SHORT_TICK_MS : TICK_MS;
    this.#schedule(this.#orphaned ? ORPHAN_TICK_MS : calm);
  }

  #setDeadline(reason: CloseReason): void {
    this.#deadline?.cancel();
    const { env, limits } = this.#ports;
    this.#deadline = env.timer(limits.closeTimeoutMs, () => this.reset(reason));
  }

  /** Ends at once, and tells nobody but the owner. */
  end(reason: CloseReason): void {
    if (!this.#open) return;
    this.#open = false;
    this.#timer?.cancel();
    this.#deadline?.cancel();
    this.#sender.clear();
    this.#waiting.length = 0;
    this.#pieces = [];
    this.#ports.ended?.();
    this.#handlers.closed(this.#closing ?? reason);
  }
}
