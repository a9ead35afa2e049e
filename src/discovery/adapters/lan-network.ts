/** The networks that a machine is in, of which some may come and go. */
import type { Env, Timer } from '../../env.ts';
import { DiscoveryError } from '../../errors.ts';
import type { Warn } from '../warning.ts';
import { type Interface, isOnLink, type ListInterfaces, listInterfaces } from './interfaces.ts';
import { Outbox } from './lan-outbox.ts';
import {
  type DnsRecord,
  LanSocket,
  type MulticastGroup,
  type Packet,
  type Question,
} from './lan-socket.ts';

/** How often it looks for interfaces that have come or gone. */
const LOOK_MS = 1_000;

export interface NetworkOptions {
  readonly env: Env;
  readonly group: MulticastGroup;
  /** Names or addresses of the interfaces to use; undefined: all but that of the machine itself. */
  readonly interfaces?: readonly string[] | undefined;
  readonly list?: ListInterfaces | undefined;
  readonly warn: Warn;
}

/** Whoever wants to hear of what happens on the networks. */
export interface NetworkUser {
  opened?(segment: Segment): void;
  closed?(segment: Segment): void;
  query?(segment: Segment, packet: Packet, source: string): void;
  response?(segment: Segment, packet: Packet, source: string): void;
}

/** One network. */
export class Segment {
  readonly interface: Interface;
  readonly socket: LanSocket;
  readonly #id: number;
  readonly #outbox = new Outbox();

  constructor(iface: Interface, socket: LanSocket, id: number) {
    this.interface = iface;
    this.socket = socket;
    this.#id = id;
  }

  ask(questions: Question[]): Promise<void> {
    return this.#outbox.send(() => this.socket.ask(this.#id, questions));
  }

  say(records: readonly DnsRecord[]): Promise<void> {
    return this.#outbox.send(() => this.socket.say(this.#id, records));
  }
}

/** The sockets, one for each interface, while somebody uses them. */
export class Network {
  readonly #options: NetworkOptions;
  readonly #users = new Set<NetworkUser>();
  readonly #segments = new Map<string, Segment>();
  /** Tells our own packets from those of others. */
  readonly #id: number;
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;
  /** Whether an interface was found to be of no use. */
  #failure: unknown;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#id = 1 + Math.floor(options.env.random() * 0xffff);
  }

  get segments(): Iterable<Segment> {
    return this.#segments.values();
  }

  isOwn({ id }: Packet): boolean {
    return id === this.#id;
  }

  /** Whether packets from there come from this machine. */
  isLocal(source: string): boolean {
    return listInterfaces(this.#options.list).some(({ address }) => address === source);
  }

  /**
   * Resolves when all networks are open that there are now. Those that were open already are not told of.
   *
   * @throws DiscoveryError (as a rejection) when this machine lets nobody hear a network
   */
  async use(user: NetworkUser): Promise<void> {
    const known = this.#users.has(user);
    this.#users.add(user);
    this.#looking ??= this.#look();
    await this.#looking;
    if (known || this.#segments.size > 0 || this.#failure === undefined) return;
    await this.leave(user);
    const { ip, port } = this.#options.group;
    const why = String(this.#failure);
    throw new DiscoveryError(
      `Workers can't be announced or found on the network: UDP port ${port} (group ${ip}) can't be ` +
        `used here (${why}). Perhaps another program has it for itself.`,
    );
  }

  async leave(user: NetworkUser): Promise<void> {
    if (!this.#users.delete(user) || this.#users.size > 0) return;
    await this.#looking;
    if (this.#users.size > 0) return;
    this.#looking = undefined;
    this.#timer?.cancel();
    const segments = [...this.#segments.values()];
    this.#segments.clear();
    await Promise.all(segments.map(({ socket }) => socket.close()));
  }

  async #look(): Promise<void> {
    const { env, interfaces, warn } = this.#options;
    const there = this.#wanted();
    if (there.size === 0 && interfaces !== undefined) {
      warn('none', `no network can be used for discovery: ${interfaces.join(', ')} is not up`);
    }
    for (const [key, segment] of this.#segments) {
      if (!there.has(key)) this.#close(key, segment);
    }
    for (const [key, iface] of there) {
      if (!this.#segments.has(key)) await this.#open(key, iface);
    }
    this.#timer = env.timer(LOOK_MS, () => {
      this.#looking = this.#look();
    });
  }

  async #open(key: string, iface: Interface): Promise<void> {
    const { group, warn } = this.#options;
    try {
      const socket = await LanSocket.open(iface, group, {
        query: (packet, source) => this.#tell('query', key, packet, source),
        response: (packet, source) => this.#tell('response', key, packet, source),
        failed: (error) => warn('socket', `the network ${iface.name} has failed: ${String(error)}`),
      });
      const segment = new Segment(iface, socket, this.#id);
      this.#segments.set(key, segment);
      this.#failure = undefined;
      for (const user of this.#users) user.opened?.(segment);
    } catch (error) {
      // An interface may have gone while it was opened; it is tried again.
      this.#failure = error;
      warn('open', `the network ${iface.name} can't be used for discovery: ${String(error)}`);
    }
  }

  #close(key: string, segment: Segment): void {
    this.#segments.delete(key);
    for (const user of this.#users) user.closed?.(segment);
    void segment.socket.close();
  }

  #wanted(): Map<string, Interface> {
    const { interfaces, list } = this.#options;
    const all = listInterfaces(list);
    const external = all.filter(({ internal }) => !internal);
    const wanted =
      interfaces !== undefined
        ? all.filter(({ name, address }) => interfaces.some((i) => i === name || i === address))
        : external.length > 0
          ? external
          : all;
    return new Map(wanted.map((iface) => [`${iface.name} ${iface.address}`, iface]));
  }

  #tell(kind: 'query' | 'response', key: string, packet: Packet, source: string): void {
    const segment = this.#segments.get(key);
    // A socket hears what comes in on other interfaces, too.
    if (segment === undefined || !isOnLink(segment.interface, source)) return;
    for (const user of this.#users) user[kind]?.(segment, packet, source);
  }
}
