/** What a routine asks of whatever carries its calls. A proxy fulfils it. */
import type { Destination, OutboundContext } from '../context/outbound.ts';
import type { TokenTable } from '../wire/context.ts';
import type { DecodeOptions, Encoded } from '../wire/value.ts';
import type { ModulePolicy } from './whereabouts.ts';

/** How a worker finds a routine. */
export interface RoutineId {
  /** URL of the module that defines it. */
  readonly module: string;
  /** Its name in that module. */
  readonly name: string;
  /** `module#name`. */
  readonly key: string;
}

/** What is asked for, beside the arguments. Never changed, so that calls may share it. */
export interface CallRequest {
  readonly routine: RoutineId;
  /** What messages call it, where that is not its name. */
  readonly label?: string | undefined;
  readonly generator: boolean;
  /** How often the task may be sent to workers that may then have run it: 1 unless it is idempotent. */
  readonly attempts: number;
  /** Milliseconds until the call has to be over; undefined for no limit. */
  readonly timeoutMs: number | undefined;
  readonly tag: string;
  /** Id of the task that makes the call, or empty. */
  readonly caller: string;
  /** Ends the call at once when it aborts. */
  readonly signal: Abortable | undefined;
  /** What calls of the task inherit of the `withDispatch` around this one. */
  readonly around?: NestedOptions | undefined;
}

/** Options of a `withDispatch` that hold for the calls inside it, and for those of their tasks. */
export interface NestedOptions {
  readonly timeout: number | undefined;
  readonly tag: string | undefined;
}

/** What can end a call from outside: an `AbortSignal`, or a task that is told to stop. */
export interface Abortable {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** A value that arrived, not decoded yet; undefined stands for `undefined`. */
export type Received =
  | {
      readonly item?: Uint8Array | undefined;
      readonly attachments: readonly Uint8Array[];
      /** Those that it may refer to. */
      readonly tokens?: TokenTable | undefined;
      /** Which modules are imported since the value names them. Default: as for the process. */
      readonly modules?: ModulePolicy | undefined;
      /** How it is decoded. Default: nested as deeply as values may be. */
      readonly decoding?: DecodeOptions | undefined;
    }
  | undefined;

export type StepKind = 'next' | 'throw' | 'return';

export interface StepResult {
  readonly value: Received;
  readonly done: boolean;
}

/** A generator that runs elsewhere. */
export interface RemoteGenerator {
  /**
   * Asks for the next step. One at a time: the step before must have ended.
   * Rejects with the error that the body threw, or why the call failed; it is over then.
   *
   * @param context the chain that goes along, which is on its way now
   */
  step(
    kind: StepKind,
    value: Encoded | undefined,
    context?: OutboundContext | undefined,
  ): Promise<StepResult>;
  /** Ends it, if it has not ended: nobody will ask for a step again. */
  abandon(): void;
  /** As `abandon`, when `consumer` was dropped between two steps: nobody can ask for another one. */
  abandonWith(consumer: object): void;
}

export interface Dispatcher extends Destination {
  /**
   * Runs a function elsewhere. Rejects with the error that it threw, or why the call failed.
   *
   * @param context the chain that goes along, which is on its way now
   */
  call(
    request: CallRequest,
    args: Encoded,
    context?: OutboundContext | undefined,
  ): Promise<Received>;
  /** Prepares a generator; its task is sent with the first step. */
  generate(request: CallRequest, args: Encoded): RemoteGenerator;
}

/** Where something that calls can be sent to keeps its dispatcher: pools have it. */
export const dispatcherOf: unique symbol = Symbol.for('skein.dispatcher') as never;

export interface DispatchTarget {
  readonly [dispatcherOf]: Dispatcher;
}
