/** Links within one process: for a worker that calls its own routines, and for simulations. */
import { type Env, systemEnv, type Timer } from '../env.ts';
import { ListenError } from '../errors.ts';
import {
  type BaseTransport,
  type Channel,
  type ChannelHandlers,
  type CloseReason,
  type Listener,
  type ListenerService,
  oversized,
} from './transport.ts';

export interface MemoryTransport extends BaseTransport {
  /**
   * What a sudden death does: frees the address, and ends every channel to it with `lost`, whatever
   * is on the way.
   */
  crash(address: string): void;
}

/** Bytes on the way to one side that make the channel full. */
const FULL_BYTES = 1024 * 1024;
/** Packets on the way to one side that make the channel full. */
const FULL_PACKETS = 1024;
/** Largest packet that is delivered. */
const MAX_PACKET_BYTES = 8 * 1024 * 1024;
/** After `close`: milliseconds in which the other side must have taken what was sent. */
const CLOSE_TIMEOUT_MS = 2000;

const LISTENER_CLOSED: CloseReason = { code: 'closed', message: 'The worker stopped listening.' };
const PEER_CLOSED: CloseReason = { code: 'closed', message: 'The other side closed the link.' };
const PEER_LOST: CloseReason = { code: 'lost', message: 'The other side is gone.' };

interface Host {
  readonly service: ListenerService;
  readonly links: Set<MemoryChannel>;
}

/**
 * A network of its own, with addresses like `memory://name`. Packets arrive in order, on a later turn
 * of `env`; their bytes are copied, so that neither side sees what the other does with them.
 */
export function memoryTransport(env: Env = systemEnv): MemoryTransport {
  const hosts = new Map<string, Host>();
  let callers = 0;

  const dial = (caller: MemoryChannel): void => {
    const host = hosts.get(caller.remote);
    if (host === undefined) {
      caller.end({ code: 'unreachable', message: `No worker answers at ${caller.remote}.` });
      return;
    }
    callers += 1;
    const worker = new MemoryChannel(env, `memory://caller-${callers}`);
    host.links.add(worker);
    void worker.ended.then(() => host.links.delete(worker));
    caller.join(worker);
    host.service.link(worker);
  };

  const free = (address: string, host: Host): void => {
    if (hosts.get(address) === host) hosts.delete(address);
  };

  const close = async (address: string, host: Host): Promise<void> => {
    free(address, host);
    const ends = [...host.links].map((link) => link.ended);
    for (const link of host.links) link.close(LISTENER_CLOSED);
    await Promise.all(ends);
  };

  return {
    schemes: ['memory'],
    connect: (address) => new MemoryChannel(env, address, dial),
    listen: async (address, service): Promise<Listener> => {
      if (!/^memory:\/\/./.test(address)) {
        throw new ListenError(`"${address}" is not an address: write memory://name.`);
      }
      if (hosts.has(address)) {
        throw new ListenError(`Can't listen on ${address}: the name is taken. Choose another one.`);
      }
      const host: Host = { service, links: new Set() };
      hosts.set(address, host);
      return { address, close: () => close(address, host) };
    },
    crash: (address) => {
      const host = hosts.get(address);
      if (host === undefined) return;
      free(address, host);
      for (const link of host.links) link.crash();
    },
  };
}

class MemoryChannel implements Channel {
  readonly remote: string;
  /** Resolves when the channel has ended. */
  readonly ended: Promise<void>;
  readonly #env: Env;
  readonly #dial: ((caller: MemoryChannel) => void) | undefined;
  #peer: MemoryChannel | undefined;
  #handlers: ChannelHandlers | undefined;
  #closing: CloseReason | undefined;
  #deadline: Timer | undefined;
  #finished: () => void = () => {};
  /** Packets that the other side has not taken yet, from index `#taken` on. */
  #sent: Uint8Array[] = [];
  #taken = 0;
  #bytes = 0;
  #full = false;
  #paused = false;
  #awake = false;

  /** With `dial`, a caller's end: it looks for its worker when it is opened. */
  constructor(env: Env, remote: string, dial?: (caller: MemoryChannel) => void) {
    this.#env = env;
    this.remote = remote;
    this.#dial = dial;
    this.ended = new Promise((resolve) => {
      this.#finished = resolve;
    });
  }

