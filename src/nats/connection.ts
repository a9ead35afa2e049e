/** One connection to one server of NATS, as the client's library makes it. It is not repaired when it is lost. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import type {
  ConnectionOptions,
  Msg,
  NatsConnection,
  PermissionViolationError,
} from '@nats-io/transport-node';
import { loadNats, type NatsClient } from './load.ts';
import { authenticatorOf, LoginError, tlsOf } from './login.js';
import type { BusMessage } from './message.ts';
import { type BusOptions, formatServer, learntServer, type NatsServer } from './options.ts';

export interface ConnectionHandlers {
  /** It is lost; called once, and not after `close`. */
  lost(why: Error): void;
  /** The server does not let this process publish on this subject. */
  refused(subject: string): void;
  /** The server is about to stop. */
  leaving(): void;
}

/** Why no connection came up; the message says of which server, and what to do. */
export class NatsError extends Error {
  /** `login`: the server does not let this process in. */
  readonly kind: 'login' | 'other';

  constructor(message: string, kind: 'login' | 'other', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    Object.defineProperty(this, 'name', { value: 'NatsError' });
    this.kind = kind;
  }
}

const CONNECT_TIMEOUT_MS = 5_000;
/** The client's own end comes later, and is of use only where a host is being looked up. */
const CLIENT_TIMEOUT_MS = CONNECT_TIMEOUT_MS + 1_000;
const DEFAULT_MAX_PAYLOAD = 1_048_576;
const NO_RESPONDERS = 503;

/** A connection outlives who asked for it, and must not run what it brings in that one's context. */
const outside = AsyncLocalStorage.snapshot();

/**
 * Connects to one server.
 *
 * @throws NatsError; Error when the client's package is missing
 */
export async function connect(
  server: NatsServer,
  options: BusOptions,
  signal: AbortSignal,
): Promise<Connection> {
  const nats = await loadNats();
  const abort = new AbortController();
  let why: 'timeout' | 'aborted' | undefined;
  const end = (reason: 'timeout' | 'aborted') => {
    why ??= reason;
    abort.abort();
  };
  const aborted = () => end('aborted');
  const timer = setTimeout(end, CONNECT_TIMEOUT_MS, 'timeout');
  signal.addEventListener('abort', aborted);
  if (signal.aborted) aborted();
  try {
    const given = await clientOptions(nats, server, options, abort.signal);
    const connected = withSockets(abort.signal, () => nats.connect(given));
    const connection = await Promise.race([connected, rejectedBy(abort.signal)]).catch((error) => {
      // It may come up after all.
      connected.then(
        (late) => late.close(),
        () => {},
      );
      throw error;
    });
    return new Connection(connection, server);
  } catch (error) {
    throw problemOf(error, server, why, options.tls !== undefined);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', aborted);
  }
}

async function clientOptions(
  nats: NatsClient,
  server: NatsServer,
  { name, tls }: BusOptions,
  signal: AbortSignal,
): Promise<ConnectionOptions> {
  const authenticator = await authenticatorOf(nats, server);
  return {
    servers: formatServer(server),
    name,
    reconnect: false,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
    timeout: CLIENT_TIMEOUT_MS,
    ...(authenticator && { authenticator }),
    // The client passes on what it does not know.
    ...(tls && { tls: { ...(await tlsOf(tls, server)), signal } as object }),
  };
}

/**
 * Connects so that the abort ends its sockets: the client leaves one open that is not answered in time,
 * and that would hold the process.
 */
async function withSockets(
  signal: AbortSignal,
  make: () => Promise<NatsConnection>,
): Promise<NatsConnection> {
  if (signal.aborted) throw new Error('aborted');
  const attempt = new AsyncLocalStorage<true>();
  const sockets: Socket[] = [];
  const made = (message: unknown) => {
    if (attempt.getStore()) sockets.push((message as { socket: Socket }).socket);
  };
  const ended = () => {
    for (const socket of sockets) socket.destroy();
  };
  subscribe('net.client.socket', made);
  signal.addEventListener('abort', ended);
  try {
    return await outside(() => attempt.run(true, make));
  } finally {
    unsubscribe('net.client.socket', made);
    signal.removeEventListener('abort', ended);
    attempt.disable();
  }
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = () => reject(new Error('aborted'));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end);
  });
}

const CHECK_TLS = 'Check tls: its ca or caFile must be the authority of the server';
const TLS_WANTED = 'It has TLS: give tls, e.g. { caFile }';
const OTHER_NAME =
  'Its certificate is for another name than the one that it was connected to by: use one that the ' +
  'certificate has, or say in tls which, as servername';
const CERTIFICATE_WANTED =
  'It may want a certificate of this process: see certFile and keyFile of tls';

