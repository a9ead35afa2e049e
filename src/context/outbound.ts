/** A chain on the way with a call: what goes out with its task and steps, and what comes back. */
import { SerializationError } from '../errors.ts';
import {
  type ContextLimits,
  decodeContext,
  type ReceivedContext,
  withTokens,
} from '../wire/context.ts';
import { type Encoded, sizeOf } from '../wire/value.ts';
import type { Chain, Crossing, Snapshot } from './chain.ts';
import { FrameTokens } from './frame-tokens.ts';
import type { ContextHome } from './home.ts';
import {
  type Arrived,
  type Changes,
  changesBetween,
  encodeManifest,
  type Load,
  NO_CHANGES,
  readAll,
  readManifest,
  STILL_OUT,
  takeRight,
  USED_ELSEWHERE,
} from './manifest.ts';
import { type Scope, storage } from './scope.ts';
import { Failures } from './strictness.ts';
import { hasRight, stateOf, type Token } from './variable.ts';
import { Withheld } from './withheld.ts';

/** Where calls go. */
export interface Destination {
  readonly home: ContextHome;
  /** Whether values of variables that can't travel fail the call. */
  readonly strictContext: boolean;
  /** Whether errors that go along take their stacks, and paths in their texts. Default: true. */
  readonly exposeStacks?: boolean;
  /** Bytes that a call may take, what its chain brings along included. */
  readonly maxValueBytes: number;
}

/** A token that has crossed with a call, with the right to use it. */
interface SharedToken {
  readonly token: Token<unknown>;
  /** The id of the chain that may use it. */
  readonly chain: string;
}

const NOTHING: Snapshot = new Map();
const NO_TOKENS: Token<unknown>[] = [];
const MAYBE_USED =
  'counts as used: a call that had it ended without a word from its worker, which may have used it';

/** One for each call; a generator has the same one for all of its steps. */
export class OutboundContext implements Crossing {
  #sent: Uint8Array | undefined;
  /** Whether the worker may have begun, and has not had the last word. */
  #exposed = false;
  #retried = false;
  readonly #home: ContextHome;
  readonly #strict: boolean;
  readonly #maxBytes: number;
  #chain: Chain | undefined;
  #scope: Scope | undefined;
  /** The id that the chain had when the call, or the present step, began. */
  #chainId: string | undefined;
  /** The call, or the present step, goes on with the chain. */
  #continues = false;
  /** Tokens that went out or came back with the right to use them, until both sides know that they were used. */
  #shared: Map<string, SharedToken> | undefined;
  /** Tokens that went out without it. */
  #orphans: Map<string, Token<unknown>> | undefined;
  /** The worker's chain, and what it has. */
  #there: string | undefined;
  #known = NOTHING;
  /** Whether the worker's chain has something else than `#known`. */
  #diverged = true;
  /** Values here that the worker's chain lacks, as they can't travel. */
  #withheld: Withheld | undefined;
  #context: ReceivedContext | undefined;
  /** Tokens of this call that were used there, as the last answer says. */
  #spentThere: Token<unknown>[] = NO_TOKENS;
  #arrived: Arrived | undefined;
  #guarded = false;
  #unreadable: unknown;

  constructor({ home, strictContext, maxValueBytes }: Destination) {
    this.#home = home;
    this.#strict = strictContext;
    this.#maxBytes = maxValueBytes;
  }

  leave(): void {
    for (const shared of this.#shared?.values() ?? []) {
      if (this.#isLent(shared)) stateOf(shared.token).used ??= STILL_OUT;
    }
  }

  /** Runs `fn` as part of the code that made the call, or asked for the step. */
  within<T>(fn: () => T): T {
    return this.#scope === undefined ? fn() : storage.run(this.#scope, fn);
  }

  carries(token: Token<unknown>): boolean {
    const { id } = stateOf(token);
    const shared = id === undefined ? undefined : this.#shared?.get(id);
    return shared?.token === token && this.#isLent(shared);
  }

  /** Whether the right to use it is with the worker for the time of the call, or of the present step. */
  #isLent({ chain }: SharedToken): boolean {
    return this.#continues && this.#chain !== undefined && chain === this.#chainId;
  }

