/** Why a value cannot travel, and where in it: collected on the way out of the encoder. */
import { SerializationError } from '../errors.ts';

/** Thrown inside the encoder only; callers get a `SerializationError`. */
export class Refusal extends Error {
  /** What cannot travel, e.g. `a function`; empty when `hint` says it all. */
  readonly what: string;
  readonly hint: string;
  /** From the inside out, so that steps are pushed while the error passes. */
  readonly steps: string[] = [];

  constructor(what: string, hint: string, cause?: unknown) {
    super(hint, cause === undefined ? undefined : { cause });
    this.what = what;
    this.hint = hint;
  }

  /** `a function cannot travel to a worker; pass plain data`. */
  reason(root: string): string {
    return this.what === ''
      ? this.hint
      : `${this.what} cannot travel ${target(root)}; ${this.hint}`;
  }

  path(root: string): string {
    const path = root + this.steps.toReversed().join('');
    return shorten(path.startsWith('.') ? path.slice(1) : path);
  }
}

/** Characters that are kept of a long path at either end. */
const KEPT = 120;

/** Leaves out the middle of a text that nobody would read to its end. */
export function shorten(text: string, kept = KEPT): string {
  if (text.length <= 2 * kept) return text;
  return `${text.slice(0, kept)}…${text.slice(-kept)}`;
}

/** The error to throw on, after it passed one more step of the path. */
export function within(error: unknown, step: string): Refusal {
  const refusal = asRefusal(error);
  refusal.steps.push(step);
  return refusal;
}

/**
 * What callers see of whatever the encoder threw.
 *
 * @param leading names of the first items of a list, which its other items are not counted with
 */
export function asSerializationError(
  error: unknown,
  root: string,
  leading: readonly string[] = [],
): SerializationError {
  const refusal = asRefusal(error);
  const path = leading.length === 0 ? refusal.path(root) : pathInList(refusal, root, leading);
  const reason = refusal.reason(root);
  return new SerializationError(path === '' ? reason : `${path}: ${reason}`, {
    path,
    cause: refusal.cause,
  });
}

/** The path in a list whose first items have names. */
function pathInList(refusal: Refusal, root: string, leading: readonly string[]): string {
  const [, digits] = /^\[(\d+)\]$/.exec(refusal.steps.at(-1) ?? '') ?? [];
  if (digits === undefined) return refusal.path(root);
  refusal.steps.pop();
  const index = Number(digits);
  return refusal.path(leading[index] ?? `${root}[${index - leading.length}]`);
}

const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/** The step to a property. */
export function property(key: string): string {
  return identifier.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

/** The step to the value of a Map's entry. */
export function entry(key: unknown, index: number): string {
  if (typeof key === 'string') return `.get(${JSON.stringify(key)})`;
  if (typeof key === 'number' || typeof key === 'boolean') return `.get(${String(key)})`;
  return `.values()[${index}]`;
}

/** Where and why, in words, for a note. */
export function describe(error: unknown): string {
  const refusal = asRefusal(error);
  const path = refusal.path('');
  return `${path === '' ? '' : `${path}: `}${refusal.reason('')}`;
}

/** Anything but a refusal came from the value itself: a getter, a Proxy, a method of a false kind. */
export function asRefusal(error: unknown): Refusal {
  if (isRefusal(error)) return error;
  return new Refusal('', `reading it failed (${messageOf(error)})`, error);
}

function isRefusal(error: unknown): error is Refusal {
  try {
    return error instanceof Refusal;
  } catch {
    // A Proxy was thrown whose traps throw.
    return false;
  }
}

/** What went wrong, whatever was thrown. */
export function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return 'no message';
  }
}

/** Where values with this root go. */
function target(root: string): string {
  if (root.startsWith('args')) return 'to a worker';
  if (root.startsWith('result')) return 'to the caller';
  return 'to another process';
}
