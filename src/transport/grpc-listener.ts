/** Serves gRPC on an address of its own, with connections that it knows, and can end. */
import { once } from 'node:events';
import type { Server as NetServer, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server, ServerCredentials, type ServerOptions } from '@grpc/grpc-js';
import { type LimitExceeded, ListenError } from '../errors.ts';
import type { Authkey } from '../security/authkey.ts';
import { exceeded } from '../security/breaches.ts';
import { Challenges } from '../security/challenges.ts';
import { defaultPeerLimits, type PeerLimits } from '../security/limits.ts';
import type { PeerIdentity } from '../security/names.ts';
import type { CredentialSource } from '../security/source.ts';
import { type Address, formatAddress, parseAddress } from './address.ts';
import { type Admits, authorizer } from './grpc-authorize.ts';
import type { ChannelLimits } from './grpc-channel.ts';
import { guard, registerChallenge } from './grpc-guard.ts';
import { hurry } from './grpc-hurry.ts';
import { listenProblem } from './listen-problem.ts';
import { Strangers } from './strangers.ts';
import { type ConnectionHandlers, createListener } from './tls-listener.ts';
import type { Listener } from './transport.ts';

export interface ServerSettings {
  readonly limits: ChannelLimits;
  readonly peerLimits?: PeerLimits | undefined;
  /** What is shown to callers; undefined for plain text. */
  readonly credentials?: CredentialSource | undefined;
  readonly options: ServerOptions;
  /** What callers must show that they have. */
  readonly authkey: Authkey | undefined;
  /** Which callers are let in, of those that have shown a certificate. Default: all. */
  readonly admits?: Admits | undefined;
  /** Takes what people should know. Default: nobody does. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** What is served. */
export interface GrpcService {
  register(server: Server, connections: Connections): void;
  /** Ends the calls that go on by themselves; the server waits for it before it cuts connections. */
  end(): Promise<unknown>;
  /** Somebody has exceeded a limit. Default: nobody counts. */
  breached?(error: LimitExceeded, remote: string): void;
}

/** Streams at a time on one connection: a link, and some questions. */
const MAX_STREAMS = 32;

/**
 * TCP's own keepalive: the kernel of the caller's host answers it, however busy the caller is. One
 * whose host or network is gone is noticed after this time and some ten seconds of probes.
 */
const TCP_KEEPALIVE = { keepAlive: true, keepAliveInitialDelay: 30_000 };

/**
 * Listens on the address, and serves there.
 *
 * @throws ListenError that says what to do
 * @throws CredentialsError when there are none yet, or OpenSSL does not take them
 */
export async function listenGrpc(
  text: string,
  service: GrpcService,
  settings: ServerSettings,
): Promise<Listener> {
  const address = listenAddress(text);
  const { credentials, warn = () => {} } = settings;
  await credentials?.ready();
  const { peerLimits = defaultPeerLimits } = settings;
  const strangers = new Strangers(peerLimits, (error, socket) =>
    service.breached?.(error, `${address.scheme}://${hostOf(socket)}`),
  );
  const connections = new Connections(settings.authkey !== undefined, strangers);
  const server = new Server(serverOptions(settings, connections));
  // A server socket of our own in place of grpc-js's bind: it gives plain errors, writes nothing to
  // stderr, and knows its connections, so that one whose caller no longer reads can be cut. TLS is done
  // in front of grpc-js, which knows nothing of it: see docs/decisions/025-tls-in-front-of-grpc.md.
  const { injectConnection } = server.createConnectionInjector(ServerCredentials.createInsecure());
  registerChallenge(server, settings.authkey, (peer) => connections.challenges(peer));
  service.register(server, connections);

  const handlers: ConnectionHandlers = {
    accepted: (socket) => connections.accept(socket, credentials !== undefined),
    ready: (socket, raw, peer) => {
      connections.add(socket, raw, peer);
      injectConnection(socket);
    },
  };
  const net = createListener(credentials, TCP_KEEPALIVE, handlers, warn);
  const { maxLinks, maxStrangers } = peerLimits;
  net.maxConnections = maxLinks + maxStrangers;
  net.on('drop', ({ remoteAddress = 'this machine' } = {}) => {
    const what = `${net.maxConnections + 1} connections at a time`;
    const error = exceeded('maxLinks', net.maxConnections + 1, maxLinks, what);
    service.breached?.(error, `${address.scheme}://${remoteAddress}`);
  });
  await bind(net, address);
  let closed: Promise<void> | undefined;
  const close = async () => {
    const freed = once(net, 'close');
    net.close();
    // On Node 24 it calls back before the answers to calls in progress are out.
    server.tryShutdown(() => {});
    const finished = connections.closed();
    await service.end();
    // Calls such as Stop have a little time for their answers.
    await Promise.race([
      finished,
      sleep(settings.limits.closeTimeoutMs, undefined, { ref: false }),
    ]);
    connections.cut();
    await freed;
  };
  return {
    address: formatAddress(realAddress(net, address)),
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

function serverOptions(
  { options, authkey, admits, peerLimits = defaultPeerLimits }: ServerSettings,
  connections: Connections,
): ServerOptions {
  const { helloTimeoutMs } = peerLimits;
  const interceptors = [hurry(helloTimeoutMs, (peer) => connections.get(peer)?.destroy())];
  if (authkey !== undefined) {
    const challengesOf = (peer: string) => connections.challenges(peer);
    interceptors.push(guard(authkey, challengesOf, (peer) => connections.prove(peer)));
  }
  if (admits !== undefined) {
    interceptors.push(authorizer(admits, (peer) => connections.identity(peer)));
  }
  return { 'grpc.max_concurrent_streams': MAX_STREAMS, ...options, interceptors };
}

/** A connection that grpc-js has. */
interface Connection {
  readonly socket: Socket;
  /** The one that was accepted. */
  readonly raw: Socket;
  readonly peer: PeerIdentity | undefined;
  readonly remote: string;
  readonly challenges: Challenges;
}

/** The open connections, by what grpc-js says is the peer of a call. */
export class Connections {
  /** All that were accepted. */
  readonly #open = new Set<Socket>();
  readonly #known = new Map<string, Connection>();
  readonly #guarded: boolean;
  readonly #strangers: Strangers;
  #named = 0;

  /** @param guarded whether callers must show an authkey */
  constructor(guarded: boolean, strangers: Strangers) {
    this.#guarded = guarded;
    this.#strangers = strangers;
  }

  /** @param secure whether a TLS handshake follows */
  accept(socket: Socket, secure: boolean): void {
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    if (secure || this.#guarded) this.#strangers.add(socket);
  }

  /** grpc-js gets the connection. */
  add(socket: Socket, raw: Socket, peer: PeerIdentity | undefined): void {
    const { remoteAddress, remotePort } = socket;
    const name = this.#name(socket);
    const remote = remotePort === undefined ? name : `${remoteAddress}:${remotePort}`;
    const connection = { socket, raw, peer, remote, challenges: new Challenges() };
    this.#known.set(name, connection);
    if (!this.#guarded) this.#strangers.remove(raw);
    socket.once('close', () => {
      if (this.#known.get(name) === connection) this.#known.delete(name);
    });
  }

  get(peer: string): Socket | undefined {
    return this.#known.get(peer)?.socket;
  }

  /** Where the caller is, for people; its name where it has no address. */
  remote(peer: string): string {
    return this.#known.get(peer)?.remote ?? peer;
  }

  /** Who the caller is, by its certificate; undefined where it shows none. */
  identity(peer: string): PeerIdentity | undefined {
    return this.#known.get(peer)?.peer;
  }

  /** Its caller has shown the authkey. */
  prove(peer: string): void {
    const connection = this.#known.get(peer);
    if (connection) this.#strangers.remove(connection.raw);
  }

  /** The nonces that were given out on the connection. */
  challenges(peer: string): Challenges | undefined {
    return this.#known.get(peer)?.challenges;
  }

  /** Resolves when those that are open now have closed. */
  async closed(): Promise<void> {
    const close = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve));
    await Promise.all([...this.#open].map(close));
  }

  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /**
   * What grpc-js gives for the peer of its calls, which it reads from the socket. Addresses would not do: two
   * connections may come from the same one, to different addresses of this machine.
   */
  #name(socket: Socket): string {
    hosts.set(socket, hostOf(socket));
    this.#named += 1;
    const name = `caller-${this.#named}`;
    Object.defineProperty(socket, 'remoteAddress', { value: name });
    Object.defineProperty(socket, 'remotePort', { value: undefined });
    return name;
  }
}

/** Of the sockets that grpc-js was to know by other names. */
const hosts = new WeakMap<Socket, string>();

function hostOf(socket: Socket): string {
  return hosts.get(socket) ?? socket.remoteAddress ?? 'this machine';
}

function listenAddress(text: string): Address {
  try {
    return parseAddress(text);
  } catch (cause) {
    throw new ListenError((cause as TypeError).message, { cause });
  }
}

/** @throws ListenError that says what to do */
async function bind(net: NetServer, address: Address): Promise<void> {
  if (address.scheme === 'unix') net.listen({ path: address.path });
  else net.listen({ host: address.host, port: address.port });
  try {
    await once(net, 'listening');
  } catch (cause) {
    throw new ListenError(listenProblem(address, cause as NodeJS.ErrnoException), { cause });
  }
  // From now on this means that a connection could not be accepted. Its caller learns it by itself.
  net.on('error', () => {});
}

function realAddress(net: NetServer, address: Address): Address {
  const real = net.address();
  if (address.scheme === 'unix' || real === null || typeof real === 'string') return address;
  return { ...address, port: real.port };
}
