/** The worker's end over NATS: hears what callers want, and has its ends of their channels. */
import { randomBytes } from 'node:crypto';
import type { Timer } from '../env.ts';
import { ListenError } from '../errors.ts';
import { NONCE_BYTES } from '../security/authkey.ts';
import type {
  Channel,
  ChannelHandlers,
  CloseReason,
  Listener,
  ListenerService,
  WorkerMethod,
} from '../transport/transport.ts';
import type { Bus, BusMessage } from './bus.ts';
import { serveCall } from './calls.ts';
import {
  decodePacket,
  encodePacket,
  LEAST_WINDOW_BYTES,
  NATS_PROTOCOL_VERSION,
  NatsKind,
  type NatsPacket,
} from './packet.ts';
import { Strangers } from './strangers.ts';
import { Stream } from './stream.ts';
import {
  type Conversation,
  formatPlace,
  heardByWorker,
  parsePlace,
  toCaller,
  toWorker,
  type Verb,
  verbToWorker,
  type WorkerPlace,
} from './subjects.ts';
import { CHANNEL_BYTES, exchangeOf, type TalkSettings } from './talk.ts';

/** What callers may want here; who wants a sign of life is answered elsewhere. */
const SERVED = ['link', 'status', 'stop'] as const satisfies readonly Verb[];

/**
 * Channels whose callers have not shown the authkey, or not sent anything: so many of one identity, and of
 * all; with one more the oldest ends. The authkey must be shown within that time.
 */
const MAX_STRANGERS = 256;
const MAX_ALL_STRANGERS = 4_096;
const STRANGER_MS = 10_000;
/** Channels that callers of one identity may have with a worker. */
const MAX_PER_CALLER = 4_096;

/** What is listened at where nobody has chosen a place. */
export const ANYWHERE = 'nats://';

/** Random bytes of a worker's id in its address. */
const ID_BYTES = 12;

const LISTENER_CLOSED: CloseReason = { code: 'closed', message: 'The worker stopped listening.' };

/**
 * Listens at an address, `nats://` for a new one.
 *
 * @throws ListenError that says what to do
 */
export async function listenNats(
  address: string,
  service: ListenerService,
  settings: TalkSettings,
): Promise<Listener> {
  const { bus } = settings;
  const place = placeOf(address, bus);
  const desk = new Desk(place, service, settings);
  const release = bus.hold();
  const undo: (() => void)[] = [release];
  const free = () => {
    for (const step of undo.splice(0).reverse()) step();
  };
  try {
    await bus.open();
    undo.push(() => bus.close());
    if (address !== ANYWHERE && (await isTaken(place, bus))) {
      throw new Error('another worker listens there: choose another id, or leave it out');
    }
    let problem: string | undefined;
    let listening = false;
    const refused = (why: string) => {
      if (listening)
        bus.warn('deaf', `the worker at ${formatPlace(place)} hears no callers: ${why}`);
      else problem ??= why;
    };
    for (const verb of [...SERVED, 'none'] as const) {
      const subject = verbToWorker(place, verb);
      undo.push(bus.subscribe(subject, (message) => desk.hear(message), refused));
    }
    undo.push(
      bus.watch({
        up: () => desk.up(),
        down: () => desk.down(),
        refused: (subject, why) => desk.refused(subject, why),
      }),
    );
    await bus.flush();
    if (problem !== undefined) throw new Error(problem);
    listening = true;
  } catch (cause) {
    free();
    const message = `No worker can listen on NATS as ${formatPlace(place)}: ${(cause as Error).message}`;
    throw new ListenError(message, { cause });
  }
  let closed: Promise<void> | undefined;
  return {
    address: formatPlace(place),
    close: () => {
      closed ??= desk.close().then(free);
      return closed;
    },
  };
}

