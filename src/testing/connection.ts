/** One connection between simulated processes. */
import type {
  Channel,
  ChannelHandlers,
  CloseReason,
  ListenerService,
} from '../transport/transport.ts';
import type { Appointment, Clock } from './clock.ts';
import type { SimulatedProcess } from './process.ts';
import type { Random } from './random.ts';

/** What an observer is told of a network. */
export interface NetworkObserver {
  connected(link: LinkEnds): void;
  /** One side learned that it is over. */
  disconnected(link: LinkEnds, side: SimulatedProcess, reason: string): void;
  sent(link: LinkEnds, from: SimulatedProcess, packet: Uint8Array): void;
  /** @param sentAt when it was handed to the connection */
  arrived(link: LinkEnds, from: SimulatedProcess, packet: Uint8Array, sentAt: number): void;
}

/** The two processes of a connection. */
export interface LinkEnds {
  readonly id: string;
  readonly caller: SimulatedProcess;
  readonly worker: SimulatedProcess | undefined;
}

/** How the next packet is spoilt. */
export type Damage = 'duplicate' | 'truncate' | 'lose';

/** A process that listens. */
export interface Host {
  readonly process: SimulatedProcess;
  readonly service: ListenerService;
}

export interface NetworkOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds that a packet takes, at least and at most. */
  readonly delayMs: readonly [least: number, most: number];
  readonly observer: NetworkObserver;
}

/** What a connection needs of the network that it belongs to. */
export interface Wire {
  readonly options: NetworkOptions;
  /** Whoever listens at an address. */
  host(address: string): Host | undefined;
  /** Milliseconds that a packet takes. */
  delay(): number;
  /** Milliseconds until the process reads its next packet; with 0 it is said to read one now. */
  readMs(process: SimulatedProcess): number;
  /** Whether nothing of one process reaches the other. */
  isSilent(from: SimulatedProcess, to: SimulatedProcess): boolean;
  /** What happens to the packet that is sent next. */
  takeDamage(from: SimulatedProcess, to: SimulatedProcess): Damage | undefined;
  /** A packet of so many bytes was sent; so many are on the way with it. */
  noteSent(bytes: number, onTheWay: number): void;
  /** Both sides of a connection are over. */
  forget(connection: Connection): void;
}

/** Bytes on the way to one side that make a connection full. */
export const FULL_BYTES = 16 * 1024;
/** After `close`: milliseconds in which the other side must have taken what was sent. */
const CLOSE_TIMEOUT_MS = 2_000;

const NOBODY: CloseReason = { code: 'unreachable', message: 'Nobody listens there.' };
const PEER_CLOSED: CloseReason = { code: 'closed', message: 'The other side closed the link.' };
const PEER_LOST: CloseReason = { code: 'lost', message: 'The connection was lost.' };

/** One connection, from a caller's `connect` to its end. */
export class Connection {
  readonly id: string;
  readonly network: Wire;
  /** The side that connected. */
  readonly near: End;
  /** The side that listened; undefined until it was reached. */
  far: End | undefined;

  constructor(network: Wire, id: string, process: SimulatedProcess, address: string) {
    this.network = network;
    this.id = id;
    this.near = new End(this, process, address);
  }

  get ends(): LinkEnds {
    return { id: this.id, caller: this.near.process, worker: this.far?.process };
  }

  endOf(process: SimulatedProcess): End | undefined {
    if (this.near.process === process) return this.near;
    return this.far?.process === process ? this.far : undefined;
  }

  other(end: End): End | undefined {
    return end === this.near ? this.far : this.near;
  }

  /** The connecting side is ready: looks for the listening one. */
  dial(address: string): void {
    const { clock, observer } = this.network.options;
    const { process } = this.near;
    clock.after(this.network.delay(), () => {
      const host = this.network.host(address);
      if (host === undefined) {
        process.enter(() => this.near.end(NOBODY));
        return;
      }
      // As on a network that answers nothing: whoever connects waits.
      if (this.network.isSilent(process, host.process)) return;
      this.far = new End(this, host.process, process.name);
      if (this.network.isSilent(host.process, process)) this.far.mute();
      observer.connected(this.ends);
      const { far } = this;
      host.process.enter(() => host.service.link(far));
      this.near.flush();
    });
  }

