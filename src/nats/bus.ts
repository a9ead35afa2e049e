/** The one connection to NATS that all share who were given the same transport. */
import { systemEnv, type Timer } from '../env.ts';
import { type Connection, connect, NatsError } from './connection.ts';
import type { BusMessage } from './message.ts';
import {
  type BusOptions,
  checkOptions,
  formatServer,
  type NatsOptions,
  type NatsServer,
} from './options.ts';

export type { BusMessage } from './message.ts';

export interface BusWatcher {
  /** It is connected, and all subscriptions are on their way. */
  up?(): void;
  down?(why: Error): void;
  /** The server refused what was published on this subject. */
  refused?(subject: string, why: string): void;
}

interface Subscription {
  readonly subject: string;
  readonly taken: (message: BusMessage) => void;
  readonly refused: ((why: string) => void) | undefined;
  /** Ends it on the connection that is there now. */
  end: () => void;
}

/** Where servers are many, and the first does not answer: the next is tried beside it. */
const STAGGER_MS = 1_000;
const FIRST_RETRY_MS = 100;
const MOST_RETRY_MS = 2_000;
/** So often at least it is tried again before peers are given up. */
const LEAST_RETRIES = 4;
/** For what was published last. */
const LINGER_MS = 500;
/** So that a server that stands still is noticed before workers are taken for dead, which are silent then, too. */
const MOST_PING_MS = 2_000;
/** So many intervals without an answer, and the server is taken to have stopped. */
const MOST_PINGS = 2;
const LONG_LOSS_MS = 2_000;
const WARN_AGAIN_MS = 60_000;
const UNKNOWN_MAX_PAYLOAD = 1_048_576;
/** Node's timers take no more. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Connects while it has users, and again whenever the connection is lost: 100 ms after that, then after
 * up to 2 s. It keeps no process alive.
 */
export class Bus {
  /** The first part of all subjects after `skein.`. */
  readonly cluster: string;
  /** By which permissions confine this process. */
  readonly identity: string;
  /** Milliseconds after which a peer is given up that nobody hears from. */
  readonly goneAfterMs: number;
  readonly #options: BusOptions;
  readonly #subscriptions = new Set<Subscription>();
  readonly #watchers = new Set<BusWatcher>();
  readonly #flushing = new Set<(why: Error) => void>();
  readonly #warned = new Map<string, number>();
  #users = 0;
  #connection: Connection | undefined;
  #attempt: Promise<void> | undefined;
  #abort: AbortController | undefined;
  /** Connected since it has users: from then on a loss is repaired. */
  #wasUp = false;
  #failures = 0;
  #retry: Timer | undefined;
  #linger: Timer | undefined;
  #longLoss: Timer | undefined;
  /** When the connection was lost, if people were told. */
  #toldOfLossAt: number | undefined;
  #pinging: Timer | undefined;
  #unanswered = 0;
  #lastServer: NatsServer | undefined;
  #learnt: readonly NatsServer[] = [];

  /**
   * @throws TypeError when an option is missing, unknown or of no use
   * @throws RangeError when `goneAfter` is out of bounds
   */
  constructor(options: NatsOptions = {}) {
    this.#options = checkOptions(options);
    this.cluster = this.#options.cluster;
    this.identity = this.#options.identity;
    this.goneAfterMs = this.#options.goneAfterMs;
  }

