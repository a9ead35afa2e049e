/**
 * Channels to the thread that answers for a worker's process, at addresses such as
 * `beat+unix:///path` and `beat+tcp://host:port#token`. A packet is one of `wire/beat.js`; the token, in
 * hexadecimal, is what the thread wants to hear first. With credentials the connection is by TLS.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Material } from '../security/material.ts';
import type { CredentialSource } from '../security/source.ts';
import { ALPN_BEAT, BeatReader, TOKEN_BYTES } from '../wire/beat.js';
import { type Address, parseAddress } from './address.ts';
import { clientOptions, HANDSHAKE_MS } from './tls.ts';
import type { Channel, ChannelHandlers, CloseReason, Dialer } from './transport.ts';

const PREFIX = 'beat+';

/** The address with the scheme of a beat: `beat+tcp://...#token` for `tcp://...`. */
export function toBeatAddress(address: string, token?: string): string {
  return token === undefined ? `${PREFIX}${address}` : `${PREFIX}${address}#${token}`;
}

/**
 * The address below a beat's: `tcp://...` for `beat+tcp://...#token`.
 *
 * @throws TypeError when it is no address of a beat
 */
export function beatTarget(address: string): string {
  if (!address.startsWith(PREFIX)) {
    throw new TypeError(`"${address}" is not the address of a beat: it starts with no "beat+".`);
  }
  return withoutToken(address).slice(PREFIX.length);
}

function withoutToken(address: string): string {
  return address.split('#', 1)[0] as string;
}

/**
 * The token at the end of an address; empty where there is none.
 *
 * @throws TypeError when the address has something else in its place
 */
export function tokenOf(address: string): Uint8Array {
  const [, text = ''] = address.split(/#(.*)/s);
  const token = Buffer.from(text, 'hex');
  if (text === '' || (/^[0-9a-f]*$/i.test(text) && token.length === TOKEN_BYTES)) return token;
  throw new TypeError(`the token of "${withoutToken(address)}" is none`);
}

export interface BeatTransportOptions {
  /** What its connections are made with, by TLS. Default: they are in plain text. */
  readonly credentials?: CredentialSource | undefined;
}

export function beatTransport({ credentials }: BeatTransportOptions = {}): Dialer {
  return {
    schemes: ['beat+tcp', 'beat+unix'],
    connect: (address) => new BeatChannel(address, credentials),
  };
}

class BeatChannel implements Channel {
  readonly remote: string;
  readonly #address: string;
  readonly #credentials: CredentialSource | undefined;
  #handlers: ChannelHandlers | undefined;
  #socket: Socket | undefined;
  /** What was sent before anything could be. */
  #waiting: [packet: Uint8Array, released: (() => void) | undefined][] | undefined = [];
  /** Somebody was there. */
  #met = false;
  #closing: CloseReason | undefined;

  constructor(address: string, credentials: CredentialSource | undefined) {
    // Logs are no place for a token.
    this.remote = withoutToken(address);
    this.#address = address;
    this.#credentials = credentials;
  }

  open(handlers: ChannelHandlers): void {
    this.#handlers = handlers;
    const fail = (cause: unknown) => {
      const { message } = cause as Error;
      setImmediate(() => this.#end({ code: 'unreachable', message, cause }));
    };
    let target: Address;
    let token: Uint8Array;
    try {
      token = tokenOf(this.#address);
      target = parseAddress(beatTarget(this.remote));
    } catch (cause) {
      return fail(cause);
    }
    if (this.#credentials === undefined) return this.#use(connect(placeOf(target)), token);
    this.#credentials
      .fresh()
      .then((material) => dial(target, material))
      .then((socket) => this.#use(socket, token), fail);
  }

  #use(socket: Socket, token: Uint8Array): void {
    this.#socket = socket;
    // Whoever waits for something keeps the process alive; this does not.
    socket.unref();
    const reader = new BeatReader();
    // The token is for nobody but the worker.
    socket.once(this.#credentials ? 'secureConnect' : 'connect', () => {
      // What a worker makes of a certificate shows later: one that hangs up might never have let this side in.
      this.#met = this.#credentials === undefined;
      if (token.length > 0) socket.write(token);
      const waiting = this.#waiting ?? [];
      this.#waiting = undefined;
      for (const [packet, released] of waiting) this.send(packet, released);
    });
    socket.on('data', (bytes) => {
      this.#met = true;
      for (const packet of reader.read(bytes)) this.#handlers?.packet(packet);
    });
    socket.on('drain', () => this.#handlers?.drain());
    let cause: Error | undefined;
    socket.on('error', (error) => {
      cause = error;
    });
    socket.on('close', () => {
      const why = cause === undefined ? '' : `: ${cause.message}`;
      if (this.#met) {
        this.#end({ code: 'lost', message: `The beat of ${this.remote} is lost${why}.`, cause });
      } else {
        const message = `No beat answers at ${this.remote}${why}.`;
        this.#end({ code: 'unreachable', message, cause });
      }
    });
    if (this.#closing) socket.destroy();
  }

  send(packet: Uint8Array, released?: () => void): boolean {
    if (this.#handlers === undefined || this.#closing !== undefined) return false;
    if (packet.length === 0) throw new TypeError('A packet has at least one byte.');
    if (this.#waiting) {
      this.#waiting.push([packet, released]);
      return true;
    }
    return this.#socket?.write(packet, () => released?.()) ?? false;
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  close(reason: CloseReason): void {
    if (this.#closing !== undefined) return;
    this.#closing = reason;
    // Nothing that was sent is worth waiting for.
    this.#socket?.destroy();
  }

  #end(reason: CloseReason): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    this.#socket = undefined;
    handlers?.closed(this.#closing ?? reason);
  }
}

function placeOf(target: Address) {
  return target.scheme === 'unix' ? { path: target.path } : target;
}

/** @throws CredentialsError when OpenSSL does not take the certificates */
function dial(target: Address, material: Material): Socket {
  const options = { ...clientOptions(material, target), ALPNProtocols: [ALPN_BEAT] };
  const socket = connectTls({ ...placeOf(target), ...options });
  const late = new Error(`the TLS handshake took longer than ${HANDSHAKE_MS} ms`);
  const timer = setTimeout(() => socket.destroy(late), HANDSHAKE_MS).unref();
  socket.once('secureConnect', () => clearTimeout(timer));
  socket.once('close', () => clearTimeout(timer));
  return socket;
}
