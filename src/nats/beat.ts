/**
 * The beat of a worker over NATS, at addresses such as `beat+nats://cluster/identity/id#token`: how the
 * thread that answers is set up, and channels to it. Packets are those of wire/beat.js.
 */
import { randomBytes } from 'node:crypto';
import { toBeatAddress, tokenOf } from '../transport/beat.ts';
import type {
  BeatRecipe,
  Channel,
  ChannelHandlers,
  CloseReason,
  Dialer,
} from '../transport/transport.ts';
import { decodeBeat, TOKEN_BYTES } from '../wire/beat.js';
import type { NatsBeatSetup } from './beat-thread.js';
import type { Bus, BusMessage } from './bus.ts';
import { checkOptions, type NatsOptions } from './options.ts';
import {
  type Conversation,
  formatPlace,
  parsePlace,
  toCaller,
  toWorker,
  verbToWorker,
  type WorkerPlace,
} from './subjects.ts';

/** So often an open channel looks whether anybody is there. */
const LOOK_MS = 500;
/** One that was told to stop, and that nobody hears from for so long, has ended. */
const STOPPED_MS = 1_000;
/** So long it is tried to stop one of which nobody was ever heard. */
const UNMET_MS = 3_000;
const NOBODY = 'there is no such worker';
const CHANNEL_BYTES = 16;

/**
 * How the thread of a worker answers over NATS.
 *
 * @param listening the address of the worker
 * @throws TypeError when it is none of NATS
 */
export function beatOf(listening: string, options: NatsOptions): BeatRecipe {
  const worker = parsePlace(listening);
  const { servers, tls, name } = checkOptions(options);
  const token = randomBytes(TOKEN_BYTES).toString('hex');
  const setup: NatsBeatSetup = {
    options: { servers, tls, name },
    beat: verbToWorker(worker, 'beat'),
    halt: verbToWorker(worker, 'halt'),
    answers: toCaller(worker, { caller: '*', channel: '*' }),
    token,
  };
  return {
    address: toBeatAddress(formatPlace(worker), token),
    module: new URL('./beat-thread.js', import.meta.url).href,
    setup,
  };
}

/** Channels to beats over NATS. */
export function natsBeats(bus: Bus): Dialer {
  return { schemes: ['beat+nats'], connect: (address) => new NatsBeat(bus, address) };
}

class NatsBeat implements Channel {
  readonly remote: string;
  readonly #bus: Bus;
  readonly #address: string;
  readonly #conversation: Conversation;
  #handlers: ChannelHandlers | undefined;
  #worker: WorkerPlace | undefined;
  #token: Uint8Array = new Uint8Array(0);
  /** While it listens: what gives that back. */
  #leave: (() => void) | undefined;
  #closing: CloseReason | undefined;
  /** What may not have come to the worker, the last of each verb. */
  readonly #unsent = new Map<'beat' | 'halt', Uint8Array>();
  #answered = false;
  /** It was told to stop, has answered, and both sides were connected since. */
  #stops = false;
  /** Since when nobody is there, or the own connection is away. */
  #awayAt: number | undefined;
  /** Whether the server has said that nobody is there since it was asked last. */
  #deserted = false;
  #paused = false;

