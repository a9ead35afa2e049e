/** What a routine is, for those that call it. */
import type { Encoded } from '../wire/value.ts';
import type { CallRequest, RoutineId } from './dispatcher.ts';
import { isCompiledGenerator } from './function-source.ts';
import { NO_TERMS } from './gate.ts';

export interface RoutineOptions {
  /**
   * The name that workers find it by, unique in its module.
   * Default: the function's name, or that of the variable that the routine is assigned to.
   */
  readonly name?: string;
  /** URL or path of the module that defines it. Default: the one that calls `routine`. */
  readonly module?: string;
  /**
   * Whether the body may run more than once for one call. When true, a call whose worker was lost is
   * sent to another one, though it may have begun: at least once in place of at most once. The
   * attempts may overlap, since a worker that was lost may go on for a while. A generator is sent
   * again only until its consumer has got a first value. Default: false.
   */
  readonly idempotent?: boolean;
  /**
   * With `idempotent: true`: how many times a call is sent to a worker that is then lost, before it
   * fails with `WorkerLost`. A whole number from 1 on. Default: 5.
   */
  readonly attempts?: number;
}

const DEFAULT_ATTEMPTS = 5;

// biome-ignore lint/suspicious/noExplicitAny: only `any` lets every function in
export type AnyFunction = (...args: any[]) => any;

export interface Definition {
  /** What it is called in stacks and messages. */
  readonly name: string;
  readonly id: RoutineId;
  readonly generator: boolean;
  readonly attempts: number;
  /** The request of a call without options, outside of any task. */
  readonly plain: CallRequest;
  readonly encode: (args: readonly unknown[]) => Encoded;
}

export function define(about: Omit<Definition, 'plain'>): Definition {
  const { id, name, generator, attempts } = about;
  const label = name === id.name ? undefined : name;
  return { ...about, plain: { routine: id, label, generator, attempts, ...NO_TERMS } };
}

/**
 * @throws RangeError when `attempts` is not a whole number from 1 on
 * @throws TypeError when an option is not what it should be
 */
export function attemptsOf({ idempotent = false, attempts }: RoutineOptions): number {
  if (typeof idempotent !== 'boolean') {
    throw new TypeError(`idempotent must be true or false, not ${String(idempotent)}`);
  }
  if (attempts === undefined) return idempotent ? DEFAULT_ATTEMPTS : 1;
  if (!idempotent) {
    throw new TypeError(
      'attempts is only for routines with idempotent: true; the body of another one never runs again',
    );
  }
  if (!Number.isSafeInteger(attempts) || attempts < 1) {
    throw new RangeError(`attempts must be a whole number from 1 on, not ${String(attempts)}`);
  }
  return attempts;
}

export function isGenerator(fn: AnyFunction): boolean {
  const kind = Object.prototype.toString.call(fn);
  if (kind === '[object GeneratorFunction]' || kind === '[object AsyncGeneratorFunction]')
    return true;
  return isCompiledGenerator(Function.prototype.toString.call(fn));
}
