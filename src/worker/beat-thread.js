/**
 * The thread that answers for its worker's process while the event loop is blocked: listens on an
 * address of its own, says how long ago the loop turned and, where the process is the worker's own, ends
 * it when it must end and can't by itself. Started by beat.ts. JavaScript, since Node 20 starts no thread from TypeScript.
 */
import { constants, timingSafeEqual } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { ALPN_BEAT, BeatReader, decodeBeat, encodeBeat } from '../wire/beat.js';

/**
 * @typedef {object} AlsoBeat somewhere else to answer: a module that exports `serveBeat`, as `BeatRecipe` has it
 * @property {string} module
 * @property {unknown} setup
 */

/** @typedef {import('../security/material.ts').Material} Material */

/**
 * @typedef {object} BeatSetup
 * @property {{ path: string } | { host: string, port: number } | undefined} listen undefined: nowhere on this machine
 * @property {readonly AlsoBeat[]} also
 * @property {string | undefined} token what must come first on a connection, in hexadecimal
 * @property {Material | undefined} material what connections by TLS are made with, and no others are taken; new ones come as messages
 * @property {BigInt64Array<SharedArrayBuffer>} turned when the main loop turned last, by `process.hrtime`
 * @property {boolean} mayKill whether the process ends with the worker
 * @property {number | undefined} parent the process id of the parent that the process ends with, if it does
 * @property {string | undefined} folder the workers' sockets: removed with the process of an orphan
 */

/** @type {BeatSetup} */
const { listen, also, token, material, turned, mayKill, parent, folder } = workerData;

/** How often it looks whether the parent lives. */
const PARENT_MS = 1_000;
/** A loop that has not turned for so long does not end the process of an orphan by itself. */
const BLOCKED_MS = 2_000;
/** So long after the grace time a process that was asked to stop has ended by itself, or never does. */
const STOP_MS = 2_000;
/** Who has not shaken hands and sent the token so long after it has connected is hung up on. A busy caller takes its time. */
const TOKEN_MS = 5_000;
/** It has little memory, and strangers can hold connections: with so many the oldest of theirs goes. */
const MAX_CONNECTIONS = 1_000;
/** Node's timers fire at once beyond that. */
const LONGEST_TIMER_MS = 0x7fffffff;

/** Milliseconds since the main loop turned. */
function idle() {
  return Number((process.hrtime.bigint() - Atomics.load(turned, 0)) / 1_000_000n);
}

function kill() {
  process.kill(process.pid, 'SIGKILL');
}

/** @type {number} */
let stopDue = Number.POSITIVE_INFINITY;
/** @type {NodeJS.Timeout | undefined} */
let stopping;

/** The shortest grace time of those that were asked for counts. @param {number} graceMs */
function stop(graceMs) {
  const due = performance.now() + graceMs + STOP_MS;
  if (due >= stopDue) return;
  stopDue = due;
  clearTimeout(stopping);
  stopping = setTimeout(kill, Math.min(graceMs + STOP_MS, LONGEST_TIMER_MS));
}

/** @param {Uint8Array} packet @returns {Uint8Array | undefined} undefined for one that breaks the protocol */
function answer(packet) {
  const request = decodeBeat(packet);
  if (request === undefined || request.kind === 'beat') return undefined;
  if (request.kind === 'stop' && mayKill) stop(request.ms);
  return encodeBeat('beat', idle());
}

const expected = Buffer.from(token ?? '', 'hex');
/** Those that have not shown who they are, the oldest first, and what ends their time. @type {Map<import('node:net').Socket, NodeJS.Timeout>} */
const strangers = new Map();
let friends = 0;

/** @param {import('node:net').Socket} socket */
function accept(socket) {
  socket.on('error', () => {});
  if (strangers.size + friends >= MAX_CONNECTIONS) {
    // None but these: who has the token keeps its place, and there are not so many callers.
    const [oldest = socket] = strangers.keys();
    oldest.destroy();
    forget(oldest);
    if (oldest === socket) return;
  }
  strangers.set(
    socket,
    setTimeout(() => socket.destroy(), TOKEN_MS),
  );
  socket.on('close', () => forget(socket));
}

