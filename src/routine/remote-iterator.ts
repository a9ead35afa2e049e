/** The caller's side of a generator that runs on a worker. */
import { encodeError } from '../wire/error.ts';
import { type Encoded, encodeValue } from '../wire/value.ts';
import type { Abortable, RemoteGenerator, StepKind } from './dispatcher.ts';
import { type Patience, patiently } from './loading.ts';
import { decode, Unread, whenRead, withCallerStack } from './outcome.ts';

/** @throws SerializationError when it can't travel */
function encode(value: unknown, kind: StepKind): Encoded | undefined {
  return value === undefined ? undefined : encodeValue(value, kind);
}

interface Started {
  readonly remote: RemoteGenerator;
  readonly signal: Abortable | undefined;
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
      return await this.#ask('next', undefined);
    }
    if (this.#state !== 'live') {
      this.#state = 'ended';
      if (kind === 'throw') throw value;
      return { value: (kind === 'return' ? await value : undefined) as R, done: true };
    }
    if (kind === 'throw') return await this.#ask(kind, encodeError(value));
    if (kind === 'next') return await this.#ask(kind, encode(value, kind));
    let given: unknown;
    try {
      given = await value;
    } catch (error) {
      // As in a local generator, where the body waits for the promise.
      return await this.#ask('throw', encodeError(error));
    }
    let sent: Encoded | undefined;
    try {
      sent = encode(given, kind);
    } catch (error) {
      await this.#end();
      throw error;
    }
    return await this.#ask(kind, sent);
  }

  /** Ends the body without a value; what becomes of that, its consumer does not hear. */
  async #end(): Promise<void> {
    const remote = this.#started?.remote;
    this.#state = 'ended';
    try {
      const step = await remote?.step('return', undefined);
      // It yields in its finally, where nobody will ask it to go on.
      if (!step?.done) remote?.abandon();
    } catch {
      // Its finally threw, or the call failed: over in any case.
    }
  }

  async #ask(kind: StepKind, value: Encoded | undefined): Promise<IteratorResult<Y, R>> {
    const { remote, signal } = this.#started as Started;
    try {
      const step = await remote.step(kind, value);
      if (step.done) this.#state = 'ended';
      const read = decode(step.value);
      const given = read instanceof Promise ? await patiently(read, this.#patience) : read;
      return { value: given, done: step.done } as IteratorResult<Y, R>;
    } catch (error) {
      this.#state = 'ended';
      const unread = error instanceof Unread;
      const thrown = unread ? await whenRead(error, this.#patience) : error;
      throw withCallerStack(thrown, signal);
    }
  }

  /** For modules that a value needs: how long all steps may take together is not known here. */
  get #patience(): Patience {
    const signal = this.#started?.signal;
    return { signal, timeoutMs: undefined, began: performance.now() };
  }
}