  /** Both sides are told that it is lost, each when it hears of it. */
  break(): void {
    const { clock } = this.network.options;
    for (const end of [this.near, this.far]) {
      if (end === undefined) continue;
      end.mute();
      clock.after(this.network.delay(), () => end.process.enter(() => end.end(PEER_LOST)));
    }
  }

  /** Nothing arrives any more, and nobody is told. */
  mute(): void {
    this.near.mute();
    this.far?.mute();
  }

  ended(end: End, reason: CloseReason): void {
    const { observer } = this.network.options;
    if (this.far) observer.disconnected(this.ends, end.process, reason.message);
    this.forgetIfOver();
  }

  /** A side is over when it was told so, or is dead. */
  forgetIfOver(): void {
    const isOver = (one: End | undefined) => one === undefined || one.isOver || one.process.isDead;
    if (isOver(this.near) && isOver(this.far)) this.network.forget(this);
  }
}

interface Packet {
  readonly bytes: Uint8Array;
  readonly sentAt: number;
}

/** One side of a connection. */
export class End implements Channel {
  readonly remote: string;
  readonly process: SimulatedProcess;
  /** Resolves when this side has ended. */
  readonly ended: Promise<void>;
  readonly #connection: Connection;
  #handlers: ChannelHandlers | undefined;
  #closing: CloseReason | undefined;
  #deadline: Appointment | undefined;
  #finished: () => void = () => {};
  #over = false;
  /** What it sent before there was another side. */
  #unsent: Packet[] = [];
  /** Bytes that the other side has not taken. */
  #onTheWay = 0;
  #full = false;
  #muted = false;
  /** When the last packet that it sent arrives. */
  #lastArrival = 0;
  /** What has arrived and was not taken. */
  #arrived: Packet[] = [];
  /** How much of what the other side may have on the way each of these frees when it is taken. */
  readonly #counted: number[] = [];
  #paused = false;
  /** Its process is slow, and reads the next packet later. */
  #waits = false;
  /** The other side has closed, and sends no more than what has arrived. */
  #peerClosing: (() => void) | undefined;

  constructor(connection: Connection, process: SimulatedProcess, remote: string) {
    this.#connection = connection;
    this.process = process;
    this.remote = remote;
    this.ended = new Promise((resolve) => {
      this.#finished = resolve;
    });
  }

  get isOver(): boolean {
    return this.#over;
  }

