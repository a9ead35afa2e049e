/** Decides where a call goes, and with which options. */
import { shared } from '../context/shared.ts';
import { MainModuleError, NoPoolError } from '../errors.ts';
import type { Abortable, Dispatcher, DispatchTarget, NestedOptions } from './dispatcher.ts';
import { dispatcherOf } from './dispatcher.ts';
import { checkFunction, checkNames } from './options.ts';
import {
  currentScope,
  type DispatchOptions,
  deriveScope,
  type InheritedOptions,
  runInScope,
  type Scope,
} from './task.ts';

/** Options of one call. */
export interface CallOptions extends DispatchOptions {
  /** The pool that the call goes to. */
  readonly pool?: DispatchTarget;
}

/** What to do about a main program that runs again in a worker. */
export const MAIN_MODULE_ADVICE =
  'Put the routines into a module of their own, or guard the main part: ' +
  "import { isWorker } from 'skein'; if (!isWorker) { ... }";

interface Gate {
  readonly open: Set<Dispatcher>;
  home: Dispatcher | undefined;
}

const gate = shared('gate', (): Gate => ({ open: new Set(), home: undefined }));
const { open } = gate;

/** A pool was opened in this process. */
export function addDispatcher(dispatcher: Dispatcher): void {
  open.add(dispatcher);
}

export function removeDispatcher(dispatcher: Dispatcher): void {
  open.delete(dispatcher);
}

/** On a worker: where the calls of its tasks go, back into the pool that it belongs to. */
export function setHomeDispatcher(dispatcher: Dispatcher | undefined): void {
  gate.home = dispatcher;
}

/**
 * @throws NoPoolError when it is not clear where the call should go
 * @throws MainModuleError when a module that a worker imports makes the call while it loads: it would
 * wait for itself
 */
export function findDispatcher(
  routine: string,
  options: CallOptions | undefined,
  scope: Scope | undefined,
): Dispatcher {
  if (options?.pool) return options.pool[dispatcherOf];
  if (scope?.dispatcher) return scope.dispatcher;
  if (scope?.importing?.pending) {
    throw new MainModuleError(
      `a module that a worker imports calls the routine '${routine}' while it loads: the main program would run again. ${MAIN_MODULE_ADVICE}`,
    );
  }
  if (open.size === 1) for (const dispatcher of open) return dispatcher;
  if (open.size > 1) {
    throw new NoPoolError(
      `${open.size} pools are open, and the call of '${routine}' says none of them: ` +
        `use ${formOf(routine, 'on(pool)')}, or pool.run(() => ...) around it`,
    );
  }
  if (gate.home) return gate.home;
  throw new NoPoolError(
    `no pool is open for the call of '${routine}': open one with WorkerPool.open(), ` +
      `or call the plain function with ${formOf(routine, 'local')}`,
  );
}

/** How to call one of its forms, in words. */
function formOf(routine: string, form: string): string {
  const call = `${routine}.${form}`;
  return routine.includes('.prototype.') ? `${call}.call(instance, ...)` : `${call}(...)`;
}

const CALL_OPTIONS = ['signal', 'timeout', 'tag', 'pool'];

/**
 * @throws RangeError when the timeout is not a time
 * @throws TypeError when another option is not what it should be, or unknown
 */
export function checkOptions(options: CallOptions, what = 'with(options)'): CallOptions {
  checkNames(what, options, CALL_OPTIONS);
  const { timeout, signal, tag, pool } = options;
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout > 0)) {
    throw new RangeError(
      `timeout must be a number of milliseconds above 0, not ${String(timeout)}; leave it out for no limit`,
    );
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`signal must be an AbortSignal, not ${String(signal)}`);
  }
  if (tag !== undefined && typeof tag !== 'string') {
    throw new TypeError(`tag must be a string, not ${String(tag)}`);
  }
  if (pool !== undefined) checkPool(pool);
  return options;
}

/** @throws TypeError when it is no pool */
export function checkPool(pool: DispatchTarget): DispatchTarget {
  if (pool?.[dispatcherOf] === undefined) {
    throw new TypeError(`pool must be an open WorkerPool, not ${String(pool)}`);
  }
  return pool;
}

export interface Terms {
  readonly timeoutMs: number | undefined;
  readonly tag: string;
  readonly caller: string;
  readonly signal: Abortable | undefined;
  readonly around: NestedOptions | undefined;
}

