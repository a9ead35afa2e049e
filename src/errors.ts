/**
 * Every error of the runtime itself. An error that a routine throws is not wrapped in one of these:
 * it arrives as what it was.
 */

const marker = Symbol.for('skein.error');

/** Options common to all errors of the runtime. */
export interface SkeinErrorOptions {
  cause?: unknown;
}

/**
 * The base of all errors of the runtime. `code` is stable across versions; the message is not.
 *
 * `instanceof` also holds for errors of another copy of this package in the same process.
 */
export abstract class SkeinError extends Error {
  abstract readonly code: string;

  constructor(message: string, options?: SkeinErrorOptions) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    Object.defineProperty(this, 'name', { enumerable: false });
  }

  get [marker](): string {
    return this.code;
  }

  static override [Symbol.hasInstance](this: { prototype: unknown }, value: unknown): boolean {
    if (typeof value !== 'object' || value === null) return false;
    if (Function.prototype[Symbol.hasInstance].call(this, value)) return true;
    const code = (value as Record<symbol, unknown>)[marker];
    if (code === undefined) return false;
    if (this === SkeinError) return true;
    // A class of another copy of the package: same name, same code.
    return (value as Error).name === (this as unknown as { name: string }).name;
  }
}

/** A routine has no name that a worker could find it by, or a name that is taken. */
export class RoutineIdentityError extends SkeinError {
  readonly code = 'ROUTINE_IDENTITY';
}

/**
 * A class can't be registered: it has no name, one that is taken, or state that does not travel; or it is
 * built in.
 */
export class ClassRegistrationError extends SkeinError {
  readonly code = 'CLASS_REGISTRATION';
}

/** The worker could not find the routine: its module does not load there, or lacks the routine. */
export class RoutineNotFound extends SkeinError {
  readonly code = 'ROUTINE_NOT_FOUND';
}

/** The worker does not run functions by value: its pool was opened without `allowInline`. */
export class InlineNotAllowed extends SkeinError {
  readonly code = 'INLINE_NOT_ALLOWED';
}

/** A function can't travel by value: it needs more of the code around it than it captures. */
export class InlineFunctionError extends SkeinError {
  readonly code = 'INLINE_FUNCTION';
  /** The names that it uses, and a worker does not have. */
  readonly missing: readonly string[];

  constructor(message: string, options?: SkeinErrorOptions & { missing?: readonly string[] }) {
    super(message, options);
    this.missing = options?.missing ?? [];
  }
}

/** No pool is open, several are open and none is bound, or the one that was named is closed. */
export class NoPoolError extends SkeinError {
  readonly code = 'NO_POOL';
}

/** The pool was closed before the call could end. */
export class PoolClosed extends SkeinError {
  readonly code = 'POOL_CLOSED';
}

/** No worker could take the call: none is there, or all refused until the time or the queue ran out. */
export class NoWorkersAvailable extends SkeinError {
  readonly code = 'NO_WORKERS_AVAILABLE';
}

/** How far a call had come when its worker was lost. */
export type LostPhase = 'offered' | 'running';

/**
 * The worker was lost after the task had been sent to it, so the task may have run, in part or
 * whole. It was not sent again; or, where the routine is `idempotent`, this was the last attempt.
 */
export class WorkerLost extends SkeinError {
  readonly code = 'WORKER_LOST';
  /** `offered`: sent, not acknowledged. `running`: the worker had taken it. */
  readonly phase: LostPhase;
  /** The uid of the worker. */
  readonly worker: string;

  constructor(message: string, options: SkeinErrorOptions & { phase: LostPhase; worker: string }) {
    super(message, options);
    this.phase = options.phase;
    this.worker = options.worker;
  }
}

/** The call did not end in the time it was given. The task on the worker is told to stop. */
export class DispatchTimeout extends SkeinError {
  readonly code = 'DISPATCH_TIMEOUT';
  /** The time it was given, in milliseconds. */
  readonly timeoutMs: number;

