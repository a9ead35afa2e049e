/** How the command fails: with a message for people, and an exit code for scripts. */
import {
  AuthenticationError,
  CredentialsError,
  NoWorkersAvailable,
  SkeinError,
} from '../errors.ts';

export const EXIT = {
  /** The routine threw, nobody answers, a port is taken. */
  failed: 1,
  /** An option, an argument or a file that makes no sense. */
  usage: 2,
  /** The authkey or the certificate is wrong, or missing. */
  untrusted: 3,
  SIGHUP: 129,
  SIGINT: 130,
  SIGTERM: 143,
} as const;

export class Failure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** For what the user gave wrongly. */
export function usage(message: string): Failure {
  return new Failure(message, EXIT.usage);
}

/** What `fn` gives; what it says of wrong options, is said to the user. */
export function checked<T>(option: string, fn: () => T): T {
  try {
    const result = fn();
    if (!(result instanceof Promise)) return result;
    return result.catch((error: unknown) => refuse(option, error)) as T;
  } catch (error) {
    return refuse(option, error);
  }
}

function refuse(option: string, error: unknown): never {
  const isOption = error instanceof TypeError || error instanceof RangeError;
  throw isOption ? usage(`${option}: ${error.message}`) : error;
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof Failure) return error.exitCode;
  const reason = error instanceof NoWorkersAvailable ? error.cause : error;
  if (reason instanceof AuthenticationError || reason instanceof CredentialsError) {
    return EXIT.untrusted;
  }
  return EXIT.failed;
}

/** Whether its message says all that there is to say: the stack is for faults of programs. */
export function isExpected(error: unknown): error is Error {
  return error instanceof Failure || error instanceof SkeinError;
}
