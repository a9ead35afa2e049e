/**
 * The calls whose tasks a caller has offered to one worker: writes their tasks and steps to the link,
 * hands the worker's answers to them, and says of each whether it may have started when the link is lost.
 */
import type { ContextHome } from '../context/home.ts';
import { OutboundContext } from '../context/outbound.ts';
import type { Env } from '../env.ts';
import { LimitExceeded, ProtocolError, type SerializationError, SkeinError } from '../errors.ts';
import { restrict } from '../routine/crossing.ts';
import type { Received } from '../routine/dispatcher.ts';
import { toDispatch } from '../routine/nested-options.ts';
import { receiveThrown } from '../routine/outcome.ts';
import type { ModulePolicy } from '../routine/whereabouts.ts';
import type { Limits, Link } from '../transport/link.ts';
import type { TokenTable } from '../wire/context.ts';
import {
  CancelReason,
  type Frame,
  type FrameOf,
  NackReason,
  type OutFrame,
  type OutValue,
  type Value,
} from '../wire/frame.ts';
import { type DecodeOptions, MAX_DEPTH } from '../wire/value.ts';
import type { Call, CallEvent, Step } from './call.ts';

export interface OffersPorts {
  readonly env: Env;
  readonly home: ContextHome;
  readonly limits: Limits;
  /** The worker surely never starts this call. */
  refuse(call: Call): void;
  /** The same, and the worker does not want it now. */
  decline(call: Call): void;
  /** The worker has as many tasks as it may. */
  busy(): void;
  /** The worker takes no more tasks. */
  drained(): void;
  /** A frame for a call that is no longer in progress was dropped. */
  dropped(frame: Frame): void;
  /** A call has ended since the worker's answer exceeds a limit. */
  breached(error: LimitExceeded): void;
}

const ACK = { type: 'ack' } as const;

/** Whether a link has ended since a value came in another way than the worker takes. */
function isOfTransfers(cause: unknown): boolean {
  return (
    cause instanceof LimitExceeded && /^(maxIncomingBytes|maxFramesPerCall)$/.test(cause.limit)
  );
}

export class Offers {
  /** Which modules are imported because the worker names them. Default: as for the process. */
  modules: ModulePolicy | undefined;
  readonly #ports: OffersPorts;
  /** By their numbers. */
  readonly #calls = new Map<number, Call>();
  /** Calls whose large arguments are on their way in chunks. */
  readonly #sending = new Set<Call>();
  #routines = new Map<object, number>();
  #link: Link | undefined;
  /** Calls that the worker lets be in progress at a time. */
  #mostCalls = Number.POSITIVE_INFINITY;
  readonly #decoding: DecodeOptions;
  /** Whether values may be nested less deeply than elsewhere. */
  readonly #isShallow: boolean;
  /** Counts on from one link to the next. */
  #number: number;

