/**
 * What a transport adapter is: a way to open channels to a worker and to accept them.
 *
 * A channel carries packets of bytes both ways, in order, each at most once. It does not repair
 * anything: when a packet may have been lost, the channel closes with a reason, and the layers above
 * decide what that means for the calls. Links number their packets, so that one which is missing, cut
 * or doubled all the same is noticed when the next one comes.
 */

import type { WorkerAbout } from '../discovery/discovery.ts';
import { LimitExceeded, ProtocolError } from '../errors.ts';
import type { AuthkeyGiven } from '../security/authkey.ts';
import type { PeerIdentity } from '../security/names.ts';

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
  /** With `closed`: the worker had nothing to do on the link for long, and takes a new one at any time. */
  readonly idle?: boolean;
}

/**
 * The cause of `unreachable` where nobody was asked, for a reason on this side: a right that it lacks, say. To
 * ask again is of no use until that changes.
 */
export class CannotAsk extends Error {
  constructor(message: string) {
    super(message);
    Object.defineProperty(this, 'name', { value: 'CannotAsk' });
  }
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
  /** Who the caller is, by the certificate that it has shown. Undefined: it has shown none; and at a caller's end. */
  readonly peer?: PeerIdentity | undefined;
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
  /**
   * The process of the other side has ended, as the owner knows from elsewhere: the channel ends as soon as
   * what was sent last is here. A channel without it notices the end by itself, at once.
   */
  orphan?(): void;
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
  /** Somebody has exceeded a limit that holds before there is a link. Default: nobody counts. */
  breached?(error: LimitExceeded, remote: string): void;
  /**
   * Whether a caller is let in, to link or to ask; a transport that knows callers by certificates asks before
   * anything else. Never throws or rejects. Absent: all are.
   */
  admits?(peer: PeerIdentity | undefined): boolean | Promise<boolean>;
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
  /** How often peers have exceeded its limits, by the names of these. */
  readonly breaches?: Readonly<Record<string, number>> | undefined;
}

export interface Listener {
  /** Where callers reach it; the port is the real one, also when 0 was asked for. */
  readonly address: string;
  /** Takes no new channels, ends those that are open, and frees the address. */
  close(): Promise<void>;
}

/** What a worker is asked beside links: to end, and how it is (`Stop` and `Status` of worker.proto). */
export type WorkerMethod = 'stop' | 'status';

/** The caller's half of a transport. */
export interface Dialer {
  /**
   * Address schemes that it serves, e.g. `['tcp', 'unix']`; with those of beats, e.g. `beat+nats`, where the
   * transport brings its own.
   */
  readonly schemes: readonly string[];
  /**
   * Opens a channel to `address`. The channel is given at once and connects by itself;
   * a failure arrives as `closed` with `unreachable`.
   */
  connect(address: string): Channel;
  /**
   * Asks a worker something that needs no link. Request and answer are messages of worker.proto. Absent:
   * its workers can't be asked.
   *
   * @param options.timeoutMs the answer must have come after so many milliseconds. Default: it may take as
   * long as it likes
   * @throws TypeError when the address is none
   * @throws WorkerUnreachable when there is no answer
   * @throws AuthenticationError when the two sides do not trust each other, by authkeys or certificates
   */
  call?(
    address: string,
    method: WorkerMethod,
    request: Uint8Array,
    options?: { readonly timeoutMs?: number | undefined },
  ): Promise<Uint8Array>;
}

/** Both halves. */
export interface BaseTransport extends Dialer {
  /** Listens on `address`. Rejects with `ListenError` when the address can't be used. */
  listen(address: string, service: ListenerService): Promise<Listener>;
}

/** How another process makes a transport. */
export interface TransportRecipe {
  /**
   * The URL of a file, or the name of a package's export: a module that exports
   * `transportOf(options): Transport`.
   */
  readonly module: string;
  /** What JSON can hold. The authkey is not among them: the other process guards the transport itself. */
  readonly options: unknown;
}

/** How a thread answers for a worker while a task blocks its event loop. */
export interface BeatRecipe {
  /** Where it is asked; who has the address can end a worker that has its process for itself. */
  readonly address: string;
  /**
   * The URL of a JavaScript module, which no loader touches, that exports
   * `serveBeat(setup, answer, warn): Promise<void>`. `answer(packet)` gives the packet to send back, or
   * undefined for one that breaks the protocol, whose sender is to be hung up on; `warn(text)` is for people.
   */
  readonly module: string;
  /** What structured clone can copy. */
  readonly setup: unknown;
}

/** What carries links between pools and workers: gRPC, which is always there, and others beside it. */
export interface Transport extends BaseTransport {
  /** An address to listen on at which it chooses what is left open, e.g. `tcp://127.0.0.1:0`. */
  readonly anywhere: string;
  /**
   * The same, whose ends show each other that they have the secret before anything else passes. A link whose
   * other end has another one, or none, closes with `refused`.
   *
   * @throws TypeError when the authkey is empty, or no key
   */
  guarded(authkey: AuthkeyGiven): Transport;
  /** How a process that a pool spawns makes the same. Absent: it is not for spawned workers. */
  readonly recipe?: TransportRecipe | undefined;
  /**
   * How a thread answers on this transport for a worker that listens at an address of it. Absent: its workers
   * have no beat there, and one whose tasks block it for longer than `lostAfter` is taken for dead.
   */
  beat?(listening: string): BeatRecipe;
}

/** Why a channel ends on which a packet came that is larger than it takes. */
export function oversized(bytes: number, most: number): LimitExceeded {
  const message = `A packet of ${bytes} bytes arrived; the limit is ${most}.`;
  return new LimitExceeded(message, { limit: 'maxEnvelopeBytes', value: bytes, max: most });
}

/** The scheme of an address: `tcp` of `tcp://host:port`. */
export function schemeOf(address: string): string {
  return address.slice(0, Math.max(0, address.indexOf(':')));
}

/**
 * The one that serves the address.
 *
 * @throws ProtocolError when there is none
 */
export function dialerOf<D extends Dialer>(dialers: readonly D[], address: string): D {
  const scheme = schemeOf(address);
  const dialer = dialers.find(({ schemes }) => schemes.includes(scheme));
  if (!dialer) throw new ProtocolError(noTransport(address));
  return dialer;
}

/** Why none of the addresses of a worker can be dialed; undefined where one can. */
export function unserved(
  dialers: readonly Dialer[],
  { address, alternatives = [] }: { address: string; alternatives?: readonly string[] | undefined },
): string | undefined {
  const schemes = dialers.flatMap((dialer) => dialer.schemes);
  if ([address, ...alternatives].some((one) => schemes.includes(schemeOf(one)))) return undefined;
  return noTransport(address);
}

/** What is wrong, and what to do, if that is known. */
export function noTransport(address: string): string {
  const isNats = schemeOf(address) === 'nats';
  const remedy = isNats ? ': give `transport: natsTransport(...)`, of skein/nats' : '';
  return `no transport for the address ${address}${remedy}`;
}
