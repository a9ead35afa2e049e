/** A chain on a worker, for the time of a task: as it came, and what goes back. */
import type { ChainSerializationError } from '../errors.ts';
import { type ContextLimits, decodeContext } from '../wire/context.ts';
import { Chain, type Right, Values } from './chain.ts';
import type { FrameTokens } from './frame-tokens.ts';
import type { ContextHome } from './home.ts';
import {
  changesBetween,
  encodeManifest,
  type Load,
  readAll,
  readManifest,
  STILL_OUT,
  takeRight,
  USED_ELSEWHERE,
} from './manifest.ts';
import { Failures } from './strictness.ts';
import { hasRight, stateOf, type Token } from './variable.ts';

/** A token that has crossed with the task, with the right to use it. */
interface SharedToken {
  readonly token: Token<unknown>;
  /** The id of the chain that may use it. */
  readonly chain: string;
  /** Who had the right in this process before; the caller itself, where a worker calls itself. */
  before: Right | undefined;
}

const EARLIER_ATTEMPT =
  'counts as used: a worker that was lost had it before, and may have used it';

/** What goes back with an answer. */
export interface Answer {
  /** A Context, if there is something to say. */
  readonly context: Uint8Array | undefined;
  /** Where context is strict: why the answer must be an error. */
  readonly failure: ChainSerializationError | undefined;
}

const NO_ANSWER: Answer = { context: undefined, failure: undefined };
const NOTHING = new Values();
/** With so many chains of earlier steps, those are let go that nobody uses. */
const FIRST_SWEEP = 16;

export class InboundContext {
  readonly #home: ContextHome;
  readonly #strict: boolean;
  /** Until the task was received: it alone may have gone to another worker before. */
  #attempt: number;
  #chain: Chain;
  /** Chains of steps before, by their ids. */
  #earlier: Map<string, WeakRef<Chain>> | undefined;
  #nextSweep = FIRST_SWEEP;
  /** What the caller knows of the chain. */
  #known = NOTHING;
  #knownId: string | undefined;
  /** Until both sides know that they were used. */
  #shared: Map<string, SharedToken> | undefined;
  #tokens: FrameTokens | undefined;

  /** @param chain that the task has already, if it set something */
  constructor(home: ContextHome, strict: boolean, attempt: number, chain = new Chain(home)) {
    this.#home = home;
    this.#strict = strict;
    this.#attempt = attempt;
    this.#chain = chain;
  }

  /** The chain that the body sees; another one may come with each step. */
  get chain(): Chain {
    return this.#chain;
  }

  /** The tokens that values in the task, or in the present step, may refer to. */
  get tokens(): FrameTokens | undefined {
    return this.#tokens;
  }

  /**
   * Takes what comes with the task or with a step.
   *
   * @param bytes of its Context; undefined where nothing has changed
   * @param guarded whether the caller must name no files
   * @param limits how much it may bring. Default: as much as any Context
   * @throws SerializationError when they are none
   * @throws LimitExceeded when they bring more
   * @throws ChainSerializationError, also by the promise, when context is strict and a value can't be read
   */
  receive(
    bytes: Uint8Array | undefined,
    load: Load,
    guarded = false,
    limits?: ContextLimits,
  ): Promise<void> | undefined {
    this.#tokens = undefined;
    // What code that an earlier step has left running has set between the steps, the asker does not have.
    if (this.#chain.snapshot() !== this.#known) this.#chain.restore(this.#known);
    // Nor is it known whether the asker is the one of the step before, where nothing was ever set.
    if (this.#knownId === undefined) this.#enter(undefined, true);
    const reading = bytes === undefined ? undefined : this.#take(bytes, load, guarded, limits);
    this.#attempt = 1;
    this.#regain();
    return reading;
  }

  #take(
    bytes: Uint8Array,
    load: Load,
    guarded: boolean,
    limits: ContextLimits | undefined,
  ): Promise<void> | undefined {
    const context = decodeContext(bytes, limits);
    const id = context.chain === '' ? undefined : context.chain;
    const arrived = readManifest(
      context,
      this.#home,
      (token) => this.#shared?.get(token)?.token,
      undefined,
      guarded,
    );
    this.#tokens = arrived.tokens;
    for (const token of context.spent) this.#markUsed(token);
    this.#knownId = id;
    const chain = this.#enter(id, context.whole);
    if (id !== undefined) for (const token of arrived.live) this.#receiveRight(token, id);
    const failures = new Failures(this.#strict);
    const finish = () => {
      chain.merge(id, arrived.changes);
      this.#known = chain.snapshot();
      if (failures.error) throw failures.error;
    };
    const reading = readAll(arrived.changes, load, 'inTask', failures, guarded);
    if (reading !== undefined) return reading.then(finish);
    finish();
    return undefined;
  }

  /** The chain with this id, in the state before its changes are taken. */
  #enter(id: string | undefined, whole: boolean): Chain {
    if (id !== this.#chain.id || id === undefined) {
      this.#keep(this.#chain);
      const earlier = id === undefined ? undefined : this.#earlier?.get(id)?.deref();
      this.#chain = earlier ?? new Chain(this.#home, id, undefined, this.#chain.right.place);
    }
    if (whole) this.#chain.restore();
    return this.#chain;
  }

  /**
   * Code that an earlier step has left running may still use the chain, so there must not be another one with
   * its id: calls that are out would be known to the one only.
   */
  #keep(chain: Chain): void {
    const { id } = chain;
    if (id === undefined) return;
    this.#earlier ??= new Map();
    this.#earlier.set(id, new WeakRef(chain));
    if (this.#earlier.size < this.#nextSweep) return;
    for (const [key, kept] of this.#earlier) {
      if (kept.deref() === undefined) this.#earlier.delete(key);
    }
    this.#nextSweep = Math.max(FIRST_SWEEP, this.#earlier.size * 2);
  }

  #markUsed(id: string): void {
    const shared = this.#shared?.get(id);
    if (shared === undefined) return;
    stateOf(shared.token).used ??= USED_ELSEWHERE;
    this.#shared?.delete(id);
  }

