/** The worker's end over gRPC: a listener, and its ends of the links. */
import { once } from 'node:events';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Metadata,
  Server,
  type ServerCredentials,
  type ServerDuplexStream,
  type ServerOptions,
} from '@grpc/grpc-js';
import { ListenError } from '../errors.ts';
import { type Address, formatAddress, parseAddress } from './address.ts';
import { registerCalls } from './grpc-calls.ts';
import { type ChannelLimits, GrpcChannel, identity, LINK_PATH } from './grpc-channel.ts';
import type { ChannelHandlers, CloseReason, Listener, ListenerService } from './transport.ts';

export interface ServerSettings {
  readonly limits: ChannelLimits;
  readonly credentials: ServerCredentials;
  readonly options: ServerOptions;
}

/**
 * TCP's own keepalive: the kernel of the caller's host answers it, however busy the caller is. One
 * whose host or network is gone is noticed after this time and some ten seconds of probes.
 */
const TCP_KEEPALIVE_MS = 30_000;

const LISTENER_CLOSED: CloseReason = { code: 'closed', message: 'The worker stopped listening.' };

/**
 * Listens on the address, and serves links and calls there.
 *
 * @throws ListenError that says what to do
 */
export async function serveGrpc(
  text: string,
  service: ListenerService,
  settings: ServerSettings,
): Promise<Listener> {
  const address = listenAddress(text);
  const server = new Server(settings.options);
  // A server socket of our own in place of grpc-js's bind: it gives plain errors, writes nothing to
  // stderr, and knows its connections, so that one whose caller no longer reads can be cut.
  const { injectConnection } = server.createConnectionInjector(settings.credentials);
  const connections = new Connections(injectConnection);
  const links = new Set<ServerChannel>();

  registerCalls(server, service);
  const link = (stream: ServerDuplexStream<Buffer, Buffer>) => {
    const socket = connections.get(stream.getPeer());
    const remote = `${address.scheme}://${stream.getPeer()}`;
    const channel = new ServerChannel(stream, socket, remote, settings.limits, links);
    service.link(channel);
  };
  server.register(LINK_PATH, link, identity, identity, 'bidi');

  const net = await bind(address, (socket) => connections.add(socket));
  let closed: Promise<void> | undefined;
  const close = async () => {
    const freed = once(net, 'close');
    net.close();
    // On Node 24 it calls back before the answers to calls in progress are out.
    server.tryShutdown(() => {});
    const finished = connections.closed();
    const ends = [...links].map((channel) => channel.released);
    for (const channel of links) channel.close(LISTENER_CLOSED);
    await Promise.all(ends);
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

/** The open connections, by what grpc-js says is the peer of a call. */
class Connections {
  readonly #sockets = new Map<string, Socket>();
  readonly #inject: (socket: Socket) => void;
  #accepted = 0;

  constructor(inject: (socket: Socket) => void) {
    this.#inject = inject;
  }

  add(socket: Socket): void {
    const peer = this.#name(socket);
    this.#sockets.set(peer, socket);
    socket.once('close', () => this.#sockets.delete(peer));
    this.#inject(socket);
  }

  get(peer: string): Socket | undefined {
    return this.#sockets.get(peer);
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

/**
 * The worker's end of a link. grpc-js gives `end`, then `cancelled`, when the caller has finished and
 * when it has died; only the mark of the caller's end (see grpc-client.ts) tells one from the other.
 */
class ServerChannel extends GrpcChannel {
  readonly remote: string;
  /** Resolves when the channel has ended. */
  readonly released: Promise<void>;
  readonly #stream: ServerDuplexStream<Buffer, Buffer>;
  readonly #socket: Socket | undefined;
  #release: () => void = () => {};
  #marked = false;

  constructor(
    stream: ServerDuplexStream<Buffer, Buffer>,
    socket: Socket | undefined,
    remote: string,
    limits: ChannelLimits,
    links: Set<ServerChannel>,
  ) {
    super(limits);
    this.remote = remote;
    this.#stream = stream;
    this.#socket = socket;
    links.add(this);
    this.released = new Promise((resolve) => {
      this.#release = () => {
        links.delete(this);
        resolve();
      };
    });
  }

  open(handlers: ChannelHandlers): void {
    const stream = this.#stream;
    stream.on('end', () => {
      // Flushes what was written, and gives the caller its status.
      stream.end();
      if (this.#marked) this.ended({ code: 'closed', message: 'The caller closed the link.' });
      else this.#lost();
    });
    // After `finish`, this says that all is out.
    stream.on('cancelled', () => this.#lost());
    this.start(stream, handlers);
    // Tells the caller that it is connected.
    stream.sendMetadata(new Metadata());
  }

  protected override receive(bytes: Buffer): void {
    this.#marked = bytes.length === 0;
    super.receive(bytes);
  }

  protected finish(): void {
    this.#stream.end();
  }

  protected cut(): void {
    this.#socket?.destroy();
  }

  protected release(): void {
    this.#release();
  }

  #lost(): void {
    this.ended({ code: 'lost', message: `The connection from ${this.remote} is lost.` });
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

function listenProblem(address: Address, error: NodeJS.ErrnoException): string {
  const what = `Can't listen on ${formatAddress(address)}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return address.scheme === 'unix'
        ? `${what}: the file exists. A worker listens there, or one that was killed left it: choose another path, or remove the file.`
        : `${what}: the port is taken. Choose another port, or 0 for any that is free.`;
    case 'EACCES':
      return address.scheme === 'unix'
        ? `${what}: there is no such directory, or this user may not write in it.`
        : `${what}: this user may not use that port. Choose one above 1023, or 0 for any that is free.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${what}: this host has no such address. 0.0.0.0 and [::] stand for all that it has.`;
    default:
      return `${what}: ${error.message}.`;
  }
}

function realAddress(net: NetServer, address: Address): Address {
  const real = net.address();
  if (address.scheme === 'unix' || real === null || typeof real === 'string') return address;
  return { ...address, port: real.port };
}
