/**
 * One long-lived connection between a caller and a worker, on a channel of any transport.
 *
 * A link greets (Hello), puts the frames of one turn of the event loop into one envelope, sends large
 * values in chunks between the small frames, holds back when the channel is full, notices what the
 * channel has lost or repeated, and knows which calls it has written. It knows nothing of what calls
 * mean.
 */
import type { WorkerAbout } from '../discovery/discovery.ts';
import type { Env, Timer } from '../env.ts';
import { LimitExceeded, ProtocolError, type SerializationError, ValueTooLarge } from '../errors.ts';
import { exceeded } from '../security/breaches.ts';
import {
  type Breach,
  CHUNK_OVERHEAD_BYTES,
  decodeEnvelope,
  EnvelopeWriter,
  encodeChunk,
  type Frame,
  type Goodbye,
  GoodbyeReason,
  type Hello,
  type OutChunk,
  type OutFrame,
  type OutGoodbye,
  type OutValue,
  PROTOCOL_VERSION,
  type Value,
} from '../wire/frame.ts';
import { plain } from '../wire/plain.ts';
import { fromAbout, toAbout } from './about.ts';
import { hasLostBytes, Inbox, type Limits, lostBytes, Outbox } from './chunks.ts';
import type { Channel, CloseReason } from './transport.ts';

export { defaultLimits, type Limits } from './chunks.ts';

/** The bytes of a value: one CBOR item, or that and its attachments. */
export type Payload = Uint8Array | readonly Uint8Array[];

/** A value that arrived, and the Context that came with it. */
export interface Received {
  /** Absent for undefined. */
  readonly item?: Uint8Array | undefined;
  readonly attachments: readonly Uint8Array[];
  readonly context?: Uint8Array | undefined;
}

/** What a link tells its owner. Nothing comes after `closed`. */
export interface LinkHandlers {
  /**
   * Both sides have greeted: frames may be sent.
   *
   * @param about what the worker says of itself, if it does
   */
  up(hello: Hello, about?: WorkerAbout): void;
  /** A frame of a call, or a Routine. Its values are whole. */
  frame(frame: Frame): void;
  /** Frames are about to go out: the last chance to add to them. */
  flushing?(): void;
  /** The other side has answered a ping. */
  pong?(): void;
  /** An envelope came once more, and was dropped. */
  duplicate?(): void;
  /** The other side has exceeded a limit of this one, which ends the link, or the call that brings a value too large. */
  breached?(error: LimitExceeded | ValueTooLarge): void;
  /** The link ended. Called exactly once. */
  closed(reason: CloseReason): void;
}

export interface LinkOptions {
  readonly env: Env;
  readonly limits: Limits;
  /** This side's uid: the caller's epoch, or the worker's. */
  readonly uid: string;
  /** The worker that the caller means to reach. */
  readonly expects?: string;
  /** Whether this side accepted the channel, and so checks what the caller expects. */
  readonly accepts?: boolean;
  /** What the worker says of itself. */
  readonly about?: WorkerAbout | undefined;
}

/** Ends a channel on which no link can be made, since there are too many of these; the caller is told so. */
export function turnAway(channel: Channel, error: LimitExceeded): void {
  const { message, limit, value, max } = error;
  channel.open({ packet: () => {}, drain: () => {}, closed: () => {} });
  const writer = new EnvelopeWriter();
  writer.add({
    call: 0,
    goodbye: { reason: GoodbyeReason.LIMIT, message, breach: { limit, value, max } },
  });
  channel.send(writer.finish(1));
  channel.close({ code: 'protocol', message });
}

/** Frames are cut into envelopes of about this size. */
const ENVELOPE_BYTES = 64 * 1024;
/** Characters of a uid; those made here have 16. */
const LONGEST_UID = 256;
/** So many frames of no use are due for each call: what crosses with its end, and its Ack. */
const STRAYS_OF_CALL = 4;
/** And for each second: pings. */
const STRAYS_OF_SECOND = 100;
/** Frames that follow others so soon are taken for a part of the same burst. */
const BURST_MS = 0.025;

