/** A network of simulated processes: connections that take their time, and break in every way. */
import { ListenError } from '../errors.ts';
import type {
  Channel,
  ChannelHandlers,
  CloseReason,
  Listener,
  ListenerService,
  Transport,
} from '../transport/transport.ts';
import { SimulatedBeat } from './beat.ts';
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

/** Bytes on the way to one side that make a connection full. */
const FULL_BYTES = 256 * 1024;
/** After `close`: milliseconds in which the other side must have taken what was sent. */
const CLOSE_TIMEOUT_MS = 2_000;

const NOBODY: CloseReason = { code: 'unreachable', message: 'Nobody listens there.' };
const PEER_CLOSED: CloseReason = { code: 'closed', message: 'The other side closed the link.' };
const PEER_LOST: CloseReason = { code: 'lost', message: 'The connection was lost.' };

interface Host {
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

export class Network {
  readonly #options: NetworkOptions;
  readonly #hosts = new Map<string, Host>();
  readonly #connections = new Set<Connection>();
  /** `from to` of processes of which nothing of one reaches the other. */
  readonly #silences = new Map<string, number>();
  readonly #damages = new Map<string, Damage[]>();
  readonly #slow = new Map<string, number>();
  /** Processes by the addresses of the threads that answer for them. */
  readonly #beating = new Map<string, SimulatedProcess>();
  /** Those that died with their machines, so that nobody answers for them. */
  readonly #vanished = new Set<SimulatedProcess>();
  #links = 0;

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  get options(): NetworkOptions {
    return this.#options;
  }

  /** Most bytes that were on the way to one side of a connection at a time. */
  mostOnTheWay = 0;
  /** Largest packet that was sent. */
  largestPacket = 0;

  /** A connection takes no more than that, and the one packet that made it full. */
  get mostAllowed(): number {
    return FULL_BYTES + this.largestPacket;
  }

