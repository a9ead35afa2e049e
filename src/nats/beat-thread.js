/**
 * The part of the thread that answers for a blocked worker over NATS, on a connection of its own.
 * JavaScript, since Node 20 starts no thread from TypeScript.
 *
 * A message has the token, and behind it one packet of wire/beat.js. What the server lets someone ask is a
 * matter of the subject: a stop counts on `halt` alone, and a poke on `beat`. Whoever has another token
 * gets no answer.
 */
import { timingSafeEqual } from 'node:crypto';
import { BEAT_BYTES, decodeBeat, TOKEN_BYTES } from '../wire/beat.js';
import { connectTo } from './beat-connection.js';

/**
 * @typedef {object} NatsBeatSetup
 * @property {Pick<import('./options.ts').BusOptions, 'servers' | 'tls' | 'name'>} options
 * @property {string} beat the subjects on which it is poked; the last two parts are the caller and its channel
 * @property {string} halt those on which it is stopped
 * @property {string} answers where callers hear it, with `*` in the places of the caller and its channel
 * @property {string} token in hexadecimal
 */

/** @typedef {import('./options.ts').NatsServer} NatsServer */
/** @typedef {import('@nats-io/transport-node').NatsConnection} Connection */
/** @typedef {(packet: Uint8Array) => Uint8Array | undefined} Answer */

/** Part of a subject, as in subjects.ts. */
const PART = /^[A-Za-z0-9_-]{1,64}$/;
/** How often it looks whether the server answers. */
const PING_MS = 2_000;
/** One that has not answered by then has stopped: another one may go on before callers give this worker up. */
const PATIENCE_MS = 3_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
/** It answers so many in a second: callers who have the token ask once a second. */
const MAX_ANSWERS = 1_000;

/**
 * Connects, and from then on answers for the worker; lost connections are made again.
 *
 * @param {NatsBeatSetup} setup
 * @param {Answer} answer
 * @param {(text: string) => void} warn
 * @returns {Promise<void>} when callers can ask, as soon as a server can be reached
 */
export async function serveBeat(setup, answer, warn) {
  const places = new Places(setup.options.servers);
  const responder = new Responder(setup, answer);
  const connect = () => connectAgain(places, setup, responder, warn);
  const connection = await connect();
  void serveOn(connection, connect);
}

/** The servers, and those that they have told of. */
class Places {
  #servers;
  #next = 0;

  /** @param {readonly NatsServer[]} servers */
  constructor(servers) {
    this.#servers = [...servers];
  }

  next() {
    const server = /** @type {NatsServer} */ (this.#servers[this.#next % this.#servers.length]);
    this.#next += 1;
    return server;
  }

  /** @param {NatsServer} from one that tells of these @param {readonly string[]} places */
  learn(from, places) {
    const { login, certName = from.host } = from;
    for (const place of places) {
      const [, host = '', port = ''] = /^\[?(.+?)\]?:(\d+)$/.exec(place) ?? [];
      const known = (/** @type {NatsServer} */ one) =>
        one.host === host && one.port === Number(port);
      if (host === '' || this.#servers.some(known)) continue;
      this.#servers.push({ host, port: Number(port), login, certName });
    }
  }
}

/**
 * Tries until it is connected.
 *
 * @param {Places} places
 * @param {NatsBeatSetup} setup
 * @param {Responder} responder
 * @param {(text: string) => void} warn
 * @returns {Promise<Connection>}
 */
async function connectAgain(places, setup, responder, warn) {
  let told = false;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LONGEST_PAUSE_MS, 2 * pause)) {
    const server = places.next();
    try {
      const connection = await connectTo(server, setup.options);
      places.learn(server, connection.info?.connect_urls ?? []);
      await responder.serve(connection);
      return connection;
    } catch (error) {
      // The worker's own connection warns of a server that is away. That this one is refused shows nowhere else.
      if (!told && isRefusal(error)) {
        warn(`the beat over NATS is refused by the server: ${messageOf(error)}`);
        told = true;
      }
    }
    await sleep(pause * (0.5 + Math.random() / 2));
  }
}

/** @param {Connection} first @param {() => Promise<Connection>} connect */
async function serveOn(first, connect) {
  for (let connection = first; ; connection = await connect()) await lost(connection);
}

/** Resolves when the connection is over; one that gives no sign of life is ended. @param {Connection} connection */
async function lost(connection) {
  const looking = setInterval(() => flush(connection).catch(() => {}), PING_MS);
  await connection.closed();
  clearInterval(looking);
}

/** What was sent has come to the server; one that does not say so is given up. @param {Connection} connection */
async function flush(connection) {
  const patience = setTimeout(() => abandon(connection), PATIENCE_MS);
  try {
    await connection.flush();
  } finally {
    clearTimeout(patience);
  }
}

/** By itself the client waits until what it has written is taken, which may be never. @param {Connection} connection */
function abandon(connection) {
  const { protocol } =
    /** @type {{ protocol?: { transport?: { socket?: import('node:net').Socket } } }} */ (
      /** @type {unknown} */ (connection)
    );
  protocol?.transport?.socket?.destroy();
}

/** Answers on whatever connection there is. */
class Responder {
  #setup;
  #answer;
  #token;
  /** What may still be answered in this second. */
  #left = MAX_ANSWERS;
  #second = 0;

  /** @param {NatsBeatSetup} setup @param {Answer} answer */
  constructor(setup, answer) {
    this.#setup = setup;
    this.#answer = answer;
    this.#token = Buffer.from(setup.token, 'hex');
  }

  /** Resolves when the server knows of it, and throws when it allows it not. @param {Connection} connection */
  async serve(connection) {
    /** @type {Error | undefined} */
    let refused;
    const { beat, halt } = this.#setup;
    const take = (/** @type {string} */ wanted, /** @type {string} */ subject) =>
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) this.#take(connection, wanted, message.subject, message.data);
          else refused = error;
        },
      });
    take('poke', beat);
    take('stop', halt);
    await flush(connection);
    if (refused === undefined) return;
    void connection.close();
    throw refused;
  }

  /** @param {Connection} connection @param {string} wanted @param {string} subject @param {Uint8Array} data */
  #take(connection, wanted, subject, data) {
    if (data.length !== TOKEN_BYTES + BEAT_BYTES) return;
    if (!timingSafeEqual(data.subarray(0, TOKEN_BYTES), this.#token)) return;
    const packet = data.subarray(TOKEN_BYTES);
    if (decodeBeat(packet)?.kind !== wanted) return;
    const parts = subject.split('.').slice(-2);
    if (!parts.every((part) => PART.test(part))) return;
    const reply = this.#answer(packet);
    if (reply === undefined || !this.#mayAnswer() || connection.isClosed()) return;
    const answers = this.#setup.answers.replace(/\*/g, () => parts.shift() ?? '');
    connection.publish(answers, reply);
  }

  /** Not even who has the token may keep it busy. */
  #mayAnswer() {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#second) this.#left = MAX_ANSWERS;
    this.#second = second;
    this.#left -= 1;
    return this.#left >= 0;
  }
}

/** @param {unknown} error */
function isRefusal(error) {
  return /authoriz|authentic|permission/i.test(messageOf(error));
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {number} ms @returns {Promise<void>} */
function sleep(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
