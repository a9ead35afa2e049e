/**
 * What a simulation runs, as plain data: the cluster, what its callers do, and which faults strike
 * when. Arbitraries make such data and shrink it; a seed makes it too.
 */

/** The processes, and how the network between them is. */
export interface ClusterPlan {
  readonly workers: number;
  readonly callers: number;
  /** Tasks that a worker runs at a time; undefined for no limit. */
  readonly concurrency?: number | undefined;
  /** Milliseconds that a packet takes, at least and at most. Default: 0.05 to 2. */
  readonly delayMs?: readonly [least: number, most: number];
  /** Milliseconds until a process hears that a worker is there or not, at least and at most. Default: 0 to 20. */
  readonly discoveryMs?: readonly [least: number, most: number];
  /** Milliseconds without a sign of life after which a worker is given up. Default: 1,000. */
  readonly lostAfterMs?: number;
  /** Whether the workers run functions by value. Default: false. */
  readonly allowInline?: boolean;
}

/** What the body of a task of the built-in workload does. */
export interface TaskPlan {
  readonly kind: 'function' | 'generator';
  /** Milliseconds that it works: a function in all, a generator before each of its values. */
  readonly workMs: number;
  /** Values that a generator yields. */
  readonly yields: number;
  readonly outcome: 'return' | 'throw';
  /** Whether it looks at its signal; if not, it works on when it was told to stop. */
  readonly deaf: boolean;
  /** Bytes that its argument and its result have beside the rest. */
  readonly bytes: number;
  /** Calls that it makes, one after the other, when it has worked. */
  readonly nested: readonly CallPlan[];
}

/** One call, and what its caller does with it. */
export interface CallPlan {
  /** Milliseconds after the start of the caller, or of the task that makes the call. */
  readonly at: number;
  readonly task: TaskPlan;
  readonly idempotent: boolean;
  readonly timeoutMs?: number | undefined;
  /** Milliseconds after which the caller gives up. */
  readonly cancelMs?: number | undefined;
  /** Values that the consumer of a generator takes before it breaks off; undefined for all. */
  readonly take?: number | undefined;
  /** Milliseconds between the steps of the consumer. */
  readonly pauseMs: number;
  /** How often the caller calls again, as a new call, when it got `WorkerLost`. */
  readonly retries: number;
}

/** What each caller does; the first caller has the first list. */
export type WorkloadPlan = readonly (readonly CallPlan[])[];

/** The two sides of a connection. */
export interface Ends {
  readonly caller: number;
  readonly worker: number;
  /** The caller is the worker with this index, for what its tasks call. Default: false. */
  readonly nested?: boolean;
}

/**
 * Something that goes wrong at `at` milliseconds. `worker` and `caller` are indexes, taken modulo how many
 * there are. What a fault breaks for a time is whole again after `ms`.
 */
export type Fault = { readonly at: number } & (
  | /** The process dies; another one, with a new uid and an empty memory, comes up after `ms`. */
  {
      readonly kind: 'crash';
      readonly worker: number;
      readonly ms: number;
      /** As when its machine dies: nobody is told that its connections are gone. */
      readonly silent: boolean;
    }
  /** The process dies, and does not come back. */
  | { readonly kind: 'callerCrash'; readonly caller: number; readonly silent: boolean }
  /** The worker is asked to end when its tasks are done; another one comes up. */
  | { readonly kind: 'drain'; readonly worker: number; readonly ms: number }
  /** SIGSTOP, and SIGCONT after `ms`. */
  | { readonly kind: 'stop'; readonly worker: number; readonly ms: number }
  | { readonly kind: 'callerStop'; readonly caller: number; readonly ms: number }
  /** Its event loop is busy with something else. */
  | { readonly kind: 'block'; readonly worker: number; readonly ms: number }
  | { readonly kind: 'callerBlock'; readonly caller: number; readonly ms: number }
  /** The connections of the two break, and both sides are told. */
  | ({ readonly kind: 'cut' } & Ends)
  /** The two can't reach each other for `ms`, and nobody is told. Connections that stand now stay dead. */
  | ({
      readonly kind: 'halfOpen';
      readonly ms: number;
      /** Which way nothing arrives any more. */
      readonly way: 'both' | 'toWorker' | 'toCaller';
    } & Ends)
  /** The next packet from one to the other arrives twice, is cut short, or does not arrive. */
  | ({
      readonly kind: 'duplicate' | 'truncate' | 'lose';
      readonly way: 'toWorker' | 'toCaller';
    } & Ends)
  /** The worker, or the caller, reads each packet `delayMs` late, one after the other, for `ms`. */
  | {
      readonly kind: 'slow';
      readonly worker: number;
      readonly ms: number;
      readonly delayMs: number;
    }
  | {
      readonly kind: 'callerSlow';
      readonly caller: number;
      readonly ms: number;
      readonly delayMs: number;
    }
  /** The wall clock of the worker jumps by `byMs`, which may be below 0. */
  | { readonly kind: 'jump'; readonly worker: number; readonly byMs: number }
  /** Discovery tells the caller that the worker is gone, which it is not, and takes it back after `ms`. */
  | {
      readonly kind: 'flap';
      readonly caller: number;
      readonly worker: number;
      readonly ms: number;
    }
  /** For `ms` discovery names a worker to the caller that is not there, or is another one by now. */
  | {
      readonly kind: 'ghost';
      readonly caller: number;
      readonly worker: number;
      readonly ms: number;
      /** Whether somebody answers at the address that it gives: another worker than it says. */
      readonly answered: boolean;
    }
);

export type FaultKind = Fault['kind'];

/** All that a simulated run needs beside its seed. */
export interface Scenario {
  readonly cluster: ClusterPlan;
  readonly workload: WorkloadPlan;
  readonly faults: readonly Fault[];
}
