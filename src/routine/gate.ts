/** Decides where a call goes, and with which options. */
import { NoPoolError } from '../errors.ts';
import type { Abortable, Dispatcher, DispatchTarget } from './dispatcher.ts';
import { dispatcherOf } from './dispatcher.ts';
import { currentScope, type DispatchOptions, runInScope, type Scope } from './task.ts';

/** Options of one call. */
export interface CallOptions extends DispatchOptions {
  /** The pool that the call goes to. */
  readonly pool?: DispatchTarget;
}

const open = new Set<Dispatcher>();
let home: Dispatcher | undefined;

/** A pool was opened in this process. */
export function addDispatcher(dispatcher: Dispatcher): void {
  open.add(dispatcher);
}

export function removeDispatcher(dispatcher: Dispatcher): void {
  open.delete(dispatcher);
}

/** On a worker: where the calls of its tasks go, back into the pool that it belongs to. */
export function setHomeDispatcher(dispatcher: Dispatcher | undefined): void {
  home = dispatcher;
}

/**
 * @throws NoPoolError when it is not clear where the call should go
 */
export function findDispatcher(
  routine: string,
  options: CallOptions | undefined,
  scope: Scope | undefined,
): Dispatcher {
  if (options?.pool) return options.pool[dispatcherOf];
  if (scope?.dispatcher) return scope.dispatcher;
  if (scope?.task && home) return home;
  if (open.size === 1) for (const dispatcher of open) return dispatcher;
  if (open.size > 1) {
    throw new NoPoolError(
      `${open.size} pools are open, and the call of '${routine}' says none of them: ` +
        `use ${routine}.on(pool)(...), or pool.run(() => ...) around it`,
    );
  }
  if (home) return home;
  throw new NoPoolError(
    `no pool is open for the call of '${routine}': open one with WorkerPool.open(), ` +
      `or call the plain function with ${routine}.local(...)`,
  );
}

/** @throws RangeError when the timeout is not a time */
export function checkOptions<T extends DispatchOptions>(options: T): T {
  const { timeout } = options;
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout > 0)) {
    throw new RangeError(
      `timeout must be a number of milliseconds above 0, not ${String(timeout)}; leave it out for no limit`,
    );
  }
  return options;
}

export interface Terms {
  readonly timeoutMs: number | undefined;
  readonly tag: string;
  readonly caller: string;
  readonly signal: Abortable | undefined;
}

const NO_TERMS: Terms = { timeoutMs: undefined, tag: '', caller: '', signal: undefined };

/** What holds for one call: its own options before those around it, and never beyond its task's. */
export function termsOf(options: CallOptions | undefined, scope: Scope | undefined): Terms {
  const task = scope?.task;
  const around = scope?.options;
  if (!options && !task && !around) return NO_TERMS;
  const own = options?.timeout ?? around?.timeout;
  const left = task?.remainingMs;
  let timeoutMs = own === Number.POSITIVE_INFINITY ? undefined : own;
  if (left !== undefined) timeoutMs = Math.min(timeoutMs ?? left, left);
  const signals: AbortSignal[] = [];
  if (options?.signal) signals.push(options.signal);
  if (around?.signal) signals.push(around.signal);
  let signal: Abortable | undefined = task;
  if (signals.length > 0) {
    if (task) signals.push(task.signal);
    signal = signals.length === 1 ? signals[0] : AbortSignal.any(signals);
  }
  return { timeoutMs, tag: options?.tag ?? around?.tag ?? '', caller: task?.id ?? '', signal };
}

/**
 * Runs `fn`; calls of routines inside it, also after an await, have these options unless they say
 * otherwise themselves. A `timeout` holds for each call, not for `fn`.
 *
 * @throws RangeError when the timeout is not a number above 0
 * @example
 * ```ts
 * await withDispatch({ timeout: 5_000, tag: 'nightly' }, async () => {
 *   await Promise.all(files.map((file) => index(file)));
 * });
 * ```
 */
export function withDispatch<T>(options: CallOptions, fn: () => T): T {
  const { pool, ...rest } = checkOptions(options);
  const scope = currentScope();
  return runInScope(
    {
      task: scope?.task,
      dispatcher: pool ? pool[dispatcherOf] : scope?.dispatcher,
      options: { ...scope?.options, ...rest },
    },
    fn,
  );
}
