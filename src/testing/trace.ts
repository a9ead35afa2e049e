/** What happened in a simulation, event by event. */

/**
 * One event. `at` is simulated milliseconds since the start; `process` is where it happened, such as
 * `caller-1` or `worker-2.3` (the third process of worker 2), or `world` for what no process does.
 *
 * A call is known by the id that its task has: the caller's epoch and a number.
 */
export type TraceEvent = { readonly at: number; readonly process: string } & TraceBody;

export type TraceBody =
  /** A process came up. `uid` is the worker's uid or the caller's epoch; `epoch` that of its own calls. */
  | {
      readonly type: 'up';
      readonly role: 'caller' | 'worker';
      readonly uid: string;
      readonly epoch: string;
    }
  /** A process is gone: it crashed, or it ended when its work was done. */
  | { readonly type: 'gone'; readonly crashed: boolean }
  /** A fault was applied. `text` says which, for people. */
  | { readonly type: 'fault'; readonly kind: string; readonly text: string }
  /** The faults have ended: everything that is broken is repaired, and the grace time begins. */
  | { readonly type: 'healed' }
  /** A connection between two processes: it came up, or one side, `process`, learned of its end. */
  | {
      readonly type: 'link';
      readonly link: string;
      readonly state: 'up' | 'down';
      readonly reason: string;
    }
  /** A call was made. `parent` is the id of the task that made it, or empty. */
  | {
      readonly type: 'call';
      readonly id: string;
      readonly routine: string;
      readonly generator: boolean;
      readonly idempotent: boolean;
      readonly parent: string;
    }
  /** A call changed its state; `worker` is the uid of the one that it is offered to or runs on. */
  | {
      readonly type: 'state';
      readonly id: string;
      readonly state: string;
      readonly worker: string;
    }
  /** A packet with the Task of a call was handed to a connection, or arrived there. */
  | {
      readonly type: 'task';
      readonly id: string;
      readonly link: string;
      readonly way: 'sent' | 'arrived';
    }
  /** A packet arrived at its destination. `sent` is when it was handed to the connection. */
  | {
      readonly type: 'packet';
      readonly link: string;
      readonly from: string;
      readonly sent: number;
      readonly frames: string;
      /** It had arrived before. */
      readonly again?: boolean;
    }
  /** A worker refused a task, as it arrived at the caller. */
  | { readonly type: 'nack'; readonly id: string; readonly reason: string }
  /** The caller was given the value of a generator's step. */
  | { readonly type: 'value'; readonly id: string; readonly digest: string }
  /** The caller was given the outcome of a call. */
  | ({ readonly type: 'settle'; readonly id: string } & Outcome)
  /** The body of a task began. */
  | {
      readonly type: 'start';
      readonly id: string;
      readonly attempt: number;
      readonly routine: string;
    }
  /** The body of a generator yielded. */
  | {
      readonly type: 'yield';
      readonly id: string;
      readonly attempt: number;
      readonly digest: string;
    }
  /** A task was told to stop. */
  | { readonly type: 'abort'; readonly id: string; readonly attempt: number }
  /** The body of a task ended. */
  | ({ readonly type: 'end'; readonly id: string; readonly attempt: number } & Outcome)
  /**
   * What a process holds. Each `x` has to be within `xLimit`, where there is one. After the faults have
   * ended, what begins with `left` has to be 0.
   */
  | { readonly type: 'held'; readonly what: Readonly<Record<string, number>> }
  /** An error that nobody handled: in a real process it would be its end. */
  | { readonly type: 'uncaught'; readonly message: string }
  /** A note of the program under test. */
  | { readonly type: 'note'; readonly text: string };

export interface Outcome {
  readonly outcome: 'result' | 'error';
  /**
   * Of a result the hash of its encoded bytes; of an error its code or name, and its message's hash.
   * Equal values have equal digests.
   */
  readonly digest: string;
  /** Of an error: its `code` or its name. */
  readonly code?: string;
  /** Of a `WorkerLost`. */
  readonly phase?: string;
}

export type TraceEventOf<T extends TraceBody['type']> = Extract<TraceEvent, { readonly type: T }>;

export type Trace = readonly TraceEvent[];

/** The trace as text, one line for each event: the same run gives the same text, byte for byte. */
export function formatTrace(trace: Trace): string {
  return trace.map((event) => `${formatEvent(event)}\n`).join('');
}

export function formatEvent({ at, process, type, ...fields }: TraceEvent): string {
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${name}=${format(value)}`);
  return [at.toFixed(3).padStart(12), process.padEnd(12), type, ...parts].join(' ').trimEnd();
}

function format(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"]+$/.test(value)) return value;
  return JSON.stringify(value);
}
