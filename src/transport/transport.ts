/**
 * What a transport adapter is: a way to open channels to a worker and to accept them.
 *
 * A channel carries packets of bytes both ways, in order, each at most once. It does not repair
 * anything: when a packet may have been lost, the channel closes with a reason, and the layers above
 * decide what that means for the calls. Links number their packets, so that one which is missing, cut
 * or doubled all the same is noticed when the next one comes.
 */

import type { WorkerAbout } from '../discovery/discovery.ts';

import { ProtocolError } from '../errors.ts';

/** Why a channel (and the link on it) ended. */
export interface CloseReason {
  readonly code: /** One side closed on purpose, after its work was done. */
    | 'closed'
    /** The connection never came up: no packet that was sent has reached the peer. */
    | 'unreachable'
    /** The connection broke: the peer died, or the network did. */
    | 'lost'
    /** The peer spoke, but not this protocol: malformed bytes, wrong order, a limit exceeded. */
    | 'protocol'
    /** The Hello was refused: another protocol version, another identity, a worker that is draining. */
    | 'refused';
  /** One sentence for people. */
  readonly message: string;
  readonly cause?: unknown;
  /** With `refused`: the worker stops, and nothing is wrong. */
  readonly stopping?: boolean;
}

/**
 * What a channel tells its owner. No call comes before `open`, none after `closed`, and none while
 * the owner is calling the channel.
 */
export interface ChannelHandlers {
  /**
   * One packet arrived. The bytes belong to the owner.
   * A handler that throws ends the channel: with `protocol` here, with `lost` for the peer.
   */
  packet(bytes: Uint8Array): void;
  /** `send` may be called again after it had returned false. */
  drain(): void;
  /** The channel ended. Called exactly once. Packets that were sent may or may not have arrived. */
  closed(reason: CloseReason): void;
}

export interface Channel {
  /** The other side, for logs: an address, or what the adapter knows of it. */
  readonly remote: string;
  /** Starts the flow of packets to `handlers`. Called exactly once, before anything else. */
  open(handlers: ChannelHandlers): void;
  /**
   * Takes one packet; the bytes must not be changed until `released` is called, or ever. It is not
   * called when the channel ends before.
   * Returns false when the channel is full: it still took this packet, and the owner holds back
   * further ones until `drain`. After `close`, or the end, it does nothing and returns false.
   *
   * @throws TypeError when the packet is empty
   */
  send(packet: Uint8Array, released?: () => void): boolean;
  /** Stops the flow of packets to the owner, so that the sender meets backpressure. */
  pause(): void;
  resume(): void;
  /**
   * Ends the channel once what was sent is out; what still arrives is dropped. `closed` follows: here
   * with this reason, for the peer with the code `closed`. A peer that takes nothing more is waited
   * for only so long, and then sees `lost`.
   */
  close(reason: CloseReason): void;
}

/** What a worker answers on behalf of its whole process, beside links. */
export interface ListenerService {
  /** A caller opened a channel. The service must `open` it at once. */
  link(channel: Channel): void;
  /**
   * Someone asks the worker to stop; resolves when no task runs any more. It must not wait for the
   * listener to close: that waits for the answer to this.
   */
  stop(grace: number | undefined): Promise<void>;
  status(): WorkerStatus;
}

export interface WorkerStatus {
  readonly uid: string;
  /** Tasks running now. */
  readonly inFlight: number;
  /** Milliseconds since the last task ended; 0 while tasks run. */
  readonly idleMs: number;
  readonly draining: boolean;
  /** Milliseconds since it started. */
  readonly uptimeMs: number;
  readonly about?: WorkerAbout | undefined;
}

export interface Listener {
  /** Where callers reach it; the port is the real one, also when 0 was asked for. */
  readonly address: string;
  /** Takes no new channels, ends those that are open, and frees the address. */
  close(): Promise<void>;
}

/** The caller's half of a transport. */
export interface Dialer {
  /** Address schemes that it serves, e.g. `['tcp', 'unix']`. */
  readonly schemes: readonly string[];
  /**
   * Opens a channel to `address`. The channel is given at once and connects by itself;
   * a failure arrives as `closed` with `unreachable`.
   */
  connect(address: string): Channel;
}

export interface Transport extends Dialer {
  /** Listens on `address`. Rejects with `ListenError` when the address can't be used. */
  listen(address: string, service: ListenerService): Promise<Listener>;
}

/**
 * The one that serves the address.
 *
 * @throws ProtocolError when there is none
 */
export function dialerOf<D extends Dialer>(dialers: readonly D[], address: string): D {
  const scheme = address.slice(0, address.indexOf(':'));
  const dialer = dialers.find(({ schemes }) => schemes.includes(scheme));
  if (!dialer) throw new ProtocolError(`no transport for the address ${address}`);
  return dialer;
}