function problemOf(
  error: unknown,
  server: NatsServer,
  why: 'timeout' | 'aborted' | undefined,
  withTls: boolean,
): Error {
  if (error instanceof LoginError) return new NatsError(error.message, 'login', error.cause);
  const place = formatServer(server);
  const who = `the NATS server at ${place}`;
  if (why === 'timeout') {
    return new NatsError(`${who} did not answer within ${CONNECT_TIMEOUT_MS / 1000} s`, 'other');
  }
  if (why === 'aborted') return new NatsError(`${who} was not waited for`, 'other');
  const { name, message, code, cause } = error as NodeJS.ErrnoException;
  const inner = (cause as NodeJS.ErrnoException | undefined)?.code ?? code;
  if (inner === 'ECONNREFUSED') {
    return new NatsError(`no NATS server answers at ${place}: connection refused`, 'other', error);
  }
  if (inner === 'ENOTFOUND' || inner === 'EAI_AGAIN') {
    return new NatsError(
      `no NATS server answers at ${place}: no host has this name`,
      'other',
      error,
    );
  }
  if (name === 'AuthorizationError' || name === 'UserAuthenticationExpiredError') {
    const what = hasLogin(server) ? 'Check what was given to log in' : 'It wants a login';
    const text = `${who} lets this process not in: ${message}. ${what} (user, token, nkey or credentials)`;
    return new NatsError(text, 'login', error);
  }
  if (message.includes("server does not support 'tls'")) {
    return new NatsError(`${who} has no TLS, which tls or tls:// asks for`, 'login', error);
  }
  if (message.includes('unexpected response')) {
    return new NatsError(`what listens at ${place} is no NATS server`, 'other', error);
  }
  if (isTlsProblem(inner, message)) {
    const { reason } = error as { reason?: string };
    const isAlert = /\balert\b/.test(reason ?? message);
    const isOther = inner === 'ERR_TLS_CERT_ALTNAME_INVALID';
    const given = isOther ? OTHER_NAME : withTls ? CHECK_TLS : TLS_WANTED;
    const why = (reason ?? message).trim().replace(/\.$/, '');
    const text = `TLS with ${who} failed: ${why}. ${isAlert ? CERTIFICATE_WANTED : given}`;
    return new NatsError(text, 'login', error);
  }
  const text = message.includes('undefined error') ? 'it was closed' : message;
  // With TLS 1.3 a server that misses a certificate tells after the handshake, or just goes.
  const hint = withTls ? `. ${CERTIFICATE_WANTED}` : '';
  return new NatsError(`no connection to ${who}: ${text}${hint}`, 'other', error);
}

function hasLogin({ login }: NatsServer): boolean {
  return Object.keys(login).length > 0;
}

function isTlsProblem(code: string | undefined, message: string): boolean {
  return /^(?:ERR_(?:TLS|SSL|OSSL)|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|EPROTO)/.test(code ?? '')
    ? true
    : /certificate|\bSSL\b|\bTLS\b|\bPEM\b/i.test(message);
}

/** The parts of the client that it has no option for; guarded, as another version may have others. */
function tame(connection: NatsConnection): void {
  const { protocol } = connection as unknown as {
    protocol?: {
      heartbeats?: { cancel?(): void };
      transport?: { socket?: { unref?(): void } };
    };
  };
  protocol?.heartbeats?.cancel?.();
  protocol?.transport?.socket?.unref?.();
}

class Message implements BusMessage {
  readonly #message: Msg;

  constructor(message: Msg) {
    this.#message = message;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get data(): Uint8Array {
    return this.#message.data;
  }

  get status(): number {
    return this.#message.headers?.code === NO_RESPONDERS ? NO_RESPONDERS : 0;
  }
}

export class Connection {
  readonly server: NatsServer;
  readonly #client: NatsConnection;
  #handlers: ConnectionHandlers | undefined;
  #learnt: readonly NatsServer[] = [];
  #why: Error | undefined;
  #isOver = false;

  constructor(client: NatsConnection, server: NatsServer) {
    this.server = server;
    this.#client = client;
    tame(client);
  }

  /** Called once, before anything else. What has happened already is told soon. */
  open(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    void this.#watch();
    void this.#client.closed().then((error) => this.#lose(error ?? undefined));
  }

  get maxPayload(): number {
    return this.#client.info?.max_payload ?? DEFAULT_MAX_PAYLOAD;
  }

  /** The servers of the same cluster, as far as this one has told of them; this one is among them. */
  get learnt(): readonly NatsServer[] {
    const told = this.#client.info?.connect_urls;
    if (told !== undefined) {
      this.#learnt = told.flatMap((text) => learntServer(text, this.server) ?? []);
    }
    return this.#learnt;
  }

  /** @throws Error when the data is larger than `maxPayload` */
  publish(subject: string, data: Uint8Array, reply: string | undefined): boolean {
    if (this.#isOver || this.#client.isClosed()) return false;
    this.#client.publish(subject, data, reply === undefined ? undefined : { reply });
    return true;
  }

  subscribe(
    subject: string,
    taken: (message: BusMessage) => void,
    refused: () => void,
  ): () => void {
    const subscription = this.#client.subscribe(subject, {
      callback: (error, message) => {
        if (error) return refused();
        try {
          taken(new Message(message));
        } catch (fault) {
          // It would end the client's reading of what else arrives.
          queueMicrotask(() => {
            throw fault;
          });
        }
      },
    });
    return () => {
      if (!this.#isOver && !subscription.isClosed()) subscription.unsubscribe();
    };
  }

  async flush(): Promise<void> {
    await this.#client.flush();
  }

  close(): void {
    this.#isOver = true;
    void this.#client.close();
  }

  async #watch(): Promise<void> {
    for await (const status of this.#client.status()) {
      if (status.type === 'ldm') this.#handlers?.leaving();
      if (status.type === 'disconnect') this.#lose(undefined);
      if (status.type !== 'error') continue;
      if (status.error.name === 'PermissionViolationError') {
        this.#refused(status.error as PermissionViolationError);
      } else this.#why = status.error;
    }
  }

  #refused({ operation, subject }: PermissionViolationError): void {
    // What is refused of a subscription, its callback is told.
    if (operation === 'publish' && !this.#isOver) this.#handlers?.refused(subject);
  }

  #lose(error: Error | undefined): void {
    if (this.#isOver) return;
    // As long as it can be told: a closed client forgets it.
    void this.learnt;
    this.#isOver = true;
    void this.#client.close();
    const why = this.#why?.message ?? error?.message ?? 'the other side closed it';
    const text = `the connection to the NATS server at ${formatServer(this.server)} is lost: ${why}`;
    this.#handlers?.lost(new Error(text, error && { cause: error }));
  }
}
