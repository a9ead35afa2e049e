/** One channel to a worker that has several addresses: by the first of them, in their order, that answers. */
import type { Env, Timer } from '../env.ts';
import { ProtocolError } from '../errors.ts';
import { decodeEnvelope } from '../wire/frame.ts';
import { plain } from '../wire/plain.ts';
import {
  type Channel,
  type ChannelHandlers,
  type CloseReason,
  type Dialer,
  dialerOf,
  schemeOf,
} from './transport.ts';

export interface ConnectAnyOptions {
  readonly env: Env;
  /** The uid of the worker that is meant: an address at which another one answers is passed over. Default: any. */
  readonly expects?: string | undefined;
}

/** So long after an address the next one is tried, too, if the one before has not failed by then (RFC 8305). */
const STAGGER_MS = 250;
/**
 * So much longer the addresses before get when one has answered. They are preferred; and a worker that was
 * busy answers on all of them at nearly the same time.
 */
const PREFER_MS = 100;

/**
 * Opens a channel to the worker that has these addresses. They are tried in their order, those left out that
 * no dialer serves. With one address it is the dialer's channel; with several, its `remote` is the address
 * that was connected to, and no packet that was sent has reached anybody when it closes with `unreachable`.
 *
 * @throws ProtocolError when there is no dialer for any of them
 */
export function connectAny(
  dialers: readonly Dialer[],
  addresses: readonly [string, ...string[]],
  options: ConnectAnyOptions,
): Channel {
  const [first] = addresses;
  if (addresses.length === 1) return dialerOf(dialers, first).connect(first);
  const served = addresses.filter((address) =>
    dialers.some(({ schemes }) => schemes.includes(schemeOf(address))),
  );
  // Says which one is missing.
  if (served.length === 0) dialerOf(dialers, first);
  return new AnyChannel(dialers, served, first, options);
}

interface Attempt {
  readonly address: string;
  channel: Channel | undefined;
  /** What has come before it was chosen. */
  packets: Uint8Array[];
  /** Why it ended. */
  over: CloseReason | undefined;
}

class AnyChannel implements Channel {
  readonly #dialers: readonly Dialer[];
  readonly #options: ConnectAnyOptions;
  readonly #first: string;
  /** Those that are not tried yet. */
  readonly #left: string[];
  /** In the order of their addresses. */
  readonly #attempts: Attempt[] = [];
  /** Each attempt is told all that was sent before one was chosen: no more than a Hello. */
  readonly #sent: Uint8Array[] = [];
  #handlers: ChannelHandlers | undefined;
  #chosen: Attempt | undefined;
  #paused = false;
  #closing: CloseReason | undefined;
  #next: Timer | undefined;
  #preferring: Timer | undefined;

  constructor(
    dialers: readonly Dialer[],
    served: readonly string[],
    first: string,
    options: ConnectAnyOptions,
  ) {
    this.#dialers = dialers;
    this.#left = [...served];
    this.#first = first;
    this.#options = options;
  }

  get remote(): string {
    return this.#chosen?.address ?? this.#first;
  }

  open(handlers: ChannelHandlers): void {
    this.#handlers = handlers;
    this.#try();
  }