  constructor(message: string, options: SkeinErrorOptions & { timeoutMs: number }) {
    super(message, options);
    this.timeoutMs = options.timeoutMs;
  }
}

/** The worker stopped this task: it was told to stop without waiting. */
export class TaskAborted extends SkeinError {
  readonly code = 'TASK_ABORTED';
}

/** A value can't travel, or what arrived is not a value. */
export class SerializationError extends SkeinError {
  readonly code = 'SERIALIZATION';
  /** Where in the value, e.g. `args[0].cb`; empty when the bytes themselves are damaged. */
  readonly path: string;

  constructor(message: string, options?: SkeinErrorOptions & { path?: string }) {
    super(message, options);
    this.path = options?.path ?? '';
  }
}

/** A value is larger than `limits.maxValueBytes` of the side that sends or receives it. */
export class ValueTooLarge extends SkeinError {
  readonly code = 'VALUE_TOO_LARGE';
  readonly bytes: number;
  readonly limit: number;

  constructor(message: string, options: SkeinErrorOptions & { bytes: number; limit: number }) {
    super(message, options);
    this.bytes = options.bytes;
    this.limit = options.limit;
  }
}

/**
 * A peer asks for more than one of the `limits` of this side, or this side for more than one of the peer's. The
 * call or the link has ended that did.
 */
export class LimitExceeded extends SkeinError {
  readonly code = 'LIMIT_EXCEEDED';
  /** The name of the limit, e.g. `maxFrameBytes`; its unit is that of `value` and `max`. */
  readonly limit: string;
  /** What was asked for, as far as it was counted. */
  readonly value: number;
  readonly max: number;

  constructor(
    message: string,
    options: SkeinErrorOptions & { limit: string; value: number; max: number },
  ) {
    super(message, options);
    this.limit = options.limit;
    this.value = options.value;
    this.max = options.max;
  }
}

/** The peer broke the protocol, or speaks another version of it. */
export class ProtocolError extends SkeinError {
  readonly code = 'PROTOCOL';
}

/** No worker answered at an address: nobody listens there, or something else does; the message says why. */
export class WorkerUnreachable extends SkeinError {
  readonly code = 'WORKER_UNREACHABLE';
  /** The address, e.g. `tcp://10.0.0.7:4000`. */
  readonly address: string;

  constructor(message: string, options: SkeinErrorOptions & { address: string }) {
    super(message, options);
    this.address = options.address;
  }
}

/** No durable pool answered at an address: nobody listens there, or something else does; the message says why. */
export class PoolUnreachable extends SkeinError {
  readonly code = 'POOL_UNREACHABLE';
  /** The address, e.g. `tcp://127.0.0.1:7411`. */
  readonly address: string;

  constructor(message: string, options: SkeinErrorOptions & { address: string }) {
    super(message, options);
    this.address = options.address;
  }
}

/** The address can't be listened on. */
export class ListenError extends SkeinError {
  readonly code = 'LISTEN';
}

/**
 * Why two ends do not trust each other:
 *
 * - `authkey`: one side has another authkey, or only one has one;
 * - `worker-expired`, `worker-not-yet-valid`, `worker-wrong-ca`, `worker-wrong-name`: so is the worker's certificate,
 *   as this side sees it;
 * - `caller-expired`, `caller-not-yet-valid`, `caller-wrong-ca`: so is the certificate of this side, as the worker sees it;
 * - `no-client-certificate`: the worker asks for one, and this side has none;
 * - `plaintext`: this side has credentials, and the other one speaks no TLS;
 * - `tls`: the other side asks for TLS, and this one has no credentials;
 * - `unauthorized`: the worker knows this side, and does not let it in;
 * - `handshake`: the TLS handshake failed for another reason, which the message has.
 */