  constructor(bus: Bus, address: string) {
    this.#bus = bus;
    this.#address = address;
    // Logs are no place for a token.
    this.remote = address.replace(/#.*$/s, '');
    const channel = randomBytes(CHANNEL_BYTES).toString('base64url');
    this.#conversation = { caller: bus.identity, channel };
  }

  open(handlers: ChannelHandlers): void {
    this.#handlers = handlers;
    try {
      this.#worker = parsePlace(this.remote);
      this.#token = tokenOf(this.#address);
    } catch (cause) {
      const { message } = cause as Error;
      setImmediate(() => this.#end({ code: 'unreachable', message, cause }));
      return;
    }
    const worker = this.#worker;
    this.#bus.open().then(
      () => this.#listen(worker),
      (error: Error) => this.#fail(error.message, error),
    );
  }

  send(packet: Uint8Array, released?: () => void): boolean {
    if (this.#worker === undefined || this.#closing !== undefined) return false;
    if (packet.length === 0) throw new TypeError('A packet has at least one byte.');
    const verb = decodeBeat(packet)?.kind === 'stop' ? 'halt' : 'beat';
    this.#unsent.set(verb, Buffer.concat([this.#token, packet]));
    this.#flush();
    if (released) setImmediate(released);
    return true;
  }

  /** What is said meanwhile is dropped: an answer is worth something while it is new. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  close(reason: CloseReason): void {
    if (this.#closing !== undefined) return;
    this.#closing = reason;
    setImmediate(() => this.#end(reason));
  }

  #listen(worker: WorkerPlace): void {
    const bus = this.#bus;
    if (this.#handlers === undefined) return bus.close();
    const refused = (why: string) => this.#fail(`the NATS server does not allow it: ${why}`);
    const answers = toCaller(worker, this.#conversation);
    const unsubscribe = bus.subscribe(answers, (message) => this.#take(message), refused);
    const unwatch = bus.watch({
      up: () => {
        // The worker may need as long as this side did.
        this.#awayAt = undefined;
        this.#stops = false;
        this.#flush();
      },
      refused: (subject, why) => {
        if (subject.endsWith(`.${this.#conversation.channel}`)) refused(why);
      },
    });
    const looking = setInterval(() => this.#look(), LOOK_MS).unref();
    this.#leave = () => {
      clearInterval(looking);
      unwatch();
      unsubscribe();
      bus.close();
    };
    this.#flush();
  }

  #publish(verb: 'beat' | 'halt', data: Uint8Array): boolean {
    const worker = this.#worker as WorkerPlace;
    // The server answers there when it has nobody to give it to.
    const reply = toCaller(worker, this.#conversation);
    return this.#bus.publish(toWorker(worker, verb, this.#conversation), data, reply);
  }

  #flush(): void {
    if (this.#leave === undefined) return;
    for (const [verb, data] of this.#unsent) {
      // A message may be lost with the connection, and to be stopped twice does no harm.
      if (this.#publish(verb, data) && verb === 'beat') this.#unsent.delete(verb);
    }
  }

  #take({ status, data }: BusMessage): void {
    if (this.#closing !== undefined) return;
    if (status !== 0) {
      this.#deserted = true;
      this.#awayAt ??= performance.now();
      // The thread of a worker that has just started may not have connected: its end is worth a wait.
      if (!this.#answered && !this.#unsent.has('halt')) this.#fail(NOBODY);
      return;
    }
    this.#answered = true;
    if (this.#unsent.has('halt')) this.#stops = true;
    this.#deserted = false;
    this.#awayAt = undefined;
    this.#unsent.clear();
    if (!this.#paused) this.#handlers?.packet(data.slice());
  }

  /** Notices that nobody is there any more, also where the owner only waits. */
  #look(): void {
    const { connected, goneAfterMs } = this.#bus;
    const now = performance.now();
    const isAway = !connected || this.#deserted;
    this.#awayAt = isAway ? (this.#awayAt ?? now) : undefined;
    // The end of one that stops is no surprise.
    const stops = connected && this.#stops;
    const longest = stops ? STOPPED_MS : this.#answered ? goneAfterMs : UNMET_MS;
    if (isAway && now - (this.#awayAt ?? now) >= Math.min(longest, goneAfterMs)) {
      if (!connected) this.#fail('the connection to the NATS server is lost');
      else if (!this.#answered) this.#fail(NOBODY);
      else this.#end({ code: 'lost', message: `The beat of ${this.remote} is lost.` });
      return;
    }
    this.#deserted = false;
    this.#flush();
    // The thread does not answer what has no packet.
    this.#publish('beat', this.#token);
  }

  #fail(why: string, cause?: Error): void {
    const message = `No beat answers at ${this.remote}: ${why}.`;
    this.#end({ code: 'unreachable', message, cause });
  }

  #end(reason: CloseReason): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    this.#leave?.();
    this.#leave = undefined;
    handlers?.closed(this.#closing ?? reason);
    this.#closing ??= reason;
  }
}