  send(packet: Uint8Array, released?: () => void): boolean {
    if (this.#chosen) return this.#chosen.channel?.send(packet, released) ?? false;
    if (this.#handlers === undefined || this.#closing !== undefined) return false;
    if (packet.length === 0) throw new TypeError('A packet has at least one byte.');
    const copy = Uint8Array.from(packet);
    released?.();
    this.#sent.push(copy);
    for (const { channel, over } of this.#attempts) if (!over) channel?.send(copy);
    return true;
  }

  pause(): void {
    this.#paused = true;
    this.#chosen?.channel?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#chosen?.channel?.resume();
  }

  close(reason: CloseReason): void {
    if (this.#handlers === undefined || this.#closing !== undefined) return;
    this.#closing = reason;
    this.#next?.cancel();
    this.#preferring?.cancel();
    for (const { channel, over } of this.#attempts) if (!over) channel?.close(reason);
  }

  orphan(): void {
    this.#chosen?.channel?.orphan?.();
  }

  #try(): void {
    this.#next?.cancel();
    const address = this.#left.shift();
    if (address === undefined) return;
    const attempt: Attempt = { address, channel: undefined, packets: [], over: undefined };
    this.#attempts.push(attempt);
    const { env } = this.#options;
    if (this.#left.length > 0) this.#next = env.timer(STAGGER_MS, () => this.#try());
    try {
      attempt.channel = dialerOf(this.#dialers, address).connect(address);
    } catch (cause) {
      const message = String(cause);
      env.turn(() => this.#end(attempt, { code: 'unreachable', message, cause }));
      return;
    }
    attempt.channel.open({
      packet: (bytes) => this.#receive(attempt, bytes),
      drain: () => {
        if (attempt === this.#chosen) this.#handlers?.drain();
      },
      closed: (reason) => this.#end(attempt, reason),
    });
    for (const packet of this.#sent) attempt.channel.send(packet);
  }

  #receive(attempt: Attempt, bytes: Uint8Array): void {
    if (attempt === this.#chosen) return this.#handlers?.packet(bytes);
    if (this.#chosen || this.#closing || attempt.over) return;
    if (attempt.packets.length === 0) {
      const wrong = whyWrong(bytes, attempt.address, this.#options.expects);
      if (wrong) {
        attempt.channel?.close(wrong);
        return this.#end(attempt, wrong);
      }
      // What else it has to say may wait until it is chosen.
      attempt.channel?.pause();
    }
    attempt.packets.push(bytes);
    this.#choose(false);
    if (this.#chosen) return;
    this.#preferring ??= this.#options.env.timer(PREFER_MS, () => this.#choose(true));
  }

  /** Chooses the first that has answered, if nothing is to be hoped for from those before it. */
  #choose(late: boolean): void {
    for (const attempt of this.#attempts) {
      if (attempt.over) continue;
      if (attempt.packets.length > 0) return this.#take(attempt);
      if (!late) return;
    }
  }

  #take(attempt: Attempt): void {
    this.#chosen = attempt;
    this.#next?.cancel();
    this.#preferring?.cancel();
    const message = `The worker is connected to at ${attempt.address}.`;
    for (const other of this.#attempts) {
      if (other !== attempt && !other.over) other.channel?.close({ code: 'closed', message });
    }
    const { packets } = attempt;
    attempt.packets = [];
    try {
      for (const packet of packets) this.#handlers?.packet(packet);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const what = `A packet could not be handled: ${why}`;
      attempt.channel?.close({ code: 'protocol', message: what, cause });
      return;
    }
    if (!this.#paused) attempt.channel?.resume();
  }

  #end(attempt: Attempt, reason: CloseReason): void {
    if (attempt.over) return;
    attempt.over = reason;
    const isOver = this.#attempts.every(({ over }) => over !== undefined);
    if (this.#chosen) {
      if (attempt === this.#chosen) this.#tell(reason);
    } else if (this.#closing) {
      if (isOver) this.#tell(this.#closing);
    } else if (this.#left.length > 0) {
      this.#try();
      this.#choose(false);
    } else if (isOver) {
      this.#tell(together(this.#attempts.flatMap(({ over }) => over ?? [])));
    } else this.#choose(false);
  }

  #tell(reason: CloseReason): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    handlers?.closed(reason);
  }
}

/** Why the first packet is none of the worker that is meant; undefined when it is. */
function whyWrong(
  bytes: Uint8Array,
  address: string,
  expects: string | undefined,
): CloseReason | undefined {
  try {
    const [frame] = decodeEnvelope(bytes).frames;
    if (frame?.body !== 'hello') throw new ProtocolError('it does not greet');
    const { uid } = frame.hello;
    if (expects === undefined || uid === expects) return undefined;
    const message = `At ${address}, worker ${plain(uid)} answered in place of ${expects}.`;
    return { code: 'refused', message };
  } catch (cause) {
    const message = `What answers at ${address} is no worker: ${(cause as Error).message}.`;
    return { code: 'protocol', message, cause };
  }
}

/** Why none of them has connected. One that may do so later counts more than one that refuses. */
function together(reasons: readonly CloseReason[]): CloseReason {
  const [first] = reasons;
  const { code, cause } = first as CloseReason;
  const same = reasons.every((reason) => reason.code === code);
  const stopping = reasons.some((reason) => reason.stopping);
  return {
    code: same ? code : 'unreachable',
    message: reasons.map(({ message }) => message).join(' '),
    cause,
    ...(stopping && { stopping }),
  };
}