export class Link {
  readonly #channel: Channel;
  readonly #options: LinkOptions;
  readonly #handlers: LinkHandlers;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  #greeting: Timer | undefined;
  #state: 'greeting' | 'up' | 'closed' = 'greeting';
  #writer: EnvelopeWriter | undefined;
  #sealed: { writer: EnvelopeWriter; lastTask: number }[] = [];
  #backlog = 0;
  #full = false;
  #paused = false;
  /** A flush was asked for. */
  #scheduled = false;
  #flushedAt = Number.NEGATIVE_INFINITY;
  #lastTask = 0;
  #writtenTask = 0;
  /** The number of the last envelope that was handed to the channel. */
  #sent = 0;
  /** The number of the last envelope that was handled. */
  #handled = 0;
  /** The highest call number of a Task that has arrived. */
  #seenTask = 0;
  #packets = 0;
  #pongDue = false;
  /** Tasks that went out, or were taken. */
  #tasks = 0;
  /** Frames that were of no use. */
  #strays = 0;
  readonly #since: number;
  /** Waits whether a slow reader takes something. */
  #reading: Timer | undefined;
  /** Changes whenever the other side has taken something. */
  #taken = 0;
  #room = 256;
  #finishing: (() => void) | undefined;
  /** Buffers for chunks, used again when the channel has let go of them. */
  readonly #rooms: Uint8Array[] = [];

  constructor(channel: Channel, options: LinkOptions, handlers: LinkHandlers) {
    this.#channel = channel;
    this.#options = options;
    this.#handlers = handlers;
    this.#inbox = new Inbox(options.limits);
    this.#outbox = new Outbox(options.limits);
    this.#since = options.env.now();
    this.#greeting = options.env.timer(options.limits.helloTimeoutMs, () => this.#ungreeted());
    channel.open({
      packet: (bytes) => this.#receive(bytes),
      drain: () => {
        this.#full = false;
        this.#taken += 1;
        this.#flush();
      },
      closed: (reason) => {
        if (reason.cause instanceof LimitExceeded) this.#tellBreach(reason.cause);
        this.#end(reason);
      },
    });
    this.send({
      call: 0,
      hello: {
        version: PROTOCOL_VERSION,
        uid: options.uid,
        expects: options.expects ?? '',
        max_value_bytes: options.limits.maxValueBytes,
        window: options.limits.windowBytes,
        max_incoming_bytes: options.limits.maxIncomingBytes,
        ...(options.accepts && { max_calls: mostCalls(options.limits) }),
        about: options.about && toAbout(options.about),
      },
    });
  }

  /** The other side, for logs. */
  get remote(): string {
    return this.#channel.remote;
  }

  /** Packets that have arrived: as long as it changes, the other side is heard. */
  get packets(): number {
    return this.#packets;
  }

  /**
   * The highest call number whose Task the worker may have seen: the last that was handed to the
   * channel, or an earlier one when the worker's Goodbye says so.
   */
  get writtenTask(): number {
    return this.#writtenTask;
  }

  /** The largest value that may be sent, in bytes: what both sides take. */
  get maxValueBytes(): number {
    return this.#outbox.maxValueBytes;
  }

  /** Bytes that wait to be sent: frames for the channel, large values for the other side's credit. */
  get backlog(): number {
    return this.#backlog + this.#outbox.bytes;
  }