  /** @param lastNumber after which its calls are numbered: a worker that knows the caller admits no other */
  constructor(ports: OffersPorts, lastNumber: number) {
    this.#ports = ports;
    this.#number = lastNumber;
    this.#isShallow = ports.limits.maxDepth < MAX_DEPTH;
    this.#decoding = {
      maxDepth: ports.limits.maxDepth,
      exceeded: (error) => ports.breached(error),
    };
  }

  /** The last number that was given to a call. */
  get lastNumber(): number {
    return this.#number;
  }

  get calls(): Call[] {
    return [...this.#sending, ...this.#calls.values()];
  }

  /** A new link to the worker. */
  begin(link: Link): void {
    this.#link = link;
    this.#routines = new Map();
    this.#mostCalls = Number.POSITIVE_INFINITY;
  }

  /** The worker has said how many calls it lets be in progress at a time; 0: any number. */
  limit(calls: number): void {
    this.#mostCalls = calls || Number.POSITIVE_INFINITY;
  }

  /** The link is no more: what the worker may have seen is lost, what it can't have seen is refused. */
  end(message: string, cause?: unknown): void {
    const written = this.#link?.writtenTask ?? 0;
    const calls = [...this.#calls.values()];
    const unsent = [...this.#sending];
    this.#link = undefined;
    this.#sending.clear();
    this.#calls.clear();
    for (const call of unsent) {
      // Sent again, it would end the next link, too.
      if (isOfTransfers(cause)) this.#tell(call, { type: 'failed', error: cause });
      else this.#ports.refuse(call);
    }
    for (const call of calls) {
      if (call.number > written) this.#ports.refuse(call);
      else this.#tell(call, { type: 'lost', message, cause });
    }
  }

  /** The caller of `call` gave up. */
  withdraw(call: Call, reason: CancelReason): void {
    call.abandon?.();
    this.#sending.delete(call);
    if (!this.#calls.delete(call.number)) return;
    this.#link?.send({ call: call.number, cancel: { reason } });
  }

  /** The call is over here. */
  delete(call: Call): void {
    this.#sending.delete(call);
    this.#calls.delete(call.number);
    // Another worker may have given the same number to a call of its own.
    call.number = 0;
  }

  /** Sends a generator's next step. */
  step(call: Call): void {
    const { step, number, context } = call;
    if (step === undefined || number === 0) return;
    this.#stepOf(call, step, context?.sent);
  }

  #stepOf(call: Call, step: Step, context?: Uint8Array): void {
    this.#attempt(call, () => this.#sendStep(call, call.number, step, context));
  }

  /** Sends the task of a call. */
  send(call: Call): void {
    const link = this.#link;
    const { args } = call;
    if (link === undefined || args === undefined) return;
    if (this.#calls.size + this.#sending.size >= this.#mostCalls) {
      this.#ports.busy();
      return this.#ports.refuse(call);
    }
    const routine = this.#declare(call.request.routine);
    call.number = 0;
    const context = call.context?.sent;
    const value = link.inline(args, context);
    if (value !== undefined) return this.#sendTask(call, routine, value);
    this.#sending.add(call);
    this.#attempt(call, () => {
      call.abandon = link.transfer(
        args,
        (sent) => this.#sendTask(call, routine, sent),
        (error) => {
          call.abandon = undefined;
          this.#fail(call, error);
        },
        context,
      );
    });
  }

  /** Numbers are given at the moment when the frame goes into an envelope, so that they count up. */
  #sendTask(call: Call, routine: number, args: OutValue): void {
    const { request, deadline } = call;
    this.#number += 1;
    call.number = this.#number;
    call.abandon = undefined;
    this.#sending.delete(call);
    this.#calls.set(call.number, call);
    call.context?.expose();
    const timeoutMs = deadline ? Math.max(1, deadline.due - this.#ports.env.now()) : 0;
    this.#link?.send({
      call: call.number,
      task: {
        routine,
        args,
        sequence: call.sequence,
        generator: request.generator,
        caller: request.caller,
        timeout_ms: timeoutMs,
        tag: request.tag,
        attempt: call.attempt > 1 ? call.attempt : 0,
        dispatch: request.around && toDispatch(request.around),
      },
    });
    // The first step of a generator goes with it, in the same envelope.
    if (call.step !== undefined) this.#stepOf(call, call.step);
  }

  /** The routine's number on this link; says its name the first time. */
  #declare(routine: { module: string; name: string }): number {
    let number = this.#routines.get(routine);
    if (number === undefined) {
      number = this.#routines.size + 1;
      this.#routines.set(routine, number);
      const { module, name } = routine;
      this.#link?.send({ call: 0, routine: { number, module, name } });
    }
    return number;
  }

  #sendStep(owner: Call, call: number, { kind, value }: Step, context?: Uint8Array): void {
    const frame = (sent: OutValue | undefined): OutFrame => {
      owner.context?.expose();
      if (kind === 'throw') return { call, throw: { error: sent } };
      if (kind === 'return') return { call, return: { value: sent } };
      return sent === undefined ? { call, next: {} } : { call, send: { value: sent } };
    };
    const failed = (error: SerializationError) => {
      if (this.#calls.get(call) === owner) this.#fail(owner, error);
    };
    this.#link?.deliver(value, frame, failed, context);
  }

  /** What can't be sent, or can't be read, fails its own call and no other. */
  #attempt(call: Call, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (error instanceof ProtocolError || !(error instanceof SkeinError)) throw error;
      if (error instanceof LimitExceeded) this.#ports.breached(error);
      this.#fail(call, error);
    }
  }

  #fail(call: Call, error: unknown): void {
    if (this.#calls.delete(call.number)) {
      this.#link?.send({ call: call.number, cancel: { reason: CancelReason.ABORTED } });
    }
    this.#tell(call, { type: 'failed', error });
  }

  /** A frame of a call has come. */
  receive(frame: Frame): void {
    const call = this.#calls.get(frame.call);
    if (call === undefined) return this.#drop(frame);
    switch (frame.body) {
      case 'ack':
        // There is one for each call.
        this.#link?.stray();
        return this.#tell(call, ACK);
      case 'result': {
        const { done } = frame.result;
        const { generator } = call.request;
        if (!generator && !done) throw new ProtocolError('a step of what is no generator');
        // Nobody has asked for it.
        if (generator && call.step === undefined) return this.#drop(frame);
        this.#attempt(call, () => {
          const received = this.#link?.received(frame.result.value);
          const tokens = this.#arrive(call, received?.context);
          this.#tell(call, { type: 'result', value: this.#value(received, tokens), done });
        });
        return;
      }
      case 'error':
        return this.#attempt(call, () => {
          this.#tell(call, { type: 'failed', error: this.#error(call, frame.error.error) });
        });
      case 'nack':
        return this.#refused(call, frame);
      default:
        throw new ProtocolError(`a ${frame.body} frame from a worker`);
    }
  }

  #drop(frame: Frame): void {
    this.#ports.dropped(frame);
    this.#link?.discard(frame);
    this.#link?.stray();
  }

  #refused(call: Call, { nack }: FrameOf<'nack'>): void {
    switch (nack.reason) {
      case NackReason.FAILED:
        return this.#attempt(call, () => {
          this.#tell(call, { type: 'failed', error: this.#error(call, nack.error) });
        });
      case NackReason.DUPLICATE:
        return this.#tell(call, { type: 'duplicate' });
      case NackReason.DRAINING:
        // First, so that the call does not come back here.
        this.#ports.drained();
        return this.#ports.refuse(call);
      case NackReason.DECLINED:
        return this.#ports.decline(call);
      default:
        this.#ports.busy();
        this.#ports.refuse(call);
    }
  }

  /** What goes to the caller, with what it takes to read it. */
  #value(received: Received, tokens: TokenTable | undefined): Received {
    const { modules } = this;
    const asIs = tokens === undefined && modules === undefined && !this.#isShallow;
    if (received === undefined || asIs) return received;
    const { item, attachments } = received;
    return { item, attachments, tokens, modules, decoding: this.#decoding };
  }

  #error(call: Call, value: Value | undefined): unknown {
    const received = this.#link?.received(value);
    this.#arrive(call, received?.context);
    if (received?.item === undefined) return new ProtocolError('an error without a value');
    const { context } = call;
    // What an error's class does to read it is the caller's business, and no other chain's.
    const read = () => receiveThrown(received, context?.tokens, this.modules, this.#decoding);
    return context === undefined ? read() : context.within(read);
  }

  /** @returns the tokens that came with an answer, if there are some */
  #arrive(call: Call, bytes: Uint8Array | undefined): TokenTable | undefined {
    if (call.context === undefined && bytes === undefined) return undefined;
    // Where the caller has no chain, tokens may come all the same: they belong to none here.
    const { home, limits } = this.#ports;
    call.context ??= new OutboundContext({ home, strictContext: false, maxValueBytes: 0 });
    const failure = call.context.arrive(bytes, this.modules?.files === false, limits);
    if (failure instanceof LimitExceeded) this.#ports.breached(failure);
    if (this.modules !== undefined) restrict(call.context, this.modules);
    return call.context.tokens;
  }

  #tell(call: Call, event: CallEvent): void {
    call.actor?.send(event);
  }
}
