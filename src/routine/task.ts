/** The task that is running here, and what calls made inside it inherit. */
import { bareScope, type Scope as ContextScope, chainOf, storage } from '../context/scope.ts';
import type { Abortable, Dispatcher, NestedOptions } from './dispatcher.ts';

/** What `currentTask()` tells a routine about the task that it runs for. */
export interface CurrentTask {
  /** Unique among all tasks of all callers. */
  readonly id: string;
  /** `module#name` of the routine, as `my-app/src/routines.ts#resize`. */
  readonly routine: string;
  /** The uid of the worker that runs it, as in `pool.workers`. */
  readonly worker: string;
  /**
   * 1, or more when a worker was lost that may have run this task before: only the tasks of routines
   * with `idempotent: true` are sent again. The `id` is the same each time.
   */
  readonly attempt: number;
  /** Id of the task that made this call; undefined when it came from outside of any task. */
  readonly caller: string | undefined;
  /** Aborts when the caller cancels, its time runs out, its connection is lost, or the worker stops. */
  readonly signal: AbortSignal;
  /** When the call has to be over, in milliseconds since 1970; undefined for no limit. */
  readonly deadline: number | undefined;
  /** The caller's tag for the task. */
  readonly tag: string | undefined;
}

/** Options that hold for calls: of one call, or of all calls inside `withDispatch`. */
export interface DispatchOptions {
  /**
   * Milliseconds until the call has to be over; it fails with `DispatchTimeout` then, and the task is
   * told to stop. Must be above 0. Default: what is left of the surrounding task's time, or no limit.
   */
  readonly timeout?: number;
  /** Ends the call at once when it aborts: it fails with the signal's reason. */
  readonly signal?: AbortSignal;
  /** A label for balancers (see `stickyByTag`) and for `currentTask().tag`. */
  readonly tag?: string;
}

/** What calls get from the `withDispatch` around them. */
export interface InheritedOptions extends NestedOptions {
  /**
   * One of each `withDispatch`: all of them hold. None goes along with a task, which is aborted when its
   * own call is.
   */
  readonly signals: readonly AbortSignal[];
}

/** What the code that runs now is part of. */
export interface Scope extends ContextScope {
  readonly task: TaskScope | undefined;
  /** The pool that calls go to. */
  readonly dispatcher: Dispatcher | undefined;
  readonly options: InheritedOptions | undefined;
  /** The import of a module by a worker that this code was started by. */
  readonly importing: { readonly pending: boolean } | undefined;
}

type Parts = Partial<Omit<Scope, 'chain'>>;

/** A scope of nothing but these parts. */
export function newScope(parts: Parts): Scope {
  return { ...(bareScope() as Scope), ...parts };
}

/** The present scope with other parts. Its chain is the same: what is set in the one, the other sees. */
export function deriveScope(parts: Parts): Scope {
  const scope = currentScope();
  if (scope === undefined) return newScope(parts);
  chainOf(scope);
  return { ...scope, ...parts };
}

export function currentScope(): Scope | undefined {
  return storage.getStore() as Scope | undefined;
}

export function runInScope<T>(scope: Scope, fn: () => T): T {
  return storage.run(scope, fn);
}

/**
 * The task that is running here, or undefined outside of any task.
 *
 * @example
 * ```ts
 * export const crawl = routine(async (url: string) => {
 *   const page = await fetch(url, { signal: currentTask()?.signal });
 *   return page.text();
 * });
 * ```
 */
export function currentTask(): CurrentTask | undefined {
  return currentScope()?.task;
}

/** Milliseconds on two clocks at the same moment: one that never jumps, one that people read. */
export interface Clock {
  now(): number;
  date(): number;
}

/** A running task as its body sees it. The signal is made when somebody asks for it. */
export class TaskScope implements CurrentTask, Abortable {
  readonly routine: string;
  readonly worker: string;
  readonly attempt: number;
  readonly caller: string | undefined;
  readonly tag: string | undefined;
  /** What stacks call its routine; undefined for the routine's own name. */
  label: string | undefined;
  readonly #epoch: string;
  readonly #sequence: number;
  readonly #clock: Clock;
  readonly #due: number | undefined;
  #controller: AbortController | undefined;
  #listeners: Set<() => void> | undefined;
  #aborted = false;
  #reason: unknown;

  constructor(
    clock: Clock,
    worker: string,
    epoch: string,
    routine: string,
    task: {
      sequence: number;
      attempt: number;
      caller: string;
      tag: string;
      timeout_ms: number;
    },
  ) {
    this.#clock = clock;
    this.#epoch = epoch;
    this.#sequence = task.sequence;
    this.routine = routine;
    this.worker = worker;
    this.attempt = task.attempt || 1;
    this.caller = task.caller || undefined;
    this.tag = task.tag || undefined;
    this.label = undefined;
    this.#due = task.timeout_ms > 0 ? clock.now() + task.timeout_ms : undefined;
  }

  get id(): string {
    return `${this.#epoch}-${this.#sequence}`;
  }

  get deadline(): number | undefined {
    const left = this.remainingMs;
    return left === undefined ? undefined : this.#clock.date() + left;
  }

  /** Milliseconds until the deadline; may be below 0. */
  get remainingMs(): number | undefined {
    return this.#due === undefined ? undefined : this.#due - this.#clock.now();
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners?.delete(listener);
  }

  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
    for (const listener of [...(this.#listeners ?? [])]) listener();
    this.#listeners = undefined;
  }
}