  open(handlers: ChannelHandlers): void {
    this.#handlers = handlers;
    if (this.#connection.near === this) this.#connection.dial(this.remote);
    else this.process.env.turn(() => this.#take());
  }

  send(bytes: Uint8Array, released?: () => void): boolean {
    if (this.#handlers === undefined || this.#closing !== undefined) return false;
    if (bytes.length === 0) throw new TypeError('A packet has at least one byte.');
    const { network, ends } = this.#connection;
    const packet = { bytes: Uint8Array.from(bytes), sentAt: network.options.clock.now };
    released?.();
    network.options.observer.sent(ends, this.process, packet.bytes);
    this.#onTheWay += bytes.length;
    network.noteSent(bytes.length, this.#onTheWay);
    this.#full = this.#onTheWay >= FULL_BYTES;
    if (this.#other === undefined) this.#unsent.push(packet);
    else this.#transmit(packet);
    return !this.#full;
  }

  pause(): void {
    if (this.#closing === undefined) this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.process.env.turn(() => this.#take());
  }

  close(reason: CloseReason): void {
    if (this.#handlers === undefined || this.#closing !== undefined) return;
    this.#closing = reason;
    const { network } = this.#connection;
    const { clock } = network.options;
    // What still arrives is dropped.
    this.resume();
    this.#deadline = clock.after(CLOSE_TIMEOUT_MS, () => {
      this.process.enter(() => this.end(reason));
      const other = this.#other;
      if (!this.#muted) other?.process.enter(() => other.end(PEER_LOST));
    });
    const other = this.#other;
    if (other === undefined) {
      this.process.env.turn(() => this.end(reason));
      return;
    }
    if (this.#muted) return;
    this.#arrive(other, () => {
      other.#peerClosing = () => {
        other.end(PEER_CLOSED);
        clock.after(network.delay(), () => this.process.enter(() => this.end(reason)));
      };
      other.#take();
    });
  }

  /** What this side sends does not arrive any more. */
  mute(): void {
    this.#muted = true;
  }

  /** Sends what waited for another side. */
  flush(): void {
    for (const packet of this.#unsent) this.#transmit(packet);
    this.#unsent = [];
  }

  /** Tells the owner, once, that the connection ended. The reason it gave itself comes first. */
  end(reason: CloseReason): void {
    const handlers = this.#handlers;
    if (this.#over) return;
    this.#over = true;
    this.#handlers = undefined;
    this.#arrived = [];
    this.#unsent = [];
    this.#deadline?.cancel();
    this.#finished();
    this.#connection.ended(this, this.#closing ?? reason);
    handlers?.closed(this.#closing ?? reason);
  }

  get #other(): End | undefined {
    return this.#connection.other(this);
  }

  #transmit(packet: Packet): void {
    const other = this.#other;
    if (other === undefined || this.#muted) return;
    const { network } = this.#connection;
    const damage = network.takeDamage(this.process, other.process);
    const { bytes, sentAt } = packet;
    const copies = damage === 'duplicate' ? [bytes, bytes.slice()] : [bytes];
    for (const [i, copy] of copies.entries()) {
      this.#arrive(other, () => {
        // The second copy was never counted as sent.
        const counted = i === 0 ? bytes.length : 0;
        if (damage === 'lose') return this.#taken(counted);
        const seen = damage === 'truncate' ? truncate(copy, network.options.random) : copy;
        other.#arrived.push({ bytes: seen, sentAt });
        other.#counted.push(counted);
        other.#take();
      });
    }
  }

  /** Runs `fn` in the other process after what was sent before has arrived. */
  #arrive(other: End, fn: () => void): void {
    const { network } = this.#connection;
    const { clock } = network.options;
    const at = Math.max(this.#lastArrival, clock.now + network.delay());
    this.#lastArrival = at;
    clock.after(at - clock.now, () => {
      if (!this.#muted) other.process.enter(fn);
    });
  }

  /** Gives what has arrived to the owner, one packet in each turn. */
  #take(): void {
    if (this.#waits || this.#paused || this.#handlers === undefined) return;
    const { network } = this.#connection;
    const ms = this.#arrived.length > 0 ? network.readMs(this.process) : 0;
    if (ms > 0) {
      this.#waits = true;
      network.options.clock.after(ms, () =>
        this.process.enter(() => {
          this.#waits = false;
          this.#take();
        }),
      );
      return;
    }
    const packet = this.#arrived.shift();
    const other = this.#other;
    if (packet === undefined) {
      this.#peerClosing?.();
      return;
    }
    const bytes = this.#counted.shift() ?? 0;
    if (other !== undefined) other.#taken(bytes);
    if (this.#closing === undefined) this.#deliver(this.#handlers, packet);
    if (this.#arrived.length > 0 || this.#peerClosing) this.process.env.turn(() => this.#take());
  }

  #deliver(handlers: ChannelHandlers, { bytes, sentAt }: Packet): void {
    const { observer } = this.#connection.network.options;
    const other = this.#other;
    if (other) observer.arrived(this.#connection.ends, other.process, bytes, sentAt);
    try {
      handlers.packet(bytes);
    } catch (cause) {
      const message = `A packet could not be handled: ${cause instanceof Error ? cause.message : cause}`;
      this.#connection.break();
      this.end({ code: 'protocol', message, cause });
    }
  }

  /** The other side has taken bytes that this one sent. */
  #taken(bytes: number): void {
    this.#onTheWay -= bytes;
    if (!this.#full || this.#onTheWay > FULL_BYTES / 2) return;
    this.#full = false;
    const { network } = this.#connection;
    network.options.clock.after(network.delay(), () =>
      this.process.enter(() => {
        if (this.#closing === undefined) this.#handlers?.drain();
      }),
    );
  }
}

/** The packet without some of its last bytes. */
function truncate(packet: Uint8Array, random: Random): Uint8Array {
  return packet.subarray(0, 1 + random.below(Math.max(1, packet.length - 1)));
}