/** @param {import('node:net').Socket} socket */
function forget(socket) {
  clearTimeout(strangers.get(socket));
  strangers.delete(socket);
}

/** @param {import('node:net').Socket} socket */
function welcome(socket) {
  if (socket.destroyed) return;
  forget(socket);
  friends += 1;
  socket.on('close', () => {
    friends -= 1;
  });
}

/**
 * The bytes behind the token, when it was the right one; undefined for another one, and as long as it is
 * not there in full.
 *
 * @param {import('node:net').Socket} socket
 * @param {Buffer} bytes all that has come
 */
function behindToken(socket, bytes) {
  if (bytes.length < expected.length) return undefined;
  if (timingSafeEqual(bytes.subarray(0, expected.length), expected)) {
    return bytes.subarray(expected.length);
  }
  socket.destroy();
  return undefined;
}

/** @param {import('node:net').Socket} socket @param {BeatReader} reader @param {Uint8Array} bytes */
function serve(socket, reader, bytes) {
  for (const packet of reader.read(bytes)) {
    const reply = answer(packet);
    if (reply === undefined) return void socket.destroy();
    // Who does not read its answers gets no more of them.
    if (socket.writableNeedDrain) return;
    socket.write(reply);
  }
}

/**
 * @param {import('node:net').Socket} socket
 * @param {import('node:net').Socket} accepted the one below, without TLS
 */
function talk(socket, accepted) {
  const reader = new BeatReader();
  /** @type {Buffer | undefined} */
  let heard = token === undefined ? undefined : Buffer.alloc(0);
  if (heard === undefined) welcome(accepted);
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    if (heard === undefined) return serve(socket, reader, bytes);
    heard = Buffer.concat([heard, bytes]);
    const rest = behindToken(socket, heard);
    if (rest === undefined) return;
    heard = undefined;
    welcome(accepted);
    serve(socket, reader, rest);
  });
}

/** @param {Material} material */
async function createSecureServer(material) {
  const { createServer } = await import('node:tls');
  // As in src/transport/tls.ts, which is TypeScript.
  /** @param {Material} material @returns {import('node:tls').SecureContextOptions} */
  const contextOptions = ({ ca, cert, key }) => ({
    ca,
    cert,
    key,
    minVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
  const server = createServer({
    ...contextOptions(material),
    ALPNProtocols: [ALPN_BEAT],
    requestCert: material.mutual,
    handshakeTimeout: TOKEN_MS,
  });
  server.on('connection', accept);
  server.on('secureConnection', (socket) => {
    const { _parent = socket } =
      /** @type {typeof socket & { _parent?: import('node:net').Socket }} */ (socket);
    if (socket.alpnProtocol !== ALPN_BEAT || socket.destroyed) socket.destroy();
    else talk(socket, _parent);
  });
  parentPort?.on('message', (/** @type {Material} */ next) => {
    try {
      server.setSecureContext(contextOptions(next));
    } catch {
      // The last ones are kept. The listener beside, which gets the same, says so.
    }
  });
  return server;
}

function createPlainServer() {
  return createServer((socket) => {
    accept(socket);
    talk(socket, socket);
  });
}

const server = material === undefined ? createPlainServer() : await createSecureServer(material);
server.on('error', (/** @type {NodeJS.ErrnoException} */ { code, message }) => {
  parentPort?.postMessage({ error: { code, message } });
});
if (listen === undefined) parentPort?.postMessage({});
else {
  server.listen(listen, () => {
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    parentPort?.postMessage({ port });
  });
}

/** @param {string} warning for people */
function warn(warning) {
  parentPort?.postMessage({ warning });
}

for (const { module, setup } of also) {
  import(module)
    .then(({ serveBeat }) => serveBeat(setup, answer, warn))
    .catch((error) => warn(`the beat can't be served by ${module}: ${error}`));
}

if (parent !== undefined) {
  setInterval(() => {
    if (process.ppid === parent || idle() < BLOCKED_MS) return;
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    kill();
  }, PARENT_MS);
}
