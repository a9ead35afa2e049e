/**
 * What becomes of values of variables that can't travel: they are left out with a warning; or, where
 * context is strict, all of one frame fail together.
 */
import { ChainSerializationError, SerializationError } from '../errors.ts';
import { warnSerialization } from '../wire/warning.ts';

/** Collects the failures of one frame. */
export class Failures {
  readonly #strict: boolean;
  readonly #errors = new Map<string, SerializationError>();

  constructor(strict: boolean) {
    this.#strict = strict;
  }

  /**
   * @param variable as `namespace:name`
   * @param what is wrong, e.g. `can't be sent`
   */
  add(variable: string, what: string, error: unknown): void {
    const failure =
      error instanceof SerializationError
        ? error
        : new SerializationError(String(error), { cause: error });
    if (this.#strict) this.#errors.set(variable, failure);
    else {
      warnSerialization(
        `the value of the context variable ${variable} ${what}: ${failure.message}. The call goes on without it`,
      );
    }
  }

  /** What all of them amount to; undefined where there is none, or none that counts. */
  get error(): ChainSerializationError | undefined {
    if (this.#errors.size === 0) return undefined;
    const variables = [...this.#errors.keys()];
    const errors = [...this.#errors.values()];
    return new ChainSerializationError(
      `values of context variables can't travel (context is strict): ${errors.map((error) => error.message).join('; ')}`,
      { variables, errors },
    );
  }
}

/** The same failure of a frame whose routine failed as well, with an error of its own. */
export function causedBy(
  failure: ChainSerializationError,
  cause: unknown,
): ChainSerializationError {
  const { message, variables, errors } = failure;
  return new ChainSerializationError(message, { variables, errors, cause });
}
