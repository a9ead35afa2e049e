/** What a run leaves behind for the oracle to judge. Plain data, so that a test can forge one. */

/** How a call ended, as its caller saw it. */
export type Outcome =
  | { readonly type: 'result'; readonly value: unknown }
  | { readonly type: 'error'; readonly error: Failure };

export interface Failure {
  readonly name: string;
  readonly message: string;
  /** It is the very reason that the call's signal was aborted with. */
  readonly isReason?: boolean;
  /** Of a `WorkerLost`. */
  readonly phase?: 'offered' | 'running';
  readonly worker?: string;
}

/** What a call gives when nothing goes wrong. Bytes are said by a digest. */
export type Expected =
  | { readonly value: unknown }
  | { readonly error: { readonly name: string; readonly message?: string } };

export interface CallRecord {
  readonly id: string;
  readonly kind: string;
  /** What was called, for people. */
  readonly what: string;
  readonly expected: Expected;
  /** What a generator yields, in order, when it is consumed as far as the call wants. */
  readonly yields?: readonly unknown[];
  /** Ids of the tasks that it starts itself. */
  readonly parts?: readonly string[];
  readonly timeoutMs?: number;
  /** Its signal is aborted at some time. */
  readonly aborts?: boolean;
  /** Its task may run again when a worker is lost. */
  readonly idempotent?: boolean;
  /** It fails before it is sent. */
  readonly neverRuns?: boolean;
  /** Milliseconds since the start of the run. */
  readonly startedAt: number;
  endedAt?: number;
  /** What a generator has yielded. */
  readonly received: unknown[];
  /** None: it never ended. */
  outcome?: Outcome;
}

/** A line of the trace file: a task has started. */
export interface Execution {
  readonly id: string;
  /** The uid of the worker. */
  readonly worker: string;
  /** 1, or more when it is not the first worker that the task was sent to. */
  readonly attempt: number;
}

export type FaultKind =
  /** SIGKILL. */
  | 'kill'
  /** SIGTERM: the worker leaves by itself. */
  | 'term'
  /** SIGSTOP, and SIGCONT before anyone gives the worker up. */
  | 'stop'
  /** The connection is reset. */
  | 'reset'
  /** The connection is ended in order, in the midst of the work. */
  | 'end'
  /** SIGSTOP, and nobody continues it. */
  | 'stall'
  /** The connection carries nothing for a time, one way or both. */
  | 'hold'
  /** The connection carries nothing any more, one way or both; new ones do. */
  | 'sever'
  /** The worker can't be reached for a time: neither old connections nor new ones carry anything. */
  | 'partition'
  /** All that the connection carries comes late. */
  | 'delay'
  /** The connection is slow. */
  | 'throttle'
  /** Connections to the server that all meet at are cut, and made again. */
  | 'cut'
  /** That server is killed, and started again before anyone is given up. */
  | 'restart'
  /** That server is stopped, and goes on before anyone is given up. */
  | 'freeze'
  /** That server is killed, and away for so long that everyone is given up. */
  | 'outage';

/** In place of a uid: all workers. */
export const ALL = 'all';

export interface Fault {
  readonly kind: FaultKind;
  /** The uid of the worker that was hit, or `ALL`. */
  readonly worker: string;
  /** Milliseconds since the start of the run. */
  readonly at: number;
  /** What was drawn, for people. */
  readonly detail: string;
}

export interface History {
  readonly calls: readonly CallRecord[];
  readonly executions: readonly Execution[];
  readonly faults: readonly Fault[];
  /** What was still there after the end, though it should not: a process, a socket, a call of the pool. */
  readonly leftovers: readonly string[];
  /** When the run was ended early, in milliseconds since its start: the pool was closed under its calls. */
  readonly interruptedAt?: number;
}

/** Faults after which calls on the worker may be lost. */
export const LOSSY: ReadonlySet<FaultKind> = new Set([
  'kill',
  'term',
  'stall',
  'reset',
  'end',
  'sever',
  'partition',
  'outage',
]);

/** Whether calls on the worker may be lost by it. */
export function mayLose({ kind, worker }: Fault, lost: string | undefined): boolean {
  return LOSSY.has(kind) && (worker === lost || worker === ALL);
}