  /**
   * Has one user more, until a `close` after it. Resolves when connected. Rejects, and says what to do, when no
   * server can be connected to now: then nothing is to be closed.
   */
  async open(): Promise<void> {
    this.#users += 1;
    this.#linger?.cancel();
    try {
      await this.#connected();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** One user less. Half a second after the last one the connection is closed. */
  close(): void {
    if (this.#users === 0) return;
    this.#users -= 1;
    if (this.#users > 0) return;
    if (this.#connection === undefined) this.#rest();
    else this.#linger = systemEnv.timer(LINGER_MS, () => this.#rest());
  }

  /** Keeps the process alive, until what it returns is called. */
  hold(): () => void {
    const timer = setInterval(() => {}, LONGEST_MS);
    return () => clearInterval(timer);
  }

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /** The most bytes of a message that the server takes; 1 MiB while none is connected. */
  get maxPayload(): number {
    return this.#connection?.maxPayload ?? UNKNOWN_MAX_PAYLOAD;
  }

  /**
   * Subscribes, now or when it is connected, and again on each connection, until what it returns is called.
   *
   * @param refused the server does not let this process hear the subject; without it, a warning says so
   */
  subscribe(
    subject: string,
    taken: (message: BusMessage) => void,
    refused?: (why: string) => void,
  ): () => void {
    const subscription: Subscription = { subject, taken, refused, end: () => {} };
    this.#subscriptions.add(subscription);
    if (this.#connection) this.#begin(subscription, this.#connection);
    return () => {
      if (this.#subscriptions.delete(subscription)) subscription.end();
    };
  }

  /**
   * Hands a message to the connection. The bytes must not be changed before the next turn of the event loop.
   *
   * @returns false where there is no connection, and nothing was done
   * @throws Error when the message is larger than `maxPayload`
   */
  publish(subject: string, data: Uint8Array, reply?: string): boolean {
    return this.#connection?.publish(subject, data, reply) ?? false;
  }

  /**
   * Resolves when the server has what was published and subscribed before. Rejects when the connection is
   * lost, or is not there. Until then it keeps the process alive.
   */
  async flush(): Promise<void> {
    const connection = this.#connection;
    if (!connection) throw new Error('there is no connection to a NATS server');
    const release = this.hold();
    try {
      await new Promise<void>((resolve, reject) => {
        this.#flushing.add(reject);
        connection
          .flush()
          .then(resolve, reject)
          .finally(() => this.#flushing.delete(reject));
      });
    } finally {
      release();
    }
  }

  /** Tells what becomes of the connection, until what it returns is called. */
  watch(watcher: BusWatcher): () => void {
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  #connected(): Promise<void> {
    if (this.#connection) return Promise.resolve();
    this.#retry?.cancel();
    if (this.#attempt) return this.#attempt;
    const attempt = this.#connect().finally(() => {
      if (this.#attempt === attempt) this.#attempt = undefined;
    });
    this.#attempt = attempt;
    return attempt;
  }

  async #connect(): Promise<void> {
    try {
      this.#install(await this.#anyOf(this.#servers()));
    } catch (error) {
      this.#warnOfLogin(error);
      this.#again();
      throw error;
    }
  }

  /** All that are known, in any order, but the one last that was connected last. */
  #servers(): NatsServer[] {
    const known = [...shuffled(this.#options.servers), ...shuffled(this.#learnt)];
    const places = new Map(known.reverse().map((server) => [formatServer(server), server]));
    const last = this.#lastServer && formatServer(this.#lastServer);
    const isLast = (server: NatsServer) => Number(formatServer(server) === last);
    return [...places.values()].reverse().sort((a, b) => isLast(a) - isLast(b));
  }

  /** The first of them that answers. @throws Error that says why none does */
  async #anyOf(servers: readonly NatsServer[]): Promise<Connection> {
    const abort = new AbortController();
    this.#abort = abort;
    const problems: Error[] = [];
    const winner = await new Promise<Connection | undefined>((resolve) => {
      let begun = 0;
      let open = 0;
      let timer: Timer | undefined;
      const next = () => {
        timer?.cancel();
        const server = servers[begun];
        if (server === undefined || abort.signal.aborted) {
          if (open === 0) resolve(undefined);
          return;
        }
        begun += 1;
        open += 1;
        timer = systemEnv.timer(STAGGER_MS, next);
        connect(server, this.#options, abort.signal).then(
          (connection) => {
            timer?.cancel();
            open -= 1;
            if (abort.signal.aborted) {
              connection.close();
              next();
            } else {
              abort.abort();
              resolve(connection);
            }
          },
          (error) => {
            problems.push(error);
            open -= 1;
            next();
          },
        );
      };
      next();
    });
    if (this.#abort === abort) this.#abort = undefined;
    if (winner) return winner;
    throw combined(problems);
  }

  #install(connection: Connection): void {
    if (this.#users === 0) {
      connection.close();
      return;
    }
    this.#connection = connection;
    this.#lastServer = connection.server;
    this.#wasUp = true;
    this.#failures = 0;
    this.#longLoss?.cancel();
    this.#tellOfReturn(connection);
    connection.open({
      lost: (why) => this.#lost(connection, why),
      refused: (subject) => this.#refused(subject),
      leaving: () => void this.#move(connection),
    });
    this.#learn(connection);
    for (const subscription of this.#subscriptions) this.#begin(subscription, connection);
    this.#unanswered = 0;
    this.#ping(connection);
    for (const watcher of [...this.#watchers]) watcher.up?.();
  }

  #begin(subscription: Subscription, connection: Connection): void {
    const { subject, taken, refused } = subscription;
    subscription.end = connection.subscribe(subject, taken, () => {
      const why = this.#refusal('subscribe to', subject);
      if (refused) refused(why);
      else this.warn('subscribe', why);
    });
  }

  #learn(connection: Connection): void {
    const { learnt } = connection;
    if (learnt.length > 0) this.#learnt = learnt;
  }

  /**
   * Intervals are counted, and not milliseconds: after a pause of this process itself the answers are there,
   * and not read yet.
   */
  #ping(connection: Connection): void {
    this.#pinging = systemEnv.timer(Math.min(MOST_PING_MS, this.goneAfterMs), () => {
      this.#learn(connection);
      if (this.#unanswered >= MOST_PINGS) {
        const server = formatServer(connection.server);
        this.#lost(connection, new Error(`the NATS server at ${server} answers no more`));
        connection.close();
        return;
      }
      if (this.#unanswered === 0) {
        connection.flush().then(
          () => {
            if (this.#connection === connection) this.#unanswered = 0;
          },
          () => {},
        );
      }
      this.#unanswered += 1;
      this.#ping(connection);
    });
  }

  #lost(connection: Connection, why: Error): void {
    if (this.#connection !== connection) return;
    this.#learn(connection);
    this.#part(why);
    if (this.#users === 0) {
      this.#rest();
      return;
    }
    const lostAt = systemEnv.now();
    this.#longLoss = systemEnv.timer(LONG_LOSS_MS, () => {
      if (this.warn('lost', `${why.message}; it is tried again and again`)) {
        this.#toldOfLossAt = lostAt;
      }
    });
    this.#again();
  }

  #tellOfReturn({ server }: Connection): void {
    const lostAt = this.#toldOfLossAt;
    if (lostAt === undefined) return;
    this.#toldOfLossAt = undefined;
    const seconds = Math.round((systemEnv.now() - lostAt) / 1_000);
    const message = `there is a connection to the NATS server at ${formatServer(server)} again, after ${seconds} s`;
    process.emitWarning(message, 'SkeinNatsWarning');
  }

  /** Before the server stops, to another one, where one is known. */
  async #move(connection: Connection): Promise<void> {
    if (this.#connection !== connection || this.#attempt) return;
    const here = formatServer(connection.server);
    const others = this.#servers().filter((server) => formatServer(server) !== here);
    if (others.length === 0) return;
    const next = await this.#anyOf(others).catch(() => undefined);
    if (!next) return;
    if (this.#connection !== connection) {
      next.close();
      return;
    }
    this.#part(new Error(`the NATS server at ${here} is about to stop`));
    connection.close();
    this.#install(next);
  }

  #part(why: Error): void {
    this.#connection = undefined;
    this.#pinging?.cancel();
    for (const reject of this.#flushing) reject(why);
    this.#flushing.clear();
    for (const watcher of [...this.#watchers]) watcher.down?.(why);
  }

  #again(): void {
    if (!this.#wasUp || this.#users === 0 || this.#connection) return;
    const most = Math.min(MOST_RETRY_MS, this.goneAfterMs / LEAST_RETRIES);
    const ms = Math.min(most, FIRST_RETRY_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    this.#retry?.cancel();
    this.#retry = systemEnv.timer(ms * (0.5 + systemEnv.random() / 2), () => {
      this.#connected().catch(() => {});
    });
  }

  /** Until somebody uses it again. */
  #rest(): void {
    for (const timer of [this.#retry, this.#linger, this.#longLoss]) timer?.cancel();
    this.#wasUp = false;
    this.#toldOfLossAt = undefined;
    this.#failures = 0;
    // Who comes now gets an attempt that is not aborted.
    this.#attempt = undefined;
    this.#abort?.abort();
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.close();
    this.#part(new Error('the connection to NATS was closed: nobody uses it'));
  }

  #refused(subject: string): void {
    const why = this.#refusal('publish on', subject);
    this.warn('publish', why);
    for (const watcher of [...this.#watchers]) watcher.refused?.(subject, why);
  }

  /** The last part of a subject is known to those two alone who speak with each other, and in no message. */
  #refusal(what: string, subject: string): string {
    const shown = subject.replace(/[^.]+$/, '*');
    return (
      `the permissions of the NATS server don't let this process ${what} ${shown}: check that identity ` +
      `(${this.identity}) and cluster (${this.cluster}) are those of its permissions; see docs/nats.md`
    );
  }

  #warnOfLogin(error: unknown): void {
    if (!this.#wasUp || !(error instanceof NatsError) || error.kind !== 'login') return;
    this.warn('login', `${error.message}; it is tried again and again`);
  }

  /** Warns people, once a minute for each reason. Returns whether it did. */
  warn(reason: string, message: string): boolean {
    const now = systemEnv.now();
    const last = this.#warned.get(reason);
    if (last !== undefined && now - last < WARN_AGAIN_MS) return false;
    this.#warned.set(reason, now);
    process.emitWarning(message, 'SkeinNatsWarning');
    return true;
  }
}

/** The bus of a transport, or a new one. */
export function busOf(given: NatsOptions | { readonly bus: Bus }): Bus {
  return 'bus' in given && given.bus instanceof Bus ? given.bus : new Bus(given as NatsOptions);
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, place: systemEnv.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

function combined(problems: readonly Error[]): Error {
  const [first] = problems;
  if (first === undefined) return new NatsError('no NATS server was tried', 'other');
  const texts = [...new Set(problems.map(({ message }) => message))];
  if (texts.length === 1) return first;
  const kind = problems.some((one) => one instanceof NatsError && one.kind === 'login');
  return new NatsError(texts.join('; '), kind ? 'login' : 'other', first);
}