  /** Sends a frame with the others of this turn. Without effect when the link has ended. */
  send(frame: OutFrame): void {
    if (this.#state === 'closed') return;
    this.#writer ??= new EnvelopeWriter(this.#room);
    this.#writer.add(frame);
    if (frame.call !== 0) this.#outbox.share();
    if ('task' in frame) {
      this.#lastTask = frame.call;
      this.#tasks += 1;
    }
    if (this.#writer.bytes >= ENVELOPE_BYTES) this.#seal();
    this.#schedule();
  }

  /** Asks the other side for a sign of life. Without effect before the link is up, and after its end. */
  ping(): void {
    if (this.#state === 'up') this.send({ call: 0, ping: {} });
  }

  /** Has `flushing` called at the end of this turn, though there is no frame yet. */
  wake(): void {
    if (this.#state === 'up') this.#schedule();
  }

  /**
   * The value as it stands in a frame, when it is small enough to travel inside; else undefined, and
   * `transfer` brings it.
   *
   * @param context a Context that goes with it
   */
  inline(payload: Payload | undefined, context?: Uint8Array): OutValue | undefined {
    const total = (payload === undefined ? 0 : sizeOf(payload)) + (context?.length ?? 0);
    if (!this.#outbox.fitsInline(total)) return undefined;
    if (payload === undefined) return context ? { context } : {};
    if (payload instanceof Uint8Array)
      return context ? { item: payload, context } : { item: payload };
    const [item, ...attachments] = payload;
    if (hasLostBytes(attachments)) return undefined;
    return context ? { item, attachments, context } : { item, attachments };
  }

  /**
   * Brings a large value to the other side in chunks; `write` sends the frame that carries it when
   * they are on the way. The bytes must not change until then.
   *
   * @param failed called in place of `write` when they are not there any more: their memory went elsewhere
   * @param context a Context that goes with it
   * @returns what gives the transfer up, while its chunks are on the way
   * @throws SerializationError when the bytes are not there even now
   * @throws ValueTooLarge when this side or the other takes no value of this size
   */
  transfer(
    payload: Payload | undefined,
    write: (value: OutValue) => void,
    failed: (error: SerializationError) => void,
    context?: Uint8Array,
  ): () => void {
    const parts = partsOf(payload, context);
    if (hasLostBytes(parts)) throw lostBytes();
    const total = sizeOf(parts);
    const limit = this.#outbox.maxValueBytes;
    if (total > limit) {
      throw new ValueTooLarge(
        `the value takes ${total} bytes, and at most ${limit} may travel (maxValueBytes)`,
        { bytes: total, limit },
      );
    }
    const abandon = (started: boolean) => {
      if (started) this.send({ call: 0, chunk: { transfer, abandoned: true } });
    };
    const transfer = this.#outbox.add(
      parts,
      total,
      context === undefined ? write : (value) => write({ ...value, context_last: true }),
      (started) => {
        abandon(started);
        failed(lostBytes());
      },
    );
    this.#schedule();
    this.#checkHeld();
    return () => abandon(this.#outbox.abandon(transfer));
  }

  /**
   * Sends the frame that `frame` makes of a value, at once or after its chunks.
   *
   * @param failed called in place of `frame` as with `transfer`
   * @param context a Context that goes with it
   * @throws SerializationError when bytes of the value are not there even now
   * @throws ValueTooLarge when this side or the other takes no value of this size
   */
  deliver(
    payload: Payload | undefined,
    frame: (value: OutValue | undefined) => OutFrame,
    failed: (error: SerializationError) => void,
    context?: Uint8Array,
  ): void {
    if (payload === undefined && context === undefined) return this.send(frame(undefined));
    const value = this.inline(payload, context);
    if (value !== undefined) this.send(frame(value));
    else this.transfer(payload, (sent) => this.send(frame(sent)), failed, context);
  }

  /** The process of the peer has ended: the link closes as soon as what it sent last is here. */
  orphan(): void {
    this.#channel.orphan?.();
  }

  /** Ends the link on purpose; `closed` follows. */
  close(reason: GoodbyeReason = GoodbyeReason.CLOSED, message = 'closed'): void {
    const isSure = reason === GoodbyeReason.DRAINING || reason === GoodbyeReason.IDLE;
    this.#bid({ reason, message, ...(isSure && { last_call: this.#seenTask }) });
  }

  /** Ends the link since the other side has exceeded a limit; `closed` follows. */
  cutOff(error: LimitExceeded): void {
    const { message, limit, value, max } = error;
    this.#tellBreach(error);
    this.#bid({ reason: GoodbyeReason.LIMIT, message, breach: { limit, value, max } });
    this.#end({ code: 'protocol', message, cause: error });
  }

  #bid(goodbye: OutGoodbye): void {
    if (this.#state === 'closed') return;
    this.send({ call: 0, goodbye });
    this.#full = false;
    this.#flush();
    const { reason, message } = goodbye;
    const isFault = reason === GoodbyeReason.PROTOCOL || reason === GoodbyeReason.LIMIT;
    this.#channel.close({ code: isFault ? 'protocol' : 'closed', message });
  }

  #tellBreach(error: LimitExceeded | ValueTooLarge): void {
    if (this.#state !== 'closed') this.#handlers.breached?.(error);
  }

  #ungreeted(): void {
    const { helloTimeoutMs: ms } = this.#options.limits;
    const message = `no Hello within ${ms} ms`;
    if (!this.#options.accepts) return this.#fail('unreachable', message);
    this.cutOff(exceeded('helloTimeoutMs', ms, ms, `there was ${message}`));
  }

  /** A task was taken that has come: more frames are due for it. */
  took(): void {
    this.#tasks += 1;
  }

  /**
   * Frames have come that are of no use: of calls that are over, or that say nothing.
   *
   * @throws LimitExceeded when they are too many
   */
  stray(frames = 1): void {
    this.#strays += frames;
    const { maxStrayFrames } = this.#options.limits;
    if (this.#strays <= maxStrayFrames) return;
    const seconds = (this.#options.env.now() - this.#since) / 1_000;
    const due = this.#tasks * STRAYS_OF_CALL + seconds * STRAYS_OF_SECOND;
    if (this.#strays <= maxStrayFrames + due) return;
    const what = `${this.#strays} frames came that are of no use`;
    throw exceeded('maxStrayFrames', this.#strays, maxStrayFrames, what);
  }

  /** Ends the link at once: the other side is taken for gone. `closed` follows, with the code `lost`. */
  giveUp(message: string): void {
    this.#fail('lost', message);
  }

  /** As `close`, once the large values that are on their way are out. */
  finish(reason: GoodbyeReason, message: string): void {
    if (this.#outbox.bytes === 0) this.close(reason, message);
    else this.#finishing = () => this.close(reason, message);
  }

  #receive(bytes: Uint8Array): void {
    if (this.#state === 'closed') return;
    this.#packets += 1;
    try {
      const { frames, sequence } = decodeEnvelope(bytes, this.#options.limits);
      if (this.#isNext(sequence)) for (const frame of frames) this.#handle(frame);
      else this.stray(frames.length + 1);
    } catch (error) {
      if (error instanceof LimitExceeded) return this.cutOff(error);
      if (!(error instanceof ProtocolError)) throw error;
      this.close(GoodbyeReason.PROTOCOL, error.message);
      this.#end({ code: 'protocol', message: error.message, cause: error });
    }
    if (this.#inbox.creditDue > 0) this.#schedule();
  }

  /**
   * Whether an envelope is the next one, and not one that was handled before.
   *
   * @throws ProtocolError when something is missing before it, or at its end
   */
  #isNext(sequence: number): boolean {
    const expected = this.#handled + 1;
    if (sequence === expected) {
      this.#handled = sequence;
      return true;
    }
    if (sequence === 0) throw new ProtocolError('an envelope without a number: it was cut off');
    if (sequence > expected) {
      throw new ProtocolError(`envelope ${sequence} came in place of envelope ${expected}`);
    }
    this.#handlers.duplicate?.();
    return false;
  }

  #handle(frame: Frame): void {
    if (this.#state === 'closed') return;
    if (this.#state === 'greeting') {
      if (frame.body === 'hello') this.#greet(frame.hello);
      else if (frame.body === 'goodbye') this.#farewell(frame.goodbye);
      else throw new ProtocolError(`a ${frame.body} frame before Hello`);
      return;
    }
    switch (frame.body) {
      case 'hello':
        throw new ProtocolError('a second Hello');
      case 'goodbye':
        return this.#farewell(frame.goodbye);
      case 'chunk':
        if (!frame.chunk.data?.length) this.stray();
        return this.#inbox.take(frame.chunk);
      case 'credit':
        if (frame.credit.bytes === 0) this.stray();
        this.#taken += 1;
        this.#outbox.credit(frame.credit.bytes);
        return this.#schedule();
      case 'ping':
        this.stray();
        this.#pongDue = true;
        return this.#schedule();
      case 'pong':
        this.stray();
        return this.#handlers.pong?.();
      case 'task':
        this.#seenTask = frame.call;
    }
    this.#outbox.share();
    this.#handlers.frame(frame);
  }

  #greet(hello: Hello): void {
    if (hello.version !== PROTOCOL_VERSION) {
      const message =
        `one side speaks protocol version ${hello.version}, the other ${PROTOCOL_VERSION}: ` +
        'use versions of Skein that go together';
      return this.#refuse(GoodbyeReason.VERSION, message);
    }
    const { length } = hello.uid;
    if (length === 0 || length > LONGEST_UID) {
      throw new ProtocolError(`a Hello with a uid of ${length} characters`);
    }
    const { accepts, expects, uid } = this.#options;
    if (accepts && hello.expects !== '' && hello.expects !== uid) {
      const message = `this is worker ${uid}, not ${plain(hello.expects, LONGEST_UID)}`;
      return this.#refuse(GoodbyeReason.WRONG_WORKER, message);
    }
    if (expects !== undefined && hello.uid !== expects) {
      const message = `worker ${plain(hello.uid)} answered in place of ${expects}`;
      return this.#refuse(GoodbyeReason.WRONG_WORKER, message);
    }
    const about = accepts || hello.about === undefined ? undefined : fromAbout(hello.about);
    this.#greeting?.cancel();
    this.#state = 'up';
    this.#outbox.limit(hello.max_value_bytes, hello.window, hello.max_incoming_bytes);
    this.#schedule();
    this.#handlers.up(hello, about);
  }

  #refuse(reason: GoodbyeReason, message: string): void {
    this.close(reason, message);
    this.#end({ code: 'refused', message });
  }

  #farewell(goodbye: Goodbye): void {
    const { reason, _last_call: last } = goodbye;
    const message = plain(goodbye.message);
    if (last !== undefined) this.#writtenTask = Math.min(this.#writtenTask, goodbye.last_call);
    const code = CODES.get(reason) ?? 'refused';
    const stopping = reason === GoodbyeReason.DRAINING;
    const idle = reason === GoodbyeReason.IDLE;
    const cause = goodbye.breach && breachOf(goodbye.breach, message);
    this.#channel.close({ code, message });
    this.#end({
      code,
      message,
      ...(cause && { cause }),
      ...(stopping && { stopping }),
      ...(idle && { idle }),
    });
  }

  #fail(code: CloseReason['code'], message: string): void {
    this.#channel.close({ code, message });
    this.#end({ code, message });
  }

  #end(reason: CloseReason): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#greeting?.cancel();
    this.#reading?.cancel();
    this.#writer = undefined;
    this.#sealed = [];
    this.#backlog = 0;
    this.#inbox.clear();
    this.#outbox.clear();
    this.#rooms.length = 0;
    this.#handlers.closed(reason);
  }

  /**
   * A call that is alone waits for nothing: its frames go out as soon as the code that sent them is
   * done. When frames went out a moment ago, there are more to come: they share the envelope at the
   * end of this turn.
   */
  #schedule(): void {
    if (this.#scheduled || this.#full) return;
    this.#scheduled = true;
    const { env } = this.#options;
    if (env.now() - this.#flushedAt < BURST_MS) env.turn(this.#flushLater);
    else env.soon(this.#flushLater);
  }

  readonly #flushLater = () => {
    if (!this.#scheduled) return;
    this.#flush();
    this.#flushedAt = this.#options.env.now();
  };

  #seal(): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#writer = undefined;
    // A little more room than last time, and never for a whole envelope when little is said.
    this.#room = Math.min(ENVELOPE_BYTES * 2, Math.max(256, (this.#room + writer.bytes * 3) >> 1));
    this.#sealed.push({ writer, lastTask: this.#lastTask });
    this.#backlog += writer.bytes;
    this.#balance();
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#state === 'closed' || this.#full) return;
    this.#handlers.flushing?.();
    const credit = this.#inbox.takeCredit();
    if (credit > 0) this.send({ call: 0, credit: { bytes: credit } });
    // At most one for each envelope, so that who pings and does not read makes nothing pile up here.
    if (this.#pongDue) this.send({ call: 0, pong: {} });
    this.#pongDue = false;
    this.#seal();
    this.#write();
    this.#sendChunk();
    this.#balance();
  }

  /** One for each turn, so that small frames pass between them. */
  #sendChunk(): void {
    const chunk = this.#full ? undefined : this.#outbox.next();
    if (chunk !== undefined) this.#writeChunk(chunk);
    if (this.#outbox.bytes === 0) {
      const finishing = this.#finishing;
      this.#finishing = undefined;
      finishing?.();
    }
    if (chunk !== undefined && (this.#outbox.ready || this.#writer !== undefined)) this.#schedule();
  }

  #writeChunk(chunk: OutChunk): void {
    const room =
      this.#rooms.pop() ??
      Buffer.allocUnsafeSlow(this.#options.limits.chunkBytes + CHUNK_OVERHEAD_BYTES);
    const packet = encodeChunk(chunk, this.#nextNumber(), room);
    this.#full = !this.#channel.send(packet, () => this.#rooms.push(room));
  }

  #write(): void {
    let sent = 0;
    for (const { writer, lastTask } of this.#sealed) {
      if (this.#full) break;
      this.#backlog -= writer.bytes;
      this.#full = !this.#channel.send(writer.finish(this.#nextNumber()));
      this.#writtenTask = lastTask;
      sent += 1;
    }
    if (sent === this.#sealed.length) this.#sealed.length = 0;
    else if (sent > 0) this.#sealed.splice(0, sent);
  }

  /** Given at the moment of sending: chunks overtake envelopes that are sealed already. */
  #nextNumber(): number {
    this.#sent += 1;
    return this.#sent;
  }

  /**
   * A worker whose answers are not read stops reading. A caller never does: two sides that both
   * waited for the other to read would wait forever.
   */
  #balance(): void {
    if (!this.#options.accepts) return;
    const { maxBacklogBytes } = this.#options.limits;
    if (this.#backlog > maxBacklogBytes) this.#checkHeld();
    if (!this.#paused && this.#backlog > maxBacklogBytes) {
      this.#paused = true;
      this.#channel.pause();
    } else if (this.#paused && this.#backlog <= maxBacklogBytes / 2) {
      this.#paused = false;
      this.#channel.resume();
    }
  }

  /** A caller that takes nothing must not have answers pile up without end. */
  #checkHeld(): void {
    const { accepts, env, limits } = this.#options;
    const { maxHeldBytes, readTimeoutMs } = limits;
    if (!accepts || this.#reading !== undefined || this.backlog <= maxHeldBytes) return;
    const taken = this.#taken;
    this.#reading = env.timer(readTimeoutMs, () => {
      this.#reading = undefined;
      const held = this.backlog;
      if (this.#state === 'closed' || held <= maxHeldBytes) return;
      if (this.#taken !== taken) return this.#checkHeld();
      const what = `${held} bytes of answers wait, and nothing was taken for ${readTimeoutMs} ms`;
      this.cutOff(exceeded('maxHeldBytes', held, maxHeldBytes, what));
    });
  }

  /**
   * A received value with its bytes in place; undefined stands for `undefined`.
   *
   * @throws ValueTooLarge when it was larger than this side takes
   * @throws ProtocolError when it names a transfer that is not complete
   */
  received(value: Value | undefined): Received | undefined {
    if (value === undefined) return undefined;
    if (value.transfer === 0) return value.item || value.context ? value : undefined;
    const { item, attachments } = this.#collect(value);
    if (!value.context_last) return { item, attachments };
    const context = attachments.pop();
    return context === undefined ? { attachments, context: item } : { item, attachments, context };
  }

  #collect({ transfer, lengths }: Value) {
    try {
      return this.#inbox.collect(transfer, lengths);
    } catch (error) {
      if (error instanceof ValueTooLarge) this.#tellBreach(error);
      throw error;
    }
  }

  /** Lets go of what a frame that nobody wants any more brought with it. */
  discard(frame: Frame): void {
    const transfer = carriedBy(frame)?.transfer;
    if (transfer) this.#inbox.drop(transfer);
  }
}

/** How the receiver of a Goodbye ends; with what is not here, by `refused`. */
const CODES: ReadonlyMap<GoodbyeReason, CloseReason['code']> = new Map([
  [GoodbyeReason.CLOSED, 'closed'],
  [GoodbyeReason.IDLE, 'closed'],
  [GoodbyeReason.PROTOCOL, 'protocol'],
  [GoodbyeReason.LIMIT, 'protocol'],
]);

function breachOf({ limit, value, max }: Breach, message: string): LimitExceeded {
  return new LimitExceeded(message, { limit: plain(limit), value, max });
}

/** As Hello can hold it. */
function mostCalls({ maxCallsPerLink }: Limits): number {
  return maxCallsPerLink > 0xffff_ffff ? 0 : maxCallsPerLink;
}

function carriedBy(frame: Frame): Value | undefined {
  switch (frame.body) {
    case 'task':
      return frame.task.args;
    case 'nack':
      return frame.nack.error;
    case 'send':
      return frame.send.value;
    case 'throw':
      return frame.throw.error;
    case 'return':
      return frame.return.value;
    case 'result':
      return frame.result.value;
    case 'error':
      return frame.error.error;
    default:
      return undefined;
  }
}

function partsOf(payload: Payload | undefined, context: Uint8Array | undefined) {
  const parts = payload === undefined || payload instanceof Uint8Array ? [payload] : payload;
  return [...parts, context].filter((part) => part !== undefined);
}

function sizeOf(payload: Payload): number {
  if (payload instanceof Uint8Array) return payload.length;
  let total = 0;
  for (const part of payload) total += part.length;
  return total;
}