export const NO_TERMS: Terms = {
  timeoutMs: undefined,
  tag: '',
  caller: '',
  signal: undefined,
  around: undefined,
};

/** What holds for one call: its own options before those around it, and never beyond its task's. */
export function termsOf(options: CallOptions | undefined, scope: Scope | undefined): Terms {
  const task = scope?.task;
  const around = scope?.options;
  if (!options && !task && !around) return NO_TERMS;
  const own = options?.timeout ?? around?.timeout;
  const left = task?.remainingMs;
  let timeoutMs = own === Number.POSITIVE_INFINITY ? undefined : own;
  if (left !== undefined) timeoutMs = Math.min(timeoutMs ?? left, left);
  return {
    timeoutMs,
    tag: options?.tag ?? around?.tag ?? '',
    caller: task?.id ?? '',
    signal: firstOf(options?.signal, around?.signals, task),
    around,
  };
}

function firstOf(
  own: AbortSignal | undefined,
  around: readonly AbortSignal[] | undefined,
  task: Abortable | undefined,
): Abortable | undefined {
  if (own === undefined && (around === undefined || around.length === 0)) return task;
  const signals: Abortable[] = (around ?? []).map(fanOf);
  if (own) signals.push(fanOf(own));
  if (task) signals.push(task);
  return signals.length === 1 ? signals[0] : new FirstOf(signals);
}

const fans = new WeakMap<AbortSignal, Fan>();

function fanOf(signal: AbortSignal): Abortable {
  let fan = fans.get(signal);
  if (fan === undefined) {
    fan = new Fan(signal);
    fans.set(signal, fan);
  }
  return fan;
}

/** One listener for all calls that have the same signal: Node warns of more than ten. */
class Fan implements Abortable {
  readonly #signal: AbortSignal;
  readonly #listeners = new Set<() => void>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  get aborted(): boolean {
    return this.#signal.aborted;
  }

  get reason(): unknown {
    return this.#signal.reason;
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.#listeners.size === 0) this.#signal.addEventListener('abort', this.#abort);
    this.#listeners.add(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size === 0) this.#signal.removeEventListener('abort', this.#abort);
  }

  readonly #abort = () => {
    for (const listener of [...this.#listeners]) listener();
  };
}

/** Aborts with the first of several; unlike `AbortSignal.any` it leaves nothing behind on them. */
class FirstOf implements Abortable {
  readonly #signals: readonly Abortable[];

  constructor(signals: readonly Abortable[]) {
    this.#signals = signals;
  }

  get aborted(): boolean {
    return this.#signals.some((signal) => signal.aborted);
  }

  get reason(): unknown {
    return this.#signals.find((signal) => signal.aborted)?.reason;
  }

  addEventListener(type: 'abort', listener: () => void): void {
    for (const signal of this.#signals) signal.addEventListener(type, listener);
  }

  removeEventListener(type: 'abort', listener: () => void): void {
    for (const signal of this.#signals) signal.removeEventListener(type, listener);
  }
}

/**
 * Runs `fn`; calls of routines inside it, also after an await, have these options unless they say
 * otherwise themselves. A `timeout` holds for each call, not for `fn`; a `signal` ends calls beside
 * their own.
 *
 * `timeout` and `tag` hold for the calls that the called tasks make, too, on whichever worker and however
 * deep, as if `withDispatch` stood around them there; `signal` and `pool` hold here alone.
 *
 * @throws RangeError when the timeout is not a number above 0
 * @throws TypeError when another option is not what it should be, or unknown
 * @example
 * ```ts
 * await withDispatch({ timeout: 5_000, tag: 'nightly' }, async () => {
 *   await Promise.all(files.map((file) => index(file)));
 * });
 * ```
 */
export function withDispatch<T>(options: CallOptions, fn: () => T): T {
  const { pool, signal, timeout, tag } = checkOptions(options, 'withDispatch(options, fn)');
  checkFunction('withDispatch(options, fn)', fn);
  const scope = currentScope();
  const around = scope?.options;
  const signals = around?.signals ?? [];
  const inherited: InheritedOptions = {
    timeout: timeout ?? around?.timeout,
    tag: tag ?? around?.tag,
    signals: signal ? [...signals, signal] : signals,
  };
  const dispatcher = pool ? pool[dispatcherOf] : scope?.dispatcher;
  return runInScope(deriveScope({ dispatcher, options: inherited }), fn);
}
