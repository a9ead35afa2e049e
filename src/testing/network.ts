/** A network of simulated processes: connections that take their time, and break in every way. */
import { ListenError } from '../errors.ts';
import type { BaseTransport, Listener } from '../transport/transport.ts';
import { SimulatedBeat } from './beat.ts';
import {
  Connection,
  type Damage,
  FULL_BYTES,
  type Host,
  type NetworkOptions,
  type Wire,
} from './connection.ts';
import type { SimulatedProcess } from './process.ts';

export class Network implements Wire {
  readonly #options: NetworkOptions;
  readonly #hosts = new Map<string, Host>();
  readonly #connections = new Set<Connection>();
  /** `from to` of processes of which nothing of one reaches the other. */
  readonly #silences = new Map<string, number>();
  readonly #damages = new Map<string, Damage[]>();
  readonly #slow = new Map<SimulatedProcess, number>();
  /** When slow processes will read their next packet. */
  readonly #readAt = new Map<SimulatedProcess, number>();
  /** Processes by the addresses of the threads that answer for them. */
  readonly #beating = new Map<string, SimulatedProcess>();
  /** Those that died with their machines, so that nobody answers for them. */
  readonly #vanished = new Set<SimulatedProcess>();
  #links = 0;
  #mostOnTheWay = 0;
  #largestPacket = 0;

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  get options(): NetworkOptions {
    return this.#options;
  }

  /** Most bytes that were on the way to one side of a connection at a time. */
  get mostOnTheWay(): number {
    return this.#mostOnTheWay;
  }

  /** A connection takes no more than that, and the one packet that made it full. */
  get mostAllowed(): number {
    return FULL_BYTES + this.#largestPacket;
  }

  noteSent(bytes: number, onTheWay: number): void {
    this.#largestPacket = Math.max(this.#largestPacket, bytes);
    this.#mostOnTheWay = Math.max(this.#mostOnTheWay, onTheWay);
  }

  /** Connections of a process that have not ended. */
  connectionsOf(process: SimulatedProcess): number {
    let count = 0;
    for (const connection of this.#connections) if (connection.endOf(process)) count += 1;
    return count;
  }

  /** What `process` has of the network: addresses like `sim://worker-1`. */
  transport(process: SimulatedProcess): BaseTransport {
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
      connection.forgetIfOver();
    }
  }

  /** Runs `fn` when what `from` sends now arrives at `to`, if it does. */
  readonly travel = (from: SimulatedProcess, to: SimulatedProcess, fn: () => void): void => {
    if (!this.isSilent(from, to)) this.#options.clock.after(this.delay(), fn);
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

  /** From now on the process takes `delayMs` longer for each packet, until that is taken back. */
  slow(process: SimulatedProcess, delayMs: number): void {
    this.#slow.set(process, (this.#slow.get(process) ?? 0) + delayMs);
  }

  delay(): number {
    const [least, most] = this.#options.delayMs;
    return this.#options.random.between(least, most);
  }

  readMs(process: SimulatedProcess): number {
    const ms = Math.max(0, (this.#readAt.get(process) ?? 0) - this.#options.clock.now);
    if (ms === 0) {
      const slow = this.#slow.get(process) ?? 0;
      if (slow > 0) this.#readAt.set(process, this.#options.clock.now + slow);
    }
    return ms;
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