  join(peer: MemoryChannel): void {
    this.#peer = peer;
    peer.#peer = this;
  }

  open(handlers: ChannelHandlers): void {
    this.#handlers = handlers;
    if (this.#dial !== undefined) this.#env.turn(() => this.#dial?.(this));
    else this.#wake();
  }

  send(packet: Uint8Array, released?: () => void): boolean {
    if (this.#handlers === undefined || this.#closing !== undefined) return false;
    if (packet.length === 0) throw new TypeError('A packet has at least one byte.');
    this.#sent.push(Buffer.from(packet));
    released?.();
    this.#bytes += packet.length;
    this.#alert();
    this.#full = this.#bytes >= FULL_BYTES || this.#waiting >= FULL_PACKETS;
    return !this.#full;
  }

  pause(): void {
    if (this.#closing === undefined) this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#wake();
  }

  close(reason: CloseReason): void {
    if (this.#handlers === undefined || this.#closing !== undefined) return;
    this.#closing = reason;
    this.#deadline = this.#env.timer(CLOSE_TIMEOUT_MS, () => {
      this.end(reason);
      this.#peer?.end(PEER_LOST);
    });
    // What still arrives is dropped.
    this.resume();
    this.#alert();
  }

  /** The connection breaks. */
  crash(): void {
    this.#env.turn(() => {
      this.end(PEER_LOST);
      this.#peer?.end(PEER_LOST);
    });
  }

  /** Tells the owner, once, that the channel ended. The reason it gave itself comes first. */
  end(reason: CloseReason): void {
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    this.#handlers = undefined;
    this.#sent = [];
    this.#deadline?.cancel();
    this.#finished();
    handlers.closed(this.#closing ?? reason);
  }

  get #waiting(): number {
    return this.#sent.length - this.#taken;
  }

  /** Makes the other side look at what this one has sent, or that it closes. */
  #alert(): void {
    if (this.#peer !== undefined) this.#peer.#wake();
  }

  /** Looks on a later turn at what the other side has sent. */
  #wake(): void {
    if (this.#awake) return;
    this.#awake = true;
    this.#env.turn(() => {
      this.#awake = false;
      if (this.#peer !== undefined) this.#receive(this.#peer);
    });
  }

  #receive(peer: MemoryChannel): void {
    for (let left = peer.#waiting; left > 0 && !this.#paused; left -= 1) {
      if (this.#handlers === undefined) return;
      const packet = peer.#take();
      if (this.#closing === undefined) this.#deliver(this.#handlers, packet);
    }
    if (this.#handlers === undefined) return;
    peer.#drained();
    if (peer.#waiting > 0) {
      if (!this.#paused) this.#wake();
    } else if (peer.#closing !== undefined) {
      this.end(PEER_CLOSED);
      peer.end(peer.#closing);
    }
  }

  #deliver(handlers: ChannelHandlers, packet: Uint8Array): void {
    if (packet.length > MAX_PACKET_BYTES) {
      const cause = oversized(packet.length, MAX_PACKET_BYTES);
      return this.#fail({ code: 'protocol', message: cause.message, cause });
    }
    try {
      handlers.packet(packet);
    } catch (cause) {
      const what = cause instanceof Error ? cause.message : String(cause);
      this.#fail({ code: 'protocol', message: `A packet could not be handled: ${what}`, cause });
    }
  }

  #fail(reason: CloseReason): void {
    this.#env.turn(() => this.#peer?.end(PEER_LOST));
    this.end(reason);
  }

  #take(): Uint8Array {
    const packet = this.#sent[this.#taken] as Uint8Array;
    this.#taken += 1;
    this.#bytes -= packet.length;
    if (this.#taken === this.#sent.length) {
      this.#sent = [];
      this.#taken = 0;
    }
    return packet;
  }

  #drained(): void {
    if (!this.#full || this.#bytes > FULL_BYTES / 2 || this.#waiting > FULL_PACKETS / 2) return;
    this.#full = false;
    if (this.#closing === undefined) this.#handlers?.drain();
  }
}