  /**
   * A call, or a step, begins.
   *
   * @param encode encodes what goes with it
   * @throws ChainSerializationError when context is strict, and a value can't travel
   * @throws whatever `encode` throws
   */
  depart<T extends Encoded | undefined>(chain: Chain, encode: () => T): T {
    this.#chain = chain;
    this.#scope = storage.getStore();
    this.#arrived = undefined;
    this.#context = undefined;
    this.#spentThere = NO_TOKENS;
    this.#exposed = false;
    this.#retried = false;
    const tokens = new FrameTokens(this.#home);
    // What the program's code does meanwhile comes before the call.
    const encoded = withTokens(tokens, encode);
    this.#continues = chain.begin(this);
    this.#chainId = chain.id;
    try {
      this.#sent = this.#encode(chain, tokens, this.#maxBytes - sizeOf(encoded));
      return encoded;
    } catch (error) {
      chain.end(this);
      this.#chain = undefined;
      throw error;
    }
  }

  #encode(chain: Chain, tokens: FrameTokens, room: number): Uint8Array | undefined {
    const state = chain.snapshot();
    const again = this.#addChanged(chain, tokens);
    const id = this.#continues || chain.id === undefined ? chain.id : this.#home.newId();
    const whole = this.#diverged || id !== this.#there;
    const spent = this.#usedHere();
    const nothing = whole ? id === undefined && this.#there === undefined : state === this.#known;
    if (nothing && tokens.size === 0 && spent.length === 0) return undefined;
    const live: Token<unknown>[] = [];
    const orphans: Token<unknown>[] = [];
    const leftOut: string[] = [];
    const failures = new Failures(this.#strict);
    const sent = encodeManifest(
      {
        chain: id,
        whole,
        changes: whole ? state : changesBetween(this.#known, state),
        tokens,
        spent: () => spent,
        isLive: (token) => {
          const isLive = this.#continues && hasRight(chain, stateOf(token));
          (isLive ? live : orphans).push(token);
          return isLive;
        },
        direction: 'out',
        room,
        leftOut,
      },
      failures,
    );
    if (failures.error) throw failures.error;
    for (const token of spent) this.#shared?.delete(token);
    for (const token of again) this.#orphans?.delete(token);
    for (const token of orphans) {
      this.#orphans ??= new Map();
      this.#orphans.set(stateOf(token).id as string, token);
    }
    for (const token of live) this.#share(token, id as string);
    if (id !== this.#there) this.#withheld = undefined;
    if (leftOut.length > 0) this.#withheld ??= new Withheld();
    this.#withheld?.update(leftOut, state);
    this.#there = id;
    this.#known = state;
    this.#diverged = false;
    return sent;
  }

  /**
   * Tokens that a generator was given without the right to use them, or with that of another chain: they go
   * again when that has changed.
   *
   * @returns the ids of the former
   */
  #addChanged(chain: Chain, tokens: FrameTokens): string[] {
    const again: string[] = [];
    for (const [id, shared] of this.#shared ?? []) {
      if (!this.#continues || shared.chain === chain.id) continue;
      if (hasRight(chain, stateOf(shared.token))) tokens.add(id, shared.token);
    }
    for (const [id, token] of this.#orphans ?? []) {
      const state = stateOf(token);
      if (state.used === undefined && !(this.#continues && hasRight(chain, state))) continue;
      tokens.add(id, token);
      again.push(id);
    }
    return again;
  }

  /** Tokens of this call that were used meanwhile, which the worker does not know. */
  #usedHere(): string[] {
    const spent: string[] = [];
    for (const [id, { token }] of this.#shared ?? []) {
      if (stateOf(token).used !== undefined) spent.push(id);
    }
    return spent;
  }

  #share(token: Token<unknown>, chain: string): void {
    this.#shared ??= new Map();
    this.#shared.set(stateOf(token).id as string, { token, chain });
  }

  /** The tokens that values in the answer may refer to. */
  get tokens(): FrameTokens | undefined {
    return this.#arrived?.tokens;
  }

  /** A Context for the task, or for the step. */
  get sent(): Uint8Array | undefined {
    return this.#sent;
  }

  /** The task goes to a worker, or a step does. */
  expose(): void {
    this.#exposed = true;
  }

  /** The worker surely never starts the task. */
  refuse(): void {
    this.#exposed = false;
  }

  /** A worker was lost that may have begun the task; it goes to another one. */
  retry(): void {
    this.#retried = true;
  }

  /**
   * The worker has answered the call or the step: what it was given is back.
   *
   * @param bytes of the Context that came with the answer, if one did
   * @param guarded whether the worker must name no files
   * @param limits how much it may bring. Default: as much as any Context
   * @returns why it is as if it had not come, if it is
   */
  arrive(bytes: Uint8Array | undefined, guarded = false, limits?: ContextLimits): unknown {
    this.#exposed = false;
    this.#guarded = guarded;
    if (bytes === undefined) return undefined;
    try {
      this.#context = decodeContext(bytes, limits);
    } catch (error) {
      this.#unreadable = error;
      this.#giveUpTokens();
      return error;
    }
    if (this.#context.lost) {
      this.#unreadable = new SerializationError('it was too large to come beside the answer');
      this.#giveUpTokens();
    }
    const { spent } = this.#context;
    this.#arrived = readManifest(
      this.#context,
      this.#home,
      (id) => this.#shared?.get(id)?.token,
      (key) => this.#withheld?.find(key),
      guarded,
    );
    for (const id of spent) {
      const shared = this.#shared?.get(id);
      if (shared === undefined) continue;
      stateOf(shared.token).used ??= USED_ELSEWHERE;
      this.#shared?.delete(id);
      if (this.#withheld === undefined) continue;
      if (this.#spentThere === NO_TOKENS) this.#spentThere = [];
      this.#spentThere.push(shared.token);
    }
    return undefined;
  }

  /**
   * The call or the step is over, with an answer or without. What changed there is the chain's from now
   * on, unless the chain went another way meanwhile.
   *
   * @returns a promise where modules must be loaded first
   * @throws ChainSerializationError, also by the promise, when context is strict and a value can't be read
   */
  conclude(load: Load): Promise<void> | undefined {
    if (this.#exposed || this.#retried) this.#giveUpTokens();
    if (this.#context === undefined && this.#unreadable === undefined) {
      this.#settle(NO_CHANGES);
      return undefined;
    }
    const failures = new Failures(this.#strict);
    if (this.#unreadable !== undefined) {
      failures.addAll(this.#unreadable);
      this.#unreadable = undefined;
      this.#diverged = true;
    }
    // What goes nowhere need not be read.
    const merges = this.#chain?.isContinuedBy(this) === true;
    const changes = merges ? this.#arrived?.changes : undefined;
    const reading = changes && readAll(changes, load, 'atCaller', failures, this.#guarded);
    const finish = (merges?: boolean) => {
      this.#settle(changes ?? NO_CHANGES, merges);
      if (failures.error) throw failures.error;
    };
    if (reading !== undefined) return reading.then(() => finish());
    // What the values' own code has done to the chain while they were read, is part of the call.
    finish(merges);
    return undefined;
  }

  #settle(changes: Changes, decided?: boolean): void {
    const chain = this.#chain;
    const context = this.#context;
    this.#chain = undefined;
    const ended = chain?.end(this) === true;
    const merges = decided ?? ended;
    if (chain === undefined || context === undefined) return;
    this.#there = context.chain === '' ? undefined : context.chain;
    if (!merges) {
      this.#diverged ||= context.variables.length > 0;
      return;
    }
    const merged = this.#withheld?.translate(changes, this.#known, this.#spentThere) ?? changes;
    if (merged.size > 0 || this.#there !== undefined) chain.merge(this.#there, merged);
    // What could not be read is not as it is there.
    if (changes.size < context.variables.length) this.#diverged = true;
    this.#known = chain.snapshot();
    for (const token of this.#arrived?.live ?? []) {
      if (takeRight(token, chain)) this.#share(token, chain.id as string);
    }
  }

  #giveUpTokens(): void {
    for (const shared of this.#shared?.values() ?? []) {
      if (this.#isLent(shared)) stateOf(shared.token).used ??= MAYBE_USED;
    }
  }
}
