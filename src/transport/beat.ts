/**
 * Channels to the thread that answers for a worker's process, at addresses such as
 * `beat+unix:///path` and `beat+tcp://host:port`. A packet is one of `wire/beat.js`.
 */
import { connect, type Socket } from 'node:net';
import { BeatReader } from '../wire/beat.js';
import { parseAddress } from './address.ts';
import type { Channel, ChannelHandlers, CloseReason, Dialer } from './transport.ts';

const PREFIX = 'beat+';

/** The address with the scheme of a beat: `beat+tcp://...` for `tcp://...`. */
export function toBeatAddress(address: string): string {
  return `${PREFIX}${address}`;
}

/**
 * The address below a beat's: `tcp://...` for `beat+tcp://...`.
 *
 * @throws TypeError when it is no address of a beat
 */
export function beatTarget(address: string): string {
  if (!address.startsWith(PREFIX)) {
    throw new TypeError(`"${address}" is not the address of a beat: it starts with no "beat+".`);
  }
  return address.slice(PREFIX.length);
}

export function beatTransport(): Dialer {
  return {
    schemes: ['beat+tcp', 'beat+unix'],
    connect: (address) => new BeatChannel(address),
  };
}

class BeatChannel implements Channel {
  readonly remote: string;
  #handlers: ChannelHandlers | undefined;
  #socket: Socket | undefined;
  #connected = false;
  #closing: CloseReason | undefined;

  constructor(address: string) {
    this.remote = address;
  }

  open(handlers: ChannelHandlers): void {
    this.#handlers = handlers;
    let socket: Socket;
    try {
      const target = parseAddress(beatTarget(this.remote));
      socket = connect(target.scheme === 'unix' ? { path: target.path } : target);
    } catch (cause) {
      const { message } = cause as Error;
      setImmediate(() => this.#end({ code: 'unreachable', message, cause }));
      return;
    }
    this.#socket = socket;
    // Whoever waits for something keeps the process alive; this does not.
    socket.unref();
    const reader = new BeatReader();
    socket.on('connect', () => {
      this.#connected = true;
    });
    socket.on('data', (bytes) => {
      for (const packet of reader.read(bytes)) this.#handlers?.packet(packet);
    });
    socket.on('drain', () => this.#handlers?.drain());
    let cause: Error | undefined;
    socket.on('error', (error) => {
      cause = error;
    });
    socket.on('close', () => {
      const why = cause === undefined ? '' : `: ${cause.message}`;
      if (this.#connected) {
        this.#end({ code: 'lost', message: `The beat of ${this.remote} is lost${why}.`, cause });
      } else {
        const message = `No beat answers at ${this.remote}${why}.`;
        this.#end({ code: 'unreachable', message, cause });
      }
    });
  }

  send(packet: Uint8Array, released?: () => void): boolean {
    if (this.#socket === undefined || this.#closing !== undefined) return false;
    if (packet.length === 0) throw new TypeError('A packet has at least one byte.');
    return this.#socket.write(packet, () => released?.());
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  close(reason: CloseReason): void {
    if (this.#closing !== undefined) return;
    this.#closing = reason;
    // Nothing that was sent is worth waiting for.
    this.#socket?.destroy();
  }

  #end(reason: CloseReason): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    this.#socket = undefined;
    handlers?.closed(this.#closing ?? reason);
  }
}