  /** Connections of a process that have not ended. */
  connectionsOf(process: SimulatedProcess): number {
    let count = 0;
    for (const connection of this.#connections) if (connection.endOf(process)) count += 1;
    return count;
  }

  /** What `process` has of the network: addresses like `sim://worker-1`. */
  transport(process: SimulatedProcess): Transport {
    return {
      schemes: ['sim', 'beat+sim'],
      connect: (address) => {
        const beating = this.#beating.get(address);
        if (beating) return new SimulatedBeat(address, process, beating, this.travel);
        this.#links += 1;
        const connection = new Connection(this, `link-${this.#links}`, process, address);
        this.#connections.add(connection);
        return connection.near;
      },
      listen: async (address, service): Promise<Listener> => {
        if (this.#hosts.has(address)) throw new ListenError(`${address} is taken`);
        const host = { process, service };
        this.#hosts.set(address, host);
        return { address, close: () => this.#close(address, host) };
      },
    };
  }

  /** The address of the thread that answers for a process. */
  beat(process: SimulatedProcess): string {
    const address = `beat+sim://${process.name}`;
    this.#beating.set(address, process);
    return address;
  }

  /** What the death of a process does to its connections. */
  crash(process: SimulatedProcess, silent: boolean): void {
    if (silent) this.#vanished.add(process);
    for (const [address, host] of this.#hosts) {
      if (host.process === process) this.#hosts.delete(address);
    }
    for (const connection of [...this.#connections]) {
      if (connection.endOf(process) === undefined) continue;
      if (silent) connection.mute();
      else connection.break();
    }
  }

  /** Runs `fn` when what `from` sends now arrives at `to`, if it does. */
  readonly travel = (from: SimulatedProcess, to: SimulatedProcess, fn: () => void): void => {
    if (!this.isSilent(from, to)) this.#options.clock.after(this.delay(to), fn);
  };

  /** Breaks the connections between two processes; both are told. */
  cut(one: SimulatedProcess, other: SimulatedProcess): void {
    for (const connection of [...this.#connections]) {
      if (connection.endOf(one) && connection.endOf(other)) connection.break();
    }
  }

  /** Nothing of `from` reaches `to` until `restore`; what is connected now stays so. */
  silence(from: SimulatedProcess, to: SimulatedProcess): void {
    const key = `${from.name} ${to.name}`;
    this.#silences.set(key, (this.#silences.get(key) ?? 0) + 1);
    for (const connection of this.#connections) {
      if (connection.endOf(to)) connection.endOf(from)?.mute();
    }
  }

  restore(from: SimulatedProcess, to: SimulatedProcess): void {
    const key = `${from.name} ${to.name}`;
    const left = (this.#silences.get(key) ?? 0) - 1;
    if (left > 0) this.#silences.set(key, left);
    else this.#silences.delete(key);
  }

  isSilent(from: SimulatedProcess, to: SimulatedProcess): boolean {
    if (this.#vanished.has(from) || this.#vanished.has(to)) return true;
    return this.#silences.has(`${from.name} ${to.name}`);
  }

  /** Spoils the next packet. */
  damage(from: SimulatedProcess, to: SimulatedProcess, damage: Damage): void {
    const key = `${from.name} ${to.name}`;
    this.#damages.set(key, [...(this.#damages.get(key) ?? []), damage]);
  }

  takeDamage(from: SimulatedProcess, to: SimulatedProcess): Damage | undefined {
    return this.#damages.get(`${from.name} ${to.name}`)?.shift();
  }

  /** Damage that did not find a packet is taken back. */
  repair(): void {
    this.#damages.clear();
  }

  /** From now on the process takes `delayMs` for each packet that it reads; 0 for as quick as it can. */
  slow(process: SimulatedProcess, delayMs: number): void {
    this.#slow.set(process.name, delayMs);
  }

  delay(to: SimulatedProcess): number {
    const [least, most] = this.#options.delayMs;
    return this.#options.random.between(least, most) + (this.#slow.get(to.name) ?? 0);
  }

  /** The packet without some of its last bytes. */
  truncate(packet: Uint8Array): Uint8Array {
    return packet.subarray(0, 1 + this.#options.random.below(Math.max(1, packet.length - 1)));
  }

  host(address: string): Host | undefined {
    return this.#hosts.get(address);
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection);
  }

  async #close(address: string, host: Host): Promise<void> {
    if (this.#hosts.get(address) === host) this.#hosts.delete(address);
    const ends: Promise<void>[] = [];
    for (const connection of this.#connections) {
      const end = connection.far;
      if (end?.process !== host.process) continue;
      end.close({ code: 'closed', message: 'The worker stopped listening.' });
      ends.push(end.ended);
    }
    await Promise.all(ends);
  }
}

/** One connection, from a caller's `connect` to its end. */
class Connection {
  readonly id: string;
  readonly network: Network;
  /** The side that connected. */
  readonly near: End;
  /** The side that listened; undefined until it was reached. */
  far: End | undefined;

  constructor(network: Network, id: string, process: SimulatedProcess, address: string) {
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
    clock.after(this.network.delay(process), () => {
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
      clock.after(this.network.delay(end.process), () =>
        end.process.enter(() => end.end(PEER_LOST)),
      );
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
    const other = this.other(end);
    const isOver = (one: End | undefined) => one === undefined || one.isOver || one.process.isDead;
    if (isOver(end) && isOver(other)) this.network.forget(this);
  }
}

interface Packet {
  readonly bytes: Uint8Array;
  readonly sentAt: number;
}

/** One side of a connection. */
class End implements Channel {
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
    network.largestPacket = Math.max(network.largestPacket, bytes.length);
    network.mostOnTheWay = Math.max(network.mostOnTheWay, this.#onTheWay);
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
        clock.after(network.delay(this.process), () => this.process.enter(() => this.end(reason)));
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
        const seen = damage === 'truncate' ? network.truncate(copy) : copy;
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
    const at = Math.max(this.#lastArrival, clock.now + network.delay(other.process));
    this.#lastArrival = at;
    clock.after(at - clock.now, () => {
      if (!this.#muted) other.process.enter(fn);
    });
  }

  /** Gives what has arrived to the owner, one packet in each turn. */
  #take(): void {
    if (this.#paused || this.#handlers === undefined) return;
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
    network.options.clock.after(network.delay(this.process), () =>
      this.process.enter(() => {
        if (this.#closing === undefined) this.#handlers?.drain();
      }),
    );
  }
}
