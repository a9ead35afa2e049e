/**
 * What becomes of values of variables that can't travel: they are left out with a warning; or, where
 * context is strict, all of one frame fail together.
 */
import { ChainSerializationError, SerializationError } from '../errors.ts';
import { warnSerialization } from '../wire/warning.ts';

/** Where a value got stuck: what can't be done with it, what follows, and what helps. */
const STUCK = {
  /** On its way to a worker. */
  out: [
    "can't be sent, and a call goes on without it",
    'Set a value that can travel, or reset the variable before the call',
  ],
  /** On its way to the caller. */
  back: [
    "can't be sent back, and the caller keeps the value that it has",
    'Set a value that can travel, or reset the variable before the routine ends',
  ],
  /** In a task. */
  inTask: [
    "can't be read here, and a task goes on without it",
    'Make sure that this process can load what the value is made of',
  ],
  /** At the caller, who has it from a worker. */
  atCaller: [
    "can't be read here, and the variable keeps the value that it has",
    'Make sure that this process can load what the value is made of',
  ],
  /** Where `get` asks for it. */
  asked: [
    "can't be read here, and counts as not set",
    'Import what the value is made of before the variable is read',
  ],
  /** As the old value of a token. */
  old: [
    "can't be sent as the old value of a token, which can't be used there then",
    'Keep such a token where it was made',
  ],
} as const;

export type Stuck = keyof typeof STUCK;

/** Warns that a value can't travel. */
export function warnStuck(variable: string, where: Stuck, error: unknown): void {
  const [what, advice] = STUCK[where];
  warnSerialization(
    `the value of the context variable ${variable} ${what} (${messageOf(error)}). ${advice}.`,
  );
}

function messageOf(error: unknown): string {
  return error instanceof SerializationError ? error.message : String(error);
}

function asSerializationError(error: unknown): SerializationError {
  if (error instanceof SerializationError) return error;
  return new SerializationError(messageOf(error), { cause: error });
}

/** Variables that the message of an error names. */
const NAMED = 10;

interface Failure {
  /** As `namespace:name`; empty for all variables. */
  readonly variable: string;
  readonly error: SerializationError;
  readonly advice: string;
}

/** Collects the failures of one frame. */
export class Failures {
  readonly #strict: boolean;
  /** Made when it is needed: nearly all frames have none. */
  #failures: Failure[] | undefined;

  constructor(strict: boolean) {
    this.#strict = strict;
  }

  /** @param variable as `namespace:name` */
  add(variable: string, where: Stuck, error: unknown): void {
    if (this.#strict) this.#note(variable, STUCK[where][1], error);
    else warnStuck(variable, where, error);
  }

  /** The whole Context of an answer can't be read. */
  addAll(error: unknown): void {
    if (this.#strict) this.#note('', '', error);
    else {
      const why = messageOf(error);
      warnSerialization(
        `what came with an answer for context variables can't be read, and they keep the values that they have (${why}). Make sure that both sides run the same version.`,
      );
    }
  }

  /** What all of them amount to; undefined where there is none, or none that counts. */
  get error(): ChainSerializationError | undefined {
    const failures = this.#failures;
    if (failures === undefined) return undefined;
    const named = failures
      .slice(0, NAMED)
      .map(({ variable, error: { message } }) =>
        message.startsWith(variable) ? message : `${variable}: ${message}`,
      );
    const texts = new Set(failures.map(({ advice }) => advice).filter(Boolean));
    const advice = Array.from(texts, (text) => `. ${text}`).join('');
    const more = failures.length > NAMED ? `; and ${failures.length - NAMED} more` : '';
    return new ChainSerializationError(
      `values of context variables can't travel, and context is strict: ${named.join('; ')}${more}${advice}`,
      {
        variables: failures.map(({ variable }) => variable).filter(Boolean),
        errors: failures.map(({ error }) => error),
      },
    );
  }

  #note(variable: string, advice: string, error: unknown): void {
    this.#failures ??= [];
    this.#failures.push({ variable, advice, error: asSerializationError(error) });
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

/**
 * What `SKEIN_CONTEXT` says: whether context is strict.
 *
 * @throws TypeError when it is neither absent, nor empty, nor `strict`
 */
export function isStrict(setting: string | undefined): boolean {
  if (setting === undefined || setting === '') return false;
  if (setting === 'strict') return true;
  throw new TypeError(
    `the environment variable SKEIN_CONTEXT is ${JSON.stringify(setting)}: it can be 'strict', or be left out`,
  );
}
