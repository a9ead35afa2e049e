/** The caller's end of a channel over NATS. */
import { randomBytes } from 'node:crypto';
import type { Timer } from '../env.ts';
import { AuthenticationError } from '../errors.ts';
import { KEY_WANTED, NONCE_BYTES } from '../security/authkey.ts';
import {
  CannotAsk,
  type Channel,
  type ChannelHandlers,
  type CloseReason,
} from '../transport/transport.ts';
import { plain } from '../wire/plain.ts';
import type { BusMessage } from './bus.ts';
import {
  decodePacket,
  encodePacket,
  LEAST_WINDOW_BYTES,
  NATS_PROTOCOL_VERSION,
  NatsKind,
  type NatsPacket,
} from './packet.ts';
import { Stream } from './stream.ts';
import { parsePlace, toCaller, toWorker, type Verb, type WorkerPlace } from './subjects.ts';
import { CHANNEL_BYTES, exchangeOf, type TalkSettings } from './talk.ts';

/** Until the worker has answered, it is asked again so often. */
const AGAIN_MS = 1_000;

const NO_KEY = 'it has no authkey: start it with the same one, or give none here';
const OTHER_KEY = 'it has another authkey: give both the same one';
const IMPOSTOR = 'it can not show that it has the authkey: it is not what it claims to be';

/** What the worker shows that it knows, and what for. */
interface Proving {
  readonly nonce: Uint8Array;
  readonly clientNonce: Uint8Array;
}

export class CallerChannel implements Channel {
  readonly remote: string;
  readonly #settings: TalkSettings;
  readonly #verb: Verb;
  #stream: Stream | undefined;
  #over = false;
  #worker = '';
  #own = '';
  /** What the worker was told last, until it has agreed. */
  #said: Uint8Array | undefined;
  #proving: Proving | undefined;
  #again: Timer | undefined;
  #leave: (() => void)[] = [];

  constructor(address: string, verb: Verb, settings: TalkSettings) {
    this.remote = address;
    this.#verb = verb;
    this.#settings = settings;
  }

