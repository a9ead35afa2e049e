/** The backpressure hook of a worker: asked before each task whether the worker takes it. */
import type { Env } from '../env.ts';
import { type CurrentTask, runInScope, type Scope, type TaskScope } from '../routine/task.ts';

/** A task that a worker is offered, as its backpressure hook sees it. */
export interface OfferedTask extends Omit<CurrentTask, 'signal'> {
  /** The other tasks that the worker has now; those that its hook is asked about are among them. */
  readonly inFlight: number;
}

/**
 * Returns true where the worker shall not take the task now: it goes to another worker, or comes again
 * after a pause. One that throws or rejects refuses, too.
 */
export type Backpressure = (task: OfferedTask) => boolean | Promise<boolean>;

/** More often than that no failure is printed. */
const PRINT_EVERY_MS = 1_000;

export interface AskedHook {
  readonly env: Env;
  readonly hook: Backpressure;
  /** The tasks that the worker has, the offered one included. */
  readonly inFlight: () => number;
}

/** What asks a hook whether it refuses a task, in whose scope it runs. Never throws or rejects. */
export function asker({ env, hook, inFlight }: AskedHook) {
  const failures = new Failures(env);
  return (scope: Scope): boolean | Promise<boolean> => {
    const task = scope.task as TaskScope;
    const failed = (error: unknown) => {
      failures.note(task, error);
      return true;
    };
    // What it sets, the task does not see.
    const own = { ...scope, chain: scope.chain?.fork() };
    try {
      const answer: unknown = runInScope(own, () => hook(viewOf(task, inFlight() - 1)));
      return isThenable(answer) ? Promise.resolve(answer).then(Boolean, failed) : Boolean(answer);
    } catch (error) {
      return failed(error);
    }
  };
}

function viewOf(task: TaskScope, inFlight: number): OfferedTask {
  const { id, routine, worker, attempt, caller, deadline, tag } = task;
  return Object.freeze({ id, routine, worker, attempt, caller, deadline, tag, inFlight });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

/** Prints failures of the hook, each second one at most. */
class Failures {
  readonly #env: Env;
  #printed = Number.NEGATIVE_INFINITY;
  #silent = 0;

  constructor(env: Env) {
    this.#env = env;
  }

  note({ routine }: TaskScope, error: unknown): void {
    const now = this.#env.now();
    if (now < this.#printed + PRINT_EVERY_MS) {
      this.#silent += 1;
      return;
    }
    const more = this.#silent > 0 ? ` (as ${this.#silent} times since the last line)` : '';
    this.#printed = now;
    this.#silent = 0;
    console.error(
      `The backpressure hook failed, so that a task of ${routine} was refused${more}:`,
      error,
    );
  }
}