function placeOf(address: string, { cluster, identity }: Bus): WorkerPlace {
  if (address === ANYWHERE) {
    return { cluster, identity, id: randomBytes(ID_BYTES).toString('base64url') };
  }
  let place: WorkerPlace;
  try {
    place = parsePlace(address);
  } catch (cause) {
    throw new ListenError((cause as TypeError).message, { cause });
  }
  if (place.cluster === cluster && place.identity === identity) return place;
  throw new ListenError(
    `${address} is not a place for a worker of the cluster ${cluster} and the identity ${identity}: ` +
      'leave the address out, or give the transport the same names',
  );
}

/** Whether somebody listens there; also no, where this account may not ask. */
async function isTaken(place: WorkerPlace, bus: Bus): Promise<boolean> {
  const channel = randomBytes(CHANNEL_BYTES).toString('base64url');
  const conversation = { caller: bus.identity, channel };
  const asked = toWorker(place, 'link', conversation);
  const own = toCaller(place, conversation);
  let taken = true;
  const free = () => {
    taken = false;
  };
  const undo = [
    bus.subscribe(own, ({ status }) => status === 503 && free(), free),
    bus.watch({ refused: (subject) => subject === asked && free() }),
  ];
  try {
    // It means nothing to a worker; the server says so when there is none.
    bus.publish(asked, encodePacket({ kind: NatsKind.NATS_RESET }), own);
    await bus.flush();
    return taken;
  } finally {
    for (const step of undo) step();
  }
}

