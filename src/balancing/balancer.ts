/** Who gets the next task: policies that see the workers of a pool, and name them in the order of choice. */

/** A worker as a balancer sees it. The object stays the same while the worker is in the pool. */
export interface WorkerView {
  readonly uid: string;
  /** Where it listens. */
  readonly address: string;
  readonly tags: readonly string[];
  /** Calls of this proxy that the worker has now, offered or running. */
  readonly inFlight: number;
  /** Tasks that it runs at a time (see `concurrency`); Infinity for any number. */
  readonly capacity: number;
  /**
   * It does not answer at present: a task blocks its event loop, or its process is stopped. What is
   * sent there waits, and may be lost. `roundRobin` and `leastLoaded` choose it last.
   */
  readonly stalled: boolean;
}

/** A task as a balancer sees it. */
export interface TaskView {
  /** `module#name`. */
  readonly routine: string;
  /** The caller's tag, or empty. */
  readonly tag: string;
}

export interface BalancerContext {
  /** The workers that may take the task: those that refused it are left out. Never empty. */
  readonly workers: readonly WorkerView[];
}

/**
 * Chooses workers. `delegate` yields uids, best first; the first that can take the task gets it. It is
 * asked for more only when that worker is gone by now, and called anew when the worker refuses.
 * Yielding nothing makes the task wait until a place is free.
 *
 * @example
 * ```ts
 * const gpuFirst: LoadBalancer = {
 *   *delegate(task, { workers }) {
 *     for (const worker of workers) if (worker.tags.includes('gpu')) yield worker.uid;
 *     for (const worker of workers) yield worker.uid;
 *   },
 * };
 * ```
 */
export interface LoadBalancer {
  delegate(task: TaskView, context: BalancerContext): Iterable<string>;
}
