/** What both ends of a gRPC Link stream have in common: the flow of packets, from open to closed. */
import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';
import { type Channel, type ChannelHandlers, type CloseReason, oversized } from './transport.ts';

export const LINK_PATH = '/skein.v1.Worker/Link';

export interface ChannelLimits {
  /** Largest packet that is taken from the peer, in bytes. */
  readonly maxPacketBytes: number;
  /** Bytes that may wait to be written before `send` says that the channel is full. */
  readonly maxUnsentBytes: number;
  /** After `close`: milliseconds without progress until the stream is cut off. */
  readonly closeTimeoutMs: number;
}

type LinkStream = ClientDuplexStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>;

/** Envelopes travel as the bytes they are. */
export const identity = (bytes: Buffer): Buffer => bytes;

/** Requests that are no links: a number, a name. */
const MAX_REQUEST_BYTES = 1_024;

/** @throws RangeError when a request is larger than any that means something; gRPC answers that for it */
export function small(request: Buffer): Buffer {
  if (request.length <= MAX_REQUEST_BYTES) return request;
  throw new RangeError(`a request of ${request.length} bytes`);
}

export abstract class GrpcChannel implements Channel {
  abstract readonly remote: string;
  readonly #limits: ChannelLimits;
  #stream: LinkStream | undefined;
  #handlers: ChannelHandlers | undefined;
  #closing: CloseReason | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #unsent = 0;
  #full = false;

  constructor(limits: ChannelLimits) {
    this.#limits = limits;
  }

  abstract open(handlers: ChannelHandlers): void;

  /** Ends this side's half of the stream once what was written is out. */
  protected abstract finish(): void;

  /** Gives the stream up at once; the peer sees a loss. */
  protected abstract cut(reason: CloseReason): void;

  /** The channel has ended, for the reason: gives back what belongs to it. */
  protected abstract release(reason: CloseReason): void;

  /** Starts the flow. Part of `open`. */
  protected start(stream: LinkStream, handlers: ChannelHandlers): void {
    this.#stream = stream;
    this.#handlers = handlers;
    stream.on('data', (bytes: Buffer) => this.receive(bytes));
    // Reading must start even when the owner pauses before the first packet: a stream of grpc-js
    // that was never read takes in everything that arrives.
    stream.read(0);
  }

  send(packet: Uint8Array, released?: () => void): boolean {
    const stream = this.#stream;
    if (stream === undefined || this.#closing !== undefined) return false;
    const size = packet.length;
    if (size === 0) throw new TypeError('A packet has at least one byte.');
    this.#unsent += size;
    const ready = stream.write(asBuffer(packet), () => {
      released?.();
      this.#written(size);
    });
    if (ready && this.#unsent < this.#limits.maxUnsentBytes) return true;
    this.#full = true;
    return false;
  }

  pause(): void {
    if (this.#closing === undefined) this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  close(reason: CloseReason): void {
    const stream = this.#stream;
    if (stream === undefined || this.#closing !== undefined) return;
    this.#closing = reason;
    this.#deadline = setTimeout(() => this.#fail(reason), this.#limits.closeTimeoutMs).unref();
    this.finish();
    // What still arrives is dropped, and must not stand in the way of the end.
    stream.resume();
  }

  /** Tells the owner, once, that the channel ended. The reason it gave itself comes first. */
  protected ended(reason: CloseReason): void {
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    this.#handlers = undefined;
    this.#stream?.resume();
    this.#stream = undefined;
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    const why = this.#closing ?? reason;
    this.release(why);
    handlers.closed(why);
  }

  protected receive(bytes: Buffer): void {
    this.#deadline?.refresh();
    if (this.#handlers === undefined || this.#closing !== undefined || bytes.length === 0) return;
    const { maxPacketBytes } = this.#limits;
    if (bytes.length > maxPacketBytes) {
      const cause = oversized(bytes.length, maxPacketBytes);
      return this.#fail({ code: 'protocol', message: cause.message, cause });
    }
    try {
      this.#handlers.packet(bytes);
    } catch (cause) {
      const what = cause instanceof Error ? cause.message : String(cause);
      this.#fail({ code: 'protocol', message: `A packet could not be handled: ${what}`, cause });
    }
  }

  #fail(reason: CloseReason): void {
    this.cut(reason);
    this.ended(reason);
  }

  #written(size: number): void {
    this.#unsent -= size;
    this.#deadline?.refresh();
    if (!this.#full || this.#unsent > this.#limits.maxUnsentBytes / 2) return;
    if (this.#stream?.writableNeedDrain || this.#closing !== undefined) return;
    this.#full = false;
    this.#handlers?.drain();
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