export type AuthenticationReason =
  | 'authkey'
  | 'worker-expired'
  | 'worker-not-yet-valid'
  | 'worker-wrong-ca'
  | 'worker-wrong-name'
  | 'caller-expired'
  | 'caller-not-yet-valid'
  | 'caller-wrong-ca'
  | 'no-client-certificate'
  | 'plaintext'
  | 'tls'
  | 'unauthorized'
  | 'handshake';

/**
 * The two ends of a connection do not trust each other, by their authkeys or their certificates: nothing was
 * told or done.
 */
export class AuthenticationError extends SkeinError {
  readonly code = 'AUTHENTICATION';
  readonly reason: AuthenticationReason;

  constructor(
    message: string,
    options: SkeinErrorOptions & { reason?: AuthenticationReason } = {},
  ) {
    super(message, options);
    this.reason = options.reason ?? 'authkey';
  }
}

/** Certificates or keys can't be used: they are missing, broken, expired, or do not belong together. */
export class CredentialsError extends SkeinError {
  readonly code = 'CREDENTIALS';
}

/** The worker knows who sends the task, by its certificate, and does not let it run. */
export class AuthorizationError extends SkeinError {
  readonly code = 'AUTHORIZATION';
}

/** A worker process did not come up, or workers died so often that the pool gave up. */
export class WorkerStartError extends SkeinError {
  readonly code = 'WORKER_START';
}

/** A pool was opened while a worker was importing a module: the program's main ran again there. */
export class MainModuleError extends SkeinError {
  readonly code = 'MAIN_MODULE';
}

/** Workers can't be found or announced where they were to be; the message says what to do. */
export class DiscoveryError extends SkeinError {
  readonly code = 'DISCOVERY';
}

/** A load balancer threw, or named a worker that it was not offered. */
export class LoadBalancerError extends SkeinError {
  readonly code = 'LOAD_BALANCER';
}

/** A context variable has no value, and `get` was given no default. */
export class ContextVarUnset extends SkeinError {
  readonly code = 'CONTEXT_VAR_UNSET';
  /** The variable, as `namespace:name`. */
  readonly variable: string;

  constructor(message: string, options: SkeinErrorOptions & { variable: string }) {
    super(message, options);
    this.variable = options.variable;
  }
}

/** A context variable was declared twice under the same namespace and name, with another default. */
export class ContextVarCollision extends SkeinError {
  readonly code = 'CONTEXT_VAR_COLLISION';
  /** The variable, as `namespace:name`. */
  readonly variable: string;

  constructor(message: string, options: SkeinErrorOptions & { variable: string }) {
    super(message, options);
    this.variable = options.variable;
  }
}

/**
 * The token has reset its variable already, here or in another process; or it may have: a call that had
 * it ended without a word from its worker. The message says which.
 */
export class TokenUsedError extends SkeinError {
  readonly code = 'TOKEN_USED';
}

/** The token is another variable's. */
export class TokenVariableError extends SkeinError {
  readonly code = 'TOKEN_VARIABLE';
}

/** The token was made in a chain that this one does not continue, as a fork does not continue its origin. */
export class TokenChainError extends SkeinError {
  readonly code = 'TOKEN_CHAIN';
}

/** The token is out with a call of this chain, which may reset it there: await the call first, or fork it. */
export class ChainContention extends SkeinError {
  readonly code = 'CHAIN_CONTENTION';
}

/**
 * Where context is `strict`: values of context variables could not be encoded or decoded. When the
 * routine failed as well, its own error is the `cause`.
 */
export class ChainSerializationError extends SkeinError {
  readonly code = 'CHAIN_SERIALIZATION';
  /** The variables, each as `namespace:name`. */
  readonly variables: readonly string[];
  /** What is wrong with the value of each, in the same order. */
  readonly errors: readonly SerializationError[];

  constructor(
    message: string,
    options: SkeinErrorOptions & {
      variables: readonly string[];
      errors: readonly SerializationError[];
    },
  ) {
    super(message, options);
    this.variables = options.variables;
    this.errors = options.errors;
  }
}