/** All conversations of a worker, by their callers and channels. */
class Desk {
  readonly #place: WorkerPlace;
  readonly #service: ListenerService;
  readonly #settings: TalkSettings;
  readonly #talks = new Map<string, Talk>();
  /** The same by the subjects on which they are heard: what comes for them comes often. */
  readonly #bySubject = new Map<string, Talk>();
  /** Those whose callers have sent nothing yet, the oldest first; nor can they before they have shown the authkey. */
  readonly #strangers = new Strangers<Talk>(
    (talk) => talk.end({ code: 'lost', message: 'too many callers come and say nothing' }),
    { each: MAX_STRANGERS, all: MAX_ALL_STRANGERS },
  );
  /** How many the callers of an identity have. */
  readonly #counts = new Map<string, number>();
  #closing = false;

  constructor(place: WorkerPlace, service: ListenerService, settings: TalkSettings) {
    this.#place = place;
    this.#service = service;
    this.#settings = settings;
  }

  hear(message: BusMessage): void {
    const talk = this.#bySubject.get(message.subject);
    if (talk === undefined) return this.#hearOther(message);
    const packet = this.#read(message, talk);
    if (packet !== undefined) talk.receive(packet);
  }

  /** What comes for no conversation, or from the server. */
  #hearOther(message: BusMessage): void {
    const heard = heardByWorker(message.subject);
    if (heard === undefined) return;
    const key = `${heard.caller}.${heard.channel}`;
    const talk = this.#talks.get(key);
    if (heard.verb === 'none' && message.status === 503) talk?.stream?.absent();
    if (heard.verb === 'none' || talk !== undefined) return;
    const packet = this.#read(message, undefined);
    if (packet === undefined) return;
    if (packet.kind === NatsKind.NATS_OPEN) this.#begin(heard, key, packet);
    else if (packet.kind !== NatsKind.NATS_RESET) {
      const reset = { kind: NatsKind.NATS_RESET, reason: 'the worker knows nothing of it' };
      this.#settings.bus.publish(toCaller(this.#place, heard), encodePacket(reset));
    }
  }

  #read({ data }: BusMessage, talk: Talk | undefined): NatsPacket | undefined {
    try {
      return decodePacket(data);
    } catch (cause) {
      const { message } = cause as Error;
      talk?.end({ code: 'protocol', message, cause });
      return undefined;
    }
  }

  up(): void {
    for (const { stream } of this.#talks.values()) stream?.up();
  }

  down(): void {
    for (const { stream } of this.#talks.values()) stream?.down();
  }

  /** The server takes no answers on this subject. */
  refused(subject: string, why: string): void {
    for (const talk of [...this.#talks.values()]) {
      if (talk.saysTo !== subject) continue;
      talk.end({ code: 'lost', message: `Nothing can be sent to ${talk.remote}: ${why}` });
    }
  }

  /** Ends all conversations; calls such as Stop have a little time for their answers. */
  async close(): Promise<void> {
    this.#closing = true;
    const ends = [...this.#talks.values()].map((talk) => talk.close());
    await Promise.all(ends);
  }

  #begin(heard: Conversation & { verb: string }, key: string, open: NatsPacket): void {
    const { bus } = this.#settings;
    const subject = toCaller(this.#place, heard);
    const refuse = (reason: string) =>
      bus.publish(subject, encodePacket({ kind: NatsKind.NATS_REFUSE, reason }));
    if (this.#closing) return void refuse('the worker stops listening');
    if (open.version !== NATS_PROTOCOL_VERSION) {
      const reason =
        `one side speaks version ${open.version} of the protocol over NATS, the other ` +
        `${NATS_PROTOCOL_VERSION}: use versions of Skein that go together`;
      return void refuse(reason);
    }
    if (open.window < LEAST_WINDOW_BYTES) {
      return void refuse(`the window must be ${LEAST_WINDOW_BYTES} bytes or more`);
    }
    const count = this.#counts.get(heard.caller) ?? 0;
    if (count >= MAX_PER_CALLER) {
      return void refuse(`the worker has ${count} channels with callers of this identity by now`);
    }
    const talk = new Talk(this.#place, heard, open.window, this.#settings, {
      agreed: () => {
        if (heard.verb === 'link') this.#service.link(talk);
        else talk.open(serveCall(talk, heard.verb as WorkerMethod, this.#service));
      },
      spoken: () => this.#strangers.remove(heard.caller, talk),
      ended: () => {
        this.#strangers.remove(heard.caller, talk);
        this.#count(heard.caller, -1);
        this.#talks.delete(key);
        this.#bySubject.delete(talk.heardAt);
      },
    });
    this.#talks.set(key, talk);
    this.#bySubject.set(talk.heardAt, talk);
    this.#count(heard.caller, 1);
    this.#strangers.add(heard.caller, talk);
    talk.begin();
  }

  #count(caller: string, change: number): void {
    const count = (this.#counts.get(caller) ?? 0) + change;
    if (count > 0) this.#counts.set(caller, count);
    else this.#counts.delete(caller);
  }
}

interface TalkPorts {
  /** Both sides agree to talk: the stream is to be opened. */
  agreed(): void;
  /** The caller has sent the first packet. */
  spoken(): unknown;
  ended(): void;
}

/** The worker's end of one conversation. */
class Talk implements Channel {
  readonly remote: string;
  stream: Stream | undefined;
  readonly #verb: string;
  /** Where the caller speaks to. */
  readonly heardAt: string;
  /** Where it hears. */
  readonly saysTo: string;
  readonly #none: string;
  readonly #window: number;
  readonly #settings: TalkSettings;
  readonly #ports: TalkPorts;
  readonly #released: Promise<void>;
  #release = () => {};
  #nonce: Uint8Array | undefined;
  /** What was answered last, before there were packets. */
  #said: Uint8Array | undefined;
  #agreed = false;
  #spoken = false;
  #over = false;
  #deadline: Timer | undefined;

  constructor(
    place: WorkerPlace,
    { caller, channel, verb }: Conversation & { verb: string },
    window: number,
    settings: TalkSettings,
    ports: TalkPorts,
  ) {
    this.remote = `nats caller ${caller} ${channel.slice(0, 8)}`;
    this.#verb = verb;
    this.heardAt = toWorker(place, verb as Verb, { caller, channel });
    this.saysTo = toCaller(place, { caller, channel });
    this.#none = toWorker(place, 'none', { caller, channel });
    this.#window = window;
    this.#settings = settings;
    this.#ports = ports;
    this.#released = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  begin(): void {
    const { authkey, env } = this.#settings;
    if (authkey === undefined) return this.#agree();
    this.#nonce = randomBytes(NONCE_BYTES);
    this.#deadline = env.timer(STRANGER_MS, () =>
      this.end({ code: 'lost', message: 'the caller shows no authkey' }),
    );
    this.#say({ kind: NatsKind.NATS_CHALLENGE, nonce: this.#nonce });
  }

  receive(packet: NatsPacket): void {
    const { kind } = packet;
    if (kind === NatsKind.NATS_OPEN || (kind === NatsKind.NATS_PROVE && this.#agreed)) {
      // It has not heard the answer.
      if (this.#said !== undefined) this.#settings.bus.publish(this.saysTo, this.#said);
    } else if (this.#agreed) {
      if (!this.#spoken && kind === NatsKind.NATS_DATA) {
        this.#spoken = true;
        this.#ports.spoken();
      }
      this.stream?.receive(packet);
    } else if (kind === NatsKind.NATS_PROVE) this.#prove(packet);
    else if (kind === NatsKind.NATS_RESET) this.end({ code: 'closed', message: 'it went' });
  }

  open(handlers: ChannelHandlers): void {
    const { bus, env, limits } = this.#settings;
    this.stream = new Stream(
      {
        env,
        limits,
        publish: (message, asks) =>
          bus.publish(this.saysTo, message, asks ? this.#none : undefined),
        maxPayload: () => bus.maxPayload,
        ended: () => this.#end(),
      },
      handlers,
    );
    this.stream.begin(this.#window);
    if (!bus.connected) this.stream.down();
  }

  send(packet: Uint8Array, released?: () => void): boolean {
    return this.stream?.send(packet, released) ?? false;
  }

  pause(): void {
    this.stream?.pause();
  }

  resume(): void {
    this.stream?.resume();
  }

  close(reason: CloseReason = LISTENER_CLOSED): Promise<void> {
    if (this.stream === undefined) this.end(reason);
    // What answers a call ends by itself, when it has.
    else if (this.#verb === 'link' || reason !== LISTENER_CLOSED) this.stream.close(reason);
    else this.#setFarewell();
    return this.#released;
  }

  end(reason: CloseReason): void {
    if (this.stream !== undefined) this.stream.reset(reason);
    else this.#end();
  }

  #setFarewell(): void {
    const { env, limits } = this.#settings;
    this.#deadline = env.timer(limits.closeTimeoutMs, () => this.stream?.reset(LISTENER_CLOSED));
  }

  #prove({ nonce, proof }: NatsPacket): void {
    const { authkey } = this.#settings;
    if (authkey === undefined || this.#nonce === undefined) return;
    const fits = nonce?.length === NONCE_BYTES && proof !== undefined;
    const exchange = fits && exchangeOf(this.heardAt, this.#nonce, nonce);
    // One try for each nonce.
    this.#nonce = undefined;
    if (!exchange || !authkey.isProof(proof as Uint8Array, 'client', exchange)) {
      this.#say({ kind: NatsKind.NATS_REFUSE, reason: 'The authkey is another one.' });
      return this.#end();
    }
    this.#deadline?.cancel();
    this.#agree(authkey.proof('server', exchange));
  }

  #agree(proof?: Uint8Array): void {
    this.#agreed = true;
    const window = this.#settings.limits.windowBytes;
    this.#say({ kind: NatsKind.NATS_ACCEPT, window, proof });
    this.#ports.agreed();
  }

  #say(packet: Parameters<typeof encodePacket>[0]): void {
    this.#said = encodePacket(packet);
    this.#settings.bus.publish(this.saysTo, this.#said, this.#none);
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#deadline?.cancel();
    this.#ports.ended();
    this.#release();
  }
}
