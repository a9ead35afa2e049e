/** The worker's end over gRPC: what it serves, and its ends of the links. */
import type { Socket } from 'node:net';
import { Metadata, type Server, type ServerDuplexStream } from '@grpc/grpc-js';
import type { PeerIdentity } from '../security/names.ts';
import { registerCalls } from './grpc-calls.ts';
import { type ChannelLimits, GrpcChannel, identity, LINK_PATH } from './grpc-channel.ts';
import { type Connections, listenGrpc, type ServerSettings } from './grpc-listener.ts';
import type { ChannelHandlers, CloseReason, Listener, ListenerService } from './transport.ts';

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
  const [scheme] = text.split('://');
  const links = new Set<ServerChannel>();
  const register = (server: Server, connections: Connections) => {
    registerCalls(server, service);
    const link = (stream: ServerDuplexStream<Buffer, Buffer>) => {
      const name = stream.getPeer();
      const caller = {
        remote: `${scheme}://${connections.remote(name)}`,
        peer: connections.identity(name),
        socket: connections.get(name),
      };
      service.link(new ServerChannel(stream, caller, settings.limits, links));
    };
    server.register(LINK_PATH, link, identity, identity, 'bidi');
  };
  const end = async () => {
    const ends = [...links].map((channel) => channel.released);
    for (const channel of links) channel.close(LISTENER_CLOSED);
    await Promise.all(ends);
  };
  const breached = service.breached?.bind(service);
  const admits = service.admits?.bind(service);
  const all = { register, end, ...(breached && { breached }) };
  return await listenGrpc(text, all, { ...settings, admits });
}

interface Caller {
  readonly remote: string;
  readonly peer: PeerIdentity | undefined;
  /** Undefined: it has gone already. */
  readonly socket: Socket | undefined;
}

/**
 * The worker's end of a link. grpc-js gives `end`, then `cancelled`, when the caller has finished and
 * when it has died; only the mark of the caller's end (see grpc-client.ts) tells one from the other.
 */
class ServerChannel extends GrpcChannel {
  readonly remote: string;
  readonly peer: PeerIdentity | undefined;
  /** Resolves when the channel has ended. */
  readonly released: Promise<void>;
  readonly #stream: ServerDuplexStream<Buffer, Buffer>;
  readonly #socket: Socket | undefined;
  readonly #closeTimeoutMs: number;
  #release: () => void = () => {};
  #marked = false;

  constructor(
    stream: ServerDuplexStream<Buffer, Buffer>,
    caller: Caller,
    limits: ChannelLimits,
    links: Set<ServerChannel>,
  ) {
    super(limits);
    this.remote = caller.remote;
    this.peer = caller.peer;
    this.#stream = stream;
    this.#closeTimeoutMs = limits.closeTimeoutMs;
    this.#socket = caller.socket;
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

  protected release({ code }: CloseReason): void {
    this.#release();
    // Who breaks the protocol need not end its side of the stream, or the connection.
    if (code !== 'protocol') return;
    const socket = this.#socket;
    setTimeout(() => socket?.destroy(), this.#closeTimeoutMs).unref();
  }

  #lost(): void {
    this.ended({ code: 'lost', message: `The connection from ${this.remote} is lost.` });
  }
}