  #receiveRight(token: Token<unknown>, chain: string): void {
    const state = stateOf(token);
    this.#shared ??= new Map();
    this.#shared.set(state.id as string, { token, chain, before: undefined });
    if (this.#attempt > 1) state.used ??= EARLIER_ATTEMPT;
  }

  /** The rights that came back with a step of the chain that they belong to. */
  #regain(): void {
    for (const shared of this.#shared?.values() ?? []) {
      if (shared.chain !== this.#chain.id) continue;
      const state = stateOf(shared.token);
      if (hasRight(this.#chain, state)) continue;
      const { right } = state;
      if (takeRight(shared.token, this.#chain)) shared.before = right;
    }
  }

  /** The task is over: it has been answered, or nobody waits for that. */
  leave(): void {
    this.#chain.leave();
    for (const earlier of this.#earlier?.values() ?? []) earlier.deref()?.leave();
  }

  /**
   * What goes back with a result, an error or a step's value: what has changed. The right to use its
   * tokens goes back with it.
   *
   * @param room bytes that there are for it
   */
  answer(tokens: FrameTokens, room: number): Answer {
    const chain = this.#chain;
    const state = chain.snapshot();
    const changes = changesBetween(this.#known, state);
    const armed = chain.id !== this.#knownId;
    this.#knownId = chain.id;
    const silent = changes.size === 0 && tokens.size === 0 && !armed;
    if (silent && this.#findSpent().length === 0) {
      this.#release();
      return NO_ANSWER;
    }
    const failures = new Failures(this.#strict);
    const manifest = {
      chain: chain.id,
      whole: false,
      changes,
      tokens,
      spent: () => this.#takeSpent(),
      isLive: (token: Token<unknown>) => this.#giveRight(token, chain),
      direction: 'back' as const,
      room,
    };
    const context = encodeManifest(manifest, failures);
    this.#known = state;
    this.#release();
    return { context, failure: failures.error };
  }

  /** Whether the caller gets the right to use a token. */
  #giveRight(token: Token<unknown>, chain: Chain): boolean {
    const state = stateOf(token);
    const { id } = chain;
    // Where the worker called itself, the right is with another place of this process.
    if (chain.hasOut(token)) {
      state.used = STILL_OUT;
      return false;
    }
    if (id === undefined || !hasRight(chain, state)) return false;
    this.#shared ??= new Map();
    const key = state.id as string;
    if (!this.#shared.has(key)) {
      this.#shared.set(key, { token, chain: id, before: undefined });
    }
    return true;
  }

  #findSpent(): string[] {
    const spent: string[] = [];
    for (const [id, { token }] of this.#shared ?? []) {
      const state = stateOf(token);
      if (this.#chain.hasOut(token)) state.used ??= STILL_OUT;
      if (state.used !== undefined) spent.push(id);
    }
    return spent;
  }

  #takeSpent(): string[] {
    const spent = this.#findSpent();
    for (const id of spent) this.#shared?.delete(id);
    return spent;
  }

  /** The task never begins here: what it came with is the caller's again. */
  giveBack(): void {
    this.#release();
  }

  /** Code of the task that goes on must not use what the caller has again. */
  #release(): void {
    for (const { token, before } of this.#shared?.values() ?? []) {
      const state = stateOf(token);
      if (hasRight(this.#chain, state)) state.right = before;
    }
  }
}
