/**
 * Multicast DNS on one interface: the socket and the packets of bonjour-service. Its registry and its
 * browser are not used; docs/decisions/017-lan-discovery.md says why.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { Interface } from './interfaces.ts';

/** Where the packets go: for all machines of a network, or for tests alone. */
export interface MulticastGroup {
  /** An IPv4 multicast address. */
  readonly ip: string;
  readonly port: number;
}

/** That of multicast DNS, RFC 6762. */
export const MDNS: MulticastGroup = { ip: '224.0.0.251', port: 5353 };

export interface DnsRecord {
  readonly name: string;
  readonly type: string;
  readonly ttl?: number;
  readonly data?: unknown;
}

export interface Question {
  readonly name: string;
  readonly type: string;
}

/** A packet as it was read. Whoever sent it may have put anything into it. */
export interface Packet {
  readonly id: number;
  readonly questions: readonly Question[];
  readonly answers: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

export interface PacketHandlers {
  query(packet: Packet, source: string): void;
  response(packet: Packet, source: string): void;
  /** The socket is of no use any more. */
  failed(error: Error): void;
}

/** What is used of multicast-dns, which a Bonjour of bonjour-service has in its server. */
interface MulticastDns {
  on(event: 'query' | 'response', listener: (packet: Packet, from: RemoteInfo) => void): void;
  on(event: 'error' | 'warning', listener: (error: Error) => void): void;
  query(packet: { id: number; questions: Question[] }, done: (error?: Error | null) => void): void;
  respond(
    packet: { id: number; answers: readonly DnsRecord[] },
    done: (error?: Error | null) => void,
  ): void;
  destroy(done: () => void): void;
}

export interface ServiceOptions {
  readonly label: string;
  /** The name among services of its type. */
  readonly subtype: string;
  readonly port: number;
  readonly target: string;
  readonly txt: Readonly<Record<string, string>>;
}

export class LanSocket {
  readonly #mdns: MulticastDns;
  readonly #service: typeof import('bonjour-service').Service;

  private constructor(
    mdns: MulticastDns,
    { Service }: { Service: typeof import('bonjour-service').Service },
  ) {
    this.#mdns = mdns;
    this.#service = Service;
  }

  /** @throws the system's error (as a rejection) when packets can't be taken or sent there */
  static async open(
    { address }: Interface,
    group: MulticastGroup,
    { query, response, failed }: PacketHandlers,
  ): Promise<LanSocket> {
    // Loaded when it is needed: most programs do not look for workers on their network.
    const library = await import('bonjour-service');
    const socket = await join(address, group);
    const options = { socket, bind: false, multicast: false, ...group };
    const bonjour = new library.Bonjour(options as object);
    const { mdns } = (bonjour as unknown as { server: { mdns: MulticastDns } }).server;
    mdns.on('query', (packet, { address }) => query(packet, address));
    mdns.on('response', (packet, { address }) => response(packet, address));
    // Packets that are none; other devices of the network have their own ways.
    mdns.on('warning', () => {});
    mdns.on('error', failed);
    return new LanSocket(mdns, library);
  }

  /** Resolves when it was handed to the system, and rejects when that did not take it. */
  ask(id: number, questions: Question[]): Promise<void> {
    return settled((done) => this.#mdns.query({ id, questions }, done));
  }

  say(id: number, answers: readonly DnsRecord[]): Promise<void> {
    return settled((done) => this.#mdns.respond({ id, answers }, done));
  }

  /** The records of a service, but for the addresses of its host. */
  records({ label, subtype, port, target, txt }: ServiceOptions): DnsRecord[] {
    const service = new this.#service(
      { name: label, type: 'skein', port, host: target, subtypes: [subtype], txt },
      () => {},
      () => {},
    );
    return service.records().filter(({ type }) => type !== 'A' && type !== 'AAAA');
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#mdns.destroy(resolve));
  }
}

/** A socket that hears a group on one interface, sends to it there, and keeps no process alive. */
async function join(address: string, { ip, port }: MulticastGroup): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.unref();
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      // Where it is bound to its own address, Linux gives it no packets of the group.
      socket.bind(port, '0.0.0.0', () => {
        socket.off('error', reject);
        resolve();
      });
    });
    socket.addMembership(ip, address);
    socket.setMulticastInterface(address);
    socket.setMulticastTTL(255);
    socket.setMulticastLoopback(true);
  } catch (error) {
    socket.close();
    throw error;
  }
  return socket;
}

function settled(send: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    try {
      send((error) => (error ? reject(error) : resolve()));
    } catch (error) {
      reject(error);
    }
  });
}
