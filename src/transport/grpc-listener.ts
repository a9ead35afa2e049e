/** Serves gRPC on an address of its own, with connections that it knows, and can end. */
import { once } from 'node:events';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server, type ServerCredentials, type ServerOptions } from '@grpc/grpc-js';
import { ListenError } from '../errors.ts';
import type { Authkey } from '../security/authkey.ts';
import { Challenges } from '../security/challenges.ts';
import { type Address, formatAddress, parseAddress } from './address.ts';
import type { ChannelLimits } from './grpc-channel.ts';
import { guard, registerChallenge } from './grpc-guard.ts';
import { listenProblem } from './listen-problem.ts';
import { Strangers } from './strangers.ts';
import type { Listener } from './transport.ts';

export interface ServerSettings {
  readonly limits: ChannelLimits;
  readonly credentials: ServerCredentials;
  readonly options: ServerOptions;
  /** What callers must show that they have. */
  readonly authkey: Authkey | undefined;
}

/** What is served. */
export interface GrpcService {
  register(server: Server, connections: Connections): void;
  /** Ends the calls that go on by themselves; the server waits for it before it cuts connections. */
  end(): Promise<unknown>;
}

/**
 * TCP's own keepalive: the kernel of the caller's host answers it, however busy the caller is. One
 * whose host or network is gone is noticed after this time and some ten seconds of probes.
 */
const TCP_KEEPALIVE_MS = 30_000;

/** Calls at a time on one connection, where not everyone may call. */
const MAX_GUARDED_CALLS = 32;

/**
 * Listens on the address, and serves there.
 *
 * @throws ListenError that says what to do
 */
export async function listenGrpc(
  text: string,
  service: GrpcService,
  settings: ServerSettings,
): Promise<Listener> {
  const address = listenAddress(text);
  const connections = new Connections(settings.authkey !== undefined);
  const server = new Server(serverOptions(settings, connections));
  // A server socket of our own in place of grpc-js's bind: it gives plain errors, writes nothing to
  // stderr, and knows its connections, so that one whose caller no longer reads can be cut.
  const { injectConnection } = server.createConnectionInjector(settings.credentials);
  registerChallenge(server, settings.authkey, (peer) => connections.challenges(peer));
  service.register(server, connections);

  const net = await bind(address, (socket) => {
    connections.add(socket);
    injectConnection(socket);
  });
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

function serverOptions({ options, authkey }: ServerSettings, connections: Connections) {
  if (authkey === undefined) return options;
  return {
    ...options,
    'grpc.max_concurrent_streams': MAX_GUARDED_CALLS,
    interceptors: [
      guard(
        authkey,
        (peer) => connections.challenges(peer),
        (peer) => connections.prove(peer),
      ),
    ],
  };
}

/** The open connections, by what grpc-js says is the peer of a call. */
export class Connections {
  readonly #sockets = new Map<string, Socket>();
  readonly #challenges = new WeakMap<Socket, Challenges>();
  readonly #strangers: Strangers | undefined;
  #accepted = 0;

  /** @param guarded whether callers must show an authkey */
  constructor(guarded: boolean) {
    this.#strangers = guarded ? new Strangers() : undefined;
  }

  add(socket: Socket): void {
    const peer = this.#name(socket);
    this.#sockets.set(peer, socket);
    this.#strangers?.add(socket);
    socket.once('close', () => {
      if (this.#sockets.get(peer) === socket) this.#sockets.delete(peer);
    });
  }

  get(peer: string): Socket | undefined {
    return this.#sockets.get(peer);
  }

  /** Its caller has shown the authkey. */
  prove(peer: string): void {
    const socket = this.#sockets.get(peer);
    if (socket) this.#strangers?.remove(socket);
  }

  /** The nonces that were given out on the connection. */
  challenges(peer: string): Challenges | undefined {
    const socket = this.#sockets.get(peer);
    if (socket === undefined) return undefined;
    const known = this.#challenges.get(socket);
    if (known !== undefined) return known;
    const challenges = new Challenges();
    this.#challenges.set(socket, challenges);
    return challenges;
  }

  /** Resolves when those that are open now have closed. */
  async closed(): Promise<void> {
    const close = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve));
    await Promise.all([...this.#sockets.values()].map(close));
  }

  cut(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
  }

  #name(socket: Socket): string {
    if (socket.remotePort !== undefined) return `${socket.remoteAddress}:${socket.remotePort}`;
    // The peer of a Unix socket has no address. grpc-js reads this one, so that it has a name at least.
    this.#accepted += 1;
    const name = `caller-${this.#accepted}`;
    Object.defineProperty(socket, 'remoteAddress', { value: name });
    return name;
  }
}

function listenAddress(text: string): Address {
  try {
    return parseAddress(text);
  } catch (cause) {
    throw new ListenError((cause as TypeError).message, { cause });
  }
}

async function bind(address: Address, accept: (socket: Socket) => void): Promise<NetServer> {
  const options = { keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS };
  const net = createServer(options, accept);
  if (address.scheme === 'unix') net.listen({ path: address.path });
  else net.listen({ host: address.host, port: address.port });
  try {
    await once(net, 'listening');
  } catch (cause) {
    throw new ListenError(listenProblem(address, cause as NodeJS.ErrnoException), { cause });
  }
  // From now on this means that a connection could not be accepted. Its caller learns it by itself.
  net.on('error', () => {});
  return net;
}

function realAddress(net: NetServer, address: Address): Address {
  const real = net.address();
  if (address.scheme === 'unix' || real === null || typeof real === 'string') return address;
  return { ...address, port: real.port };
}
