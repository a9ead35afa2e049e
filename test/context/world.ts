/** What the interpreter of scripts runs on: the runtime, or the oracle. */
import type { Body, GeneratorBody, Strike, Variable } from './script.ts';

/** A token of whatever runs the script. */
export type Token = object;

/** A token, and the name of the `set` that made it. */
export interface Held {
  readonly name: string;
  /** Unlike the name it is unique among attempts and processes. */
  readonly uid: string;
  readonly token: Token;
}

/** The value of a variable: the name of the `set` that gave it, and tokens. */
export interface Value {
  readonly name: string;
  readonly held: readonly Held[];
}

/** What goes into a task, a step, or back. */
export interface Packet {
  readonly held: readonly Held[];
}

export interface TaskPacket extends Packet {
  readonly name: string;
  /** Names the run of the script among others that go on in the same processes. */
  readonly run: string;
  /** The gate that it tells that it has begun. */
  readonly begun?: string;
  /** The gate that it waits at before it ends, or before its first step ends. */
  readonly gate?: string;
}

export interface StepPacket extends Packet {
  /** The gate that it waits at before the step ends. */
  readonly gate?: string;
}

/** What comes back: tokens, and what was done there. */
export interface Reply extends Packet {
  readonly trace: readonly string[];
  /** The gates of what the task has detached, and the tasks that it called. */
  readonly detached?: readonly string[];
}

/** The error that a script ends a task with, or throws into a generator. */
export class ScriptFailure extends Error {
  override name = 'ScriptFailure';
  readonly packet: Packet;

  constructor(packet: Packet) {
    super('the script says so');
    this.packet = packet;
  }
}

/** What a failure carries; it may have come over the wire, and have lost its class. */
export function packetOf<P extends Packet>(error: unknown): P | undefined {
  return (error as { packet?: P } | undefined)?.packet;
}

/** How a call is made. */
export interface How {
  readonly idempotent?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A generator on a worker. */
export interface Steps {
  readonly isOver: boolean;
}

export type StepResult = IteratorResult<Reply, Reply | undefined>;

/** Where code of a script runs: one chain of one task. */
export interface World {
  /** The value, its default with `fallback` first, or undefined when it has none. */
  get(variable: Variable, fallback?: Value): Value | undefined;
  set(variable: Variable, value: Value): Token;
  /** @throws an error whose name says why not */
  reset(variable: Variable, token: unknown): void;
  /** The variable of a token, and the value that it would restore; undefined for none. */
  describe(token: Token): { readonly variable: Variable; readonly old: Value | undefined };
  /** The chain's id; undefined when it is not armed. */
  id(): string | undefined;
  fork<T>(fn: (world: World) => Promise<T>): Promise<T>;
  /** The call is out from now on until the promise settles. */
  call(body: Body, packet: TaskPacket, how: How): Promise<Reply>;
  generate(body: GeneratorBody, packet: TaskPacket, how: How): Steps;
  next(steps: Steps, packet: StepPacket): Promise<StepResult>;
  return(steps: Steps): Promise<StepResult>;
  throw(steps: Steps, failure: ScriptFailure): Promise<StepResult>;

  /** Has something go wrong, where that can be; once for each name. */
  strike(strike: Strike, name: string): Promise<void>;
  /** A name that nobody else has. */
  uid(): string;
  /** Hears of each token that was accepted by a `reset`. */
  accept(held: Held): void;
  /** Resolves when the gate is open, with what came through it. */
  pass(gate: string): Promise<readonly string[]>;
  open(gate: string, lines?: readonly string[]): void;
}
