/** The caller's side of a generator that runs on a worker. */
import { Chain } from '../context/chain.ts';
import { OutboundContext } from '../context/outbound.ts';
import { encodeError } from '../wire/error.ts';
import { type Encoded, encodeValue } from '../wire/value.ts';
import { conclude, concludeFailed, presentChain } from './crossing.ts';
import { exposing } from './discretion.ts';
import type { Abortable, Dispatcher, RemoteGenerator, StepKind } from './dispatcher.ts';
import { type Patience, patiently } from './loading.ts';
import { decode, Unread, whenRead, withCallerStack } from './outcome.ts';
import { currentScope } from './task.ts';

/** @throws SerializationError when it can't travel */
function encode(value: unknown, kind: StepKind): Encoded | undefined {
  if (kind === 'throw') return encodeError(value);
  return value === undefined ? undefined : encodeValue(value, kind);
}

interface Started {
  readonly remote: RemoteGenerator;
  readonly dispatcher: Dispatcher;
  readonly signal: Abortable | undefined;
  /** The chain of the consumer, on its way with the first step. */
  readonly context: OutboundContext | undefined;
}

/**
 * An async generator as JavaScript has them: nothing runs before the first `next()`, requests that
 * overlap are served one after the other, and `break` runs the body's `finally` on the worker.
 *
 * Where the value of `next(value)` can't travel, that step fails and the generator stays as it was; where
 * that of `return(value)` can't, the generator ends all the same.
 */
export class RemoteIterator<Y, R, N> implements AsyncGenerator<Y, R, N> {
  readonly #start: () => Started;
  #started: Started | undefined;
  #state: 'fresh' | 'live' | 'ended' = 'fresh';
  /** What crosses of the chains of its consumers. */
  #context: OutboundContext | undefined;
  /** The request that came last, while it is served or waits. */
  #last: Promise<void> | undefined;

  /** @param start makes the call; it is called by the first `next()`. */
  constructor(start: () => Started) {
    this.#start = start;
  }

  next(...[value]: [] | [N]): Promise<IteratorResult<Y, R>> {
    return this.#enqueue('next', value);
  }

  return(value: R | PromiseLike<R>): Promise<IteratorResult<Y, R>> {
    return this.#enqueue('return', value);
  }

  throw(error: unknown): Promise<IteratorResult<Y, R>> {
    return this.#enqueue('throw', error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return(undefined as R);
  }

  get [Symbol.toStringTag](): string {
    return 'AsyncGenerator';
  }

  /**
   * Nothing but the consumer may wait for the promise that this gives: only then V8 finds the
   * consumer's frames for the stack of an error.
   */
  async #enqueue(kind: StepKind, value: unknown): Promise<IteratorResult<Y, R>> {
    const before = this.#last;
    let served = () => {};
    const mine = new Promise<void>((resolve) => {
      served = resolve;
    });
    this.#last = mine;
    try {
      if (before) await before;
      return await this.#step(kind, value);
    } finally {
      if (this.#last === mine) this.#last = undefined;
      served();
    }
  }

  async #step(kind: StepKind, value: unknown): Promise<IteratorResult<Y, R>> {
    if (this.#state === 'fresh' && kind === 'next') {
      this.#state = 'ended';
      this.#started = this.#start();
      this.#started.remote.abandonWith(this);
      this.#state = 'live';
      this.#context = this.#started.context;
      return await this.#ask('next', undefined, this.#context);
    }
    if (this.#state !== 'live') {
      this.#state = 'ended';
      if (kind === 'throw') throw value;
      return { value: (kind === 'return' ? await value : undefined) as R, done: true };
    }
    if (kind !== 'return') {
      const sent = this.#depart(kind, value);
      return await this.#ask(kind, sent, this.#context);
    }
    let given: unknown;
    try {
      given = await value;
    } catch (error) {
      // As in a local generator, where the body waits for the promise.
      const sent = this.#depart('throw', error);
      return await this.#ask('throw', sent, this.#context);
    }
    let sent: Encoded | undefined;
    try {
      sent = this.#depart(kind, given);
    } catch (error) {
      await this.#end();
      throw error;
    }
    return await this.#ask(kind, sent, this.#context);
  }

  /**
   * Encodes what goes out with a step: its value, and the chain of the code that asks for it.
   *
   * @throws SerializationError when the value can't travel
   * @throws ChainSerializationError when context is strict, and a variable's value can't
   */
  #depart(
    kind: StepKind,
    value: unknown,
    chain = presentChain(currentScope()),
  ): Encoded | undefined {
    const { dispatcher } = this.#started as Started;
    const { exposeStacks } = dispatcher;
    const encodeIt = () => encode(value, kind);
    if (chain === undefined && this.#context === undefined) return exposing(exposeStacks, encodeIt);
    this.#context ??= new OutboundContext(dispatcher);
    const context = this.#context;
    // A chain without values: that of the steps before is not the asker's.
    const depart = () => context.depart(chain ?? new Chain(dispatcher.home), encodeIt);
    return exposing(exposeStacks, depart);
  }

  /** Ends the body without a value; what becomes of that, its consumer does not hear. */
  async #end(): Promise<void> {
    const { remote, dispatcher } = this.#started as Started;
    try {
      // Without the consumer's variables: they may be what can't travel.
      const sent = this.#depart('return', undefined, new Chain(dispatcher.home));
      const step = await this.#ask('return', sent, this.#context);
      // It yields in its finally, where nobody will ask it to go on.
      if (!step.done) remote.abandon();
    } catch {
      // Its finally threw, or the call failed: over in any case.
    }
    this.#state = 'ended';
  }

  async #ask(
    kind: StepKind,
    value: Encoded | undefined,
    context: OutboundContext | undefined,
  ): Promise<IteratorResult<Y, R>> {
    const { remote, signal } = this.#started as Started;
    let out = context;
    let goesOn = false;
    try {
      const step = await remote.step(kind, value, context);
      goesOn = !step.done;
      if (step.done) this.#state = 'ended';
      out = undefined;
      const concluding = context && conclude(context, () => this.#patience);
      if (concluding) await concluding;
      const read = decode(step.value);
      const given = read instanceof Promise ? await patiently(read, this.#patience) : read;
      return { value: given, done: step.done } as IteratorResult<Y, R>;
    } catch (error) {
      this.#state = 'ended';
      // What it gave can't be read here: nobody will ask it to go on.
      if (goesOn) remote.abandon();
      const unread = error instanceof Unread;
      const thrown = unread ? await whenRead(error, this.#patience) : error;
      const failure = out ? await concludeFailed(out, thrown, () => this.#patience) : thrown;
      throw withCallerStack(failure, signal);
    }
  }

  /** For modules that a value needs: how long all steps may take together is not known here. */
  get #patience(): Patience {
    const signal = this.#started?.signal;
    return { signal, timeoutMs: undefined, began: performance.now() };
  }
}