  open(handlers: ChannelHandlers): void {
    const { bus, env, limits } = this.#settings;
    const stream = new Stream(
      {
        env,
        limits,
        publish: (message, asks) =>
          this.#worker !== '' && bus.publish(this.#worker, message, asks ? this.#own : undefined),
        maxPayload: () => bus.maxPayload,
        ended: () => this.#end(),
      },
      handlers,
    );
    this.#stream = stream;
    let place: WorkerPlace;
    try {
      place = parsePlace(this.remote);
    } catch (cause) {
      const { message } = cause as TypeError;
      env.soon(() => stream.end({ code: 'unreachable', message, cause }));
      return;
    }
    const channel = randomBytes(CHANNEL_BYTES).toString('base64url');
    const conversation = { caller: bus.identity, channel };
    this.#worker = toWorker(place, this.#verb, conversation);
    this.#own = toCaller(place, conversation);
    bus.open().then(
      () => {
        if (this.#over) return bus.close();
        this.#leave.push(() => bus.close());
        this.#ask();
      },
      (cause: Error) => this.#unreachable(cause.message, cause),
    );
  }

  send(packet: Uint8Array, released?: () => void): boolean {
    return this.#stream?.send(packet, released) ?? false;
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  close(reason: CloseReason): void {
    this.#stream?.close(reason);
  }

  orphan(): void {
    this.#stream?.orphan();
  }

  #ask(): void {
    const { bus, limits } = this.#settings;
    this.#leave.push(
      bus.subscribe(
        this.#own,
        (message) => this.#receive(message),
        (why) => this.#mayNot(why),
      ),
      bus.watch({
        up: () => this.#stream?.up(),
        down: () => this.#stream?.down(),
        refused: (subject, why) => {
          if (subject !== this.#worker) return;
          this.#mayNot(why);
        },
      }),
    );
    this.#say({
      kind: NatsKind.NATS_OPEN,
      version: NATS_PROTOCOL_VERSION,
      window: limits.windowBytes,
    });
  }

  /** Says something until the worker answers. */
  #say(packet: Parameters<typeof encodePacket>[0]): void {
    this.#said = encodePacket(packet);
    this.#sayAgain();
  }

  #sayAgain(): void {
    const { bus, env } = this.#settings;
    if (this.#said === undefined) return;
    bus.publish(this.#worker, this.#said, this.#own);
    this.#again?.cancel();
    this.#again = env.timer(AGAIN_MS, () => this.#sayAgain());
  }

  #receive({ data, status }: BusMessage): void {
    const stream = this.#stream;
    if (stream === undefined || this.#over) return;
    if (status === 503) {
      if (this.#said === undefined) stream.absent();
      else this.#unreachable('nobody is there');
      return;
    }
    let packet: NatsPacket;
    try {
      packet = decodePacket(data);
    } catch (cause) {
      return stream.reset({ code: 'protocol', message: (cause as Error).message, cause });
    }
    if (this.#said === undefined) stream.receive(packet);
    else this.#agree(stream, packet);
  }

  #agree(stream: Stream, { kind, nonce, proof, window, reason }: NatsPacket): void {
    const { authkey } = this.#settings;
    switch (kind) {
      case NatsKind.NATS_CHALLENGE: {
        if (authkey === undefined) return this.#stranger(KEY_WANTED);
        if (nonce?.length !== NONCE_BYTES) return this.#refused('its challenge is none');
        // Asked once more, it is answered with the same.
        this.#proving ??= { nonce, clientNonce: randomBytes(NONCE_BYTES) };
        const exchange = exchangeOf(this.#worker, nonce, this.#proving.clientNonce);
        return this.#say({
          kind: NatsKind.NATS_PROVE,
          nonce: exchange.clientNonce,
          proof: authkey.proof('client', exchange),
        });
      }
      case NatsKind.NATS_ACCEPT: {
        if (authkey !== undefined) {
          const { nonce, clientNonce } = this.#proving ?? {};
          if (nonce === undefined || clientNonce === undefined) return this.#stranger(NO_KEY);
          const exchange = exchangeOf(this.#worker, nonce, clientNonce);
          if (proof === undefined || !authkey.isProof(proof, 'server', exchange)) {
            return this.#stranger(IMPOSTOR);
          }
        }
        if (window < LEAST_WINDOW_BYTES) return this.#refused('it takes nothing at a time');
        this.#said = undefined;
        this.#again?.cancel();
        return stream.begin(window);
      }
      case NatsKind.NATS_REFUSE:
        if (this.#proving !== undefined) return this.#stranger(OTHER_KEY);
        return this.#refused(plain(reason));
      case NatsKind.NATS_RESET:
        return this.#refused(plain(reason));
    }
  }

  #unreachable(why: string, cause?: unknown): void {
    const message = `No worker answers at ${this.remote}: ${why}.`;
    this.#stream?.end({ code: 'unreachable', message, cause });
  }

  /** The server does not let this side ask, or hear the answer. */
  #mayNot(why: string): void {
    const message = `The worker at ${this.remote} can't be asked: ${why}.`;
    this.#stream?.end({ code: 'unreachable', message, cause: new CannotAsk(why) });
  }

  #refused(why: string, cause?: unknown): void {
    const message = `There is no link with the worker at ${this.remote}: ${why}.`;
    this.#stream?.reset({ code: 'refused', message, cause });
  }

  /** The one or the other is not who it has to be. */
  #stranger(why: string): void {
    this.#refused(why, new AuthenticationError(`${this.remote}: ${why}`));
  }

  #end(): void {
    this.#over = true;
    this.#said = undefined;
    this.#again?.cancel();
    for (const leave of this.#leave.splice(0).reverse()) leave();
  }
}
