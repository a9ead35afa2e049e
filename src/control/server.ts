/** Serves the calls of `proto/skein/v1/pool.proto` for a durable pool. */
import { hostname } from 'node:os';
import {
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { PbfReader, PbfWriter } from 'pbf';
import { systemEnv } from '../env.ts';
import { Authkey, type AuthkeyGiven } from '../security/authkey.ts';
import type { CredentialsGiven } from '../security/credentials.ts';
import { hidePaths } from '../security/paths.ts';
import { CredentialSource } from '../security/source.ts';
import type { CallWorkerOptions } from '../transport/call-worker.ts';
import { identity } from '../transport/grpc-channel.ts';
import { registerHealth } from '../transport/grpc-health.ts';
import { listenGrpc } from '../transport/grpc-listener.ts';
import { askStatus } from '../transport/status.ts';
import type { Transport } from '../transport/transport.ts';
import { VERSION } from '../transport/version.ts';
import { readDownRequest, writePingReply } from '../wire/generated/pool.js';
import { Authorizer } from '../worker/authorize.ts';
import { POOL_PATHS, POOL_SERVICE, type PoolPlace, poolAddress } from './place.ts';
import { type ControlledWorker, encodeRoster, type WorkerState } from './workers.ts';

/** What is served: somebody who keeps workers. */
export interface ControlSource {
  /** The workers that are up now. */
  workers(): readonly ControlledWorker[];
  /** Calls `listener` after each change of them. Returns what ends that. */
  changed(listener: () => void): () => void;
  /**
   * Ends the workers, and resolves when all have ended. It may come again, with another grace time.
   *
   * @param graceMs milliseconds that tasks may go on; undefined for all that they take
   */
  down(graceMs: number | undefined): Promise<void>;
}

/** Port 0 stands for any that is free. */
export interface ServeControlOptions extends PoolPlace {
  /**
   * What callers must show that they have; the workers have the same.
   *
   * @default whoever reaches the port is let in
   */
  readonly authkey?: AuthkeyGiven | undefined;
  /**
   * What connections are made with, by TLS and no others; the workers have the same.
   *
   * @default connections are in plain text
   */
  readonly credentials?: CredentialsGiven | undefined;
  /**
   * Names in certificates, of which callers must have one.
   *
   * @default everyone is let in whose certificate is valid
   */
  readonly authorize?: readonly string[] | undefined;
  /** Takes what people should know: handshakes that fail. Default: nobody does. */
  readonly warn?: ((message: string) => void) | undefined;
  /** How the workers are asked what they do whose address is not one of gRPC. */
  readonly transport?: Transport | undefined;
  readonly source: ControlSource;
}

export interface ControlServer {
  readonly host: string;
  /** The real one. */
  readonly port: number;
  /** Resolves when nobody is answered any more: after `Down`, or `close()`. */
  readonly closed: Promise<void>;
  /** Ends the calls that watch, waits a little for answers that are on their way, and frees the port. */
  close(): Promise<void>;
}

/** A worker that has not answered by then is told of as one that stalls. */
const STATUS_TIMEOUT_MS = 1_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** Requests are small. */
const MAX_REQUEST_BYTES = 64 * 1024;

/**
 * @throws ListenError that says what to do, when the port is taken, say
 * @throws TypeError when the host, the port, the authkey or the credentials are none
 * @throws CredentialsError when a provider gives none
 */
export async function serveControl(options: ServeControlOptions): Promise<ControlServer> {
  const { authkey, authorize, source, transport, warn = () => {} } = options;
  const { address, host } = poolAddress(options);
  const credentials = CredentialSource.of(options.credentials);
  const service = new PoolService(source, { authkey, credentials, transport });
  const authorizer = authorize && new Authorizer(authorize, { env: systemEnv, warn });
  const listener = await listenGrpc(address, service, {
    limits: {
      maxPacketBytes: MAX_REQUEST_BYTES,
      maxUnsentBytes: 0,
      closeTimeoutMs: CLOSE_TIMEOUT_MS,
    },
    options: {
      'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
      'grpc.max_send_message_length': -1,
      'grpc.enable_channelz': 0,
    },
    authkey: authkey === undefined ? undefined : new Authkey(authkey),
    credentials,
    admits: authorizer && ((peer) => authorizer.admits(peer)),
    warn,
  });
  let settle = () => {};
  const closed = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const close = () => listener.close().then(settle);
  service.onDown = close;
  const port = Number(new URL(listener.address).port);
  return { host, port, closed, close };
}

class PoolService {
  readonly #source: ControlSource;
  /** How workers are asked. */
  readonly #reach: CallWorkerOptions;
  readonly #started = performance.now();
  readonly #watchers = new Set<Watcher>();
  #unsubscribe: (() => void) | undefined;
  #ending = false;
  /** The workers have ended, as somebody has asked. */
  onDown: () => unknown = () => {};

  constructor(source: ControlSource, reach: CallWorkerOptions) {
    this.#source = source;
    this.#reach = { ...reach, timeoutMs: STATUS_TIMEOUT_MS };
  }

  register(server: Server): void {
    type Unary = (call: ServerUnaryCall<object, Buffer>, reply: sendUnaryData<Buffer>) => void;
    const unary = (path: string, handler: Unary, read: (bytes: Buffer) => object = () => ({})) =>
      server.register(path, handler, identity, read, 'unary');
    unary(POOL_PATHS.ping, (_call, reply) => reply(null, this.#ping()));
    unary(POOL_PATHS.list, (_call, reply) => void this.#list().then((list) => reply(null, list)));
    unary(POOL_PATHS.down, (call, reply) => this.#down(call.request, reply), readDown);
    registerHealth(server, POOL_SERVICE, () => !this.#ending);
    const watch = (call: ServerWritableStream<object, Buffer>) => this.#watch(call);
    server.register(POOL_PATHS.watch, watch, identity, () => ({}), 'serverStream');
  }

  async end(): Promise<void> {
    this.#unsubscribe?.();
    for (const watcher of this.#watchers) watcher.end();
  }

  #ping(): Buffer {
    const writer = new PbfWriter();
    const reply = {
      version: VERSION,
      uptime_ms: performance.now() - this.#started,
      workers: this.#source.workers().length,
      host: hostname(),
      pid: process.pid,
    };
    writePingReply(reply, writer);
    return Buffer.from(writer.finish());
  }

  async #list(): Promise<Buffer> {
    const workers = this.#source.workers();
    const states = await Promise.all(workers.map((worker) => this.#state(worker)));
    return encodeRoster(workers, states);
  }

  async #state({ uid, address }: ControlledWorker): Promise<WorkerState | undefined> {
    try {
      const state = await askStatus(address, this.#reach);
      return state.uid === uid ? state : undefined;
    } catch {
      return undefined;
    }
  }

  #watch(call: ServerWritableStream<object, Buffer>): void {
    // One subscription for all, and none when nobody watches.
    this.#unsubscribe ??= this.#source.changed(() => {
      for (const watcher of this.#watchers) watcher.changed();
    });
    const watcher = new Watcher(call, () => encodeRoster(this.#source.workers()));
    this.#watchers.add(watcher);
    call.once('cancelled', () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size > 0) return;
      this.#unsubscribe?.();
      this.#unsubscribe = undefined;
    });
  }

  #down(request: object, reply: sendUnaryData<Buffer>): void {
    const { graceMs } = request as ReturnType<typeof readDown>;
    if (graceMs !== undefined && !(graceMs >= 0)) {
      reply({ code: status.INVALID_ARGUMENT, details: 'grace_ms must not be negative.' });
      return;
    }
    this.#ending = true;
    this.#source.down(graceMs === Number.POSITIVE_INFINITY ? undefined : graceMs).then(
      () => {
        reply(null, Buffer.alloc(0));
        this.onDown();
      },
      (error: unknown) => {
        this.#ending = false;
        reply({
          code: status.INTERNAL,
          details: hidePaths(`The workers could not be ended: ${error}`),
        });
      },
    );
  }
}

/** Someone who wants to hear of changes, as fast as they can take them. */
class Watcher {
  readonly #call: ServerWritableStream<object, Buffer>;
  readonly #roster: () => Buffer;
  #due = false;
  #full = false;

  constructor(call: ServerWritableStream<object, Buffer>, roster: () => Buffer) {
    this.#call = call;
    this.#roster = roster;
    call.on('drain', () => {
      this.#full = false;
      if (this.#due) this.#tell();
    });
    call.on('error', () => {});
    this.#tell();
  }

  changed(): void {
    if (this.#due) return;
    this.#due = true;
    if (!this.#full) setImmediate(() => this.#tell());
  }

  end(): void {
    this.#call.end();
  }

  #tell(): void {
    this.#due = false;
    if (this.#call.writableEnded || this.#call.destroyed) return;
    this.#full = !this.#call.write(this.#roster());
  }
}

function readDown(bytes: Buffer): { graceMs: number | undefined } {
  const request = readDownRequest(new PbfReader(bytes));
  return { graceMs: request._grace_ms === undefined ? undefined : request.grace_ms };
}
