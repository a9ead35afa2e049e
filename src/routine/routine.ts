/** `routine(fn)`: makes a function callable on other processes. */
import { RoutineIdentityError } from '../errors.ts';
import { registerName } from '../wire/names.ts';
import { encodeArgs } from '../wire/value.ts';
import type { CallRequest, DispatchTarget, Received, RoutineId } from './dispatcher.ts';
import {
  type CallOptions,
  checkOptions,
  checkPool,
  findDispatcher,
  NO_TERMS,
  type Terms,
  termsOf,
} from './gate.ts';
import { callSite, moduleUrl, nameAt } from './identity.ts';
import { checkNames } from './options.ts';
import { decode, Unread, withCallerStack } from './outcome.ts';
import { register } from './registry.ts';
import { RemoteIterator } from './remote-iterator.ts';
import { currentScope } from './task.ts';

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
type AnyFunction = (...args: any[]) => any;

/** What calling a routine gives: promises and async generators, also where the function is sync. */
export type Remote<F extends AnyFunction> =
  ReturnType<F> extends Promise<unknown> | AsyncGenerator<unknown, unknown, never>
    ? F
    : ReturnType<F> extends Generator<infer Y, infer R, infer N>
      ? (...args: Parameters<F>) => AsyncGenerator<Awaited<Y>, Awaited<R>, N>
      : (...args: Parameters<F>) => Promise<Awaited<ReturnType<F>>>;

/** A function that runs on the workers of a pool when it is called. */
export type Routine<F extends AnyFunction> = Remote<F> & {
  /** The plain function, bound to no `this`, as on a worker: runs here. */
  readonly local: F;
  /** The same routine on this pool. */
  on(pool: DispatchTarget): Remote<F>;
  /** The same routine with options for its calls. */
  with(options: CallOptions): Remote<F>;
};

interface Definition {
  readonly id: RoutineId;
  readonly generator: boolean;
  readonly attempts: number;
  /** The request of a call without options, outside of any task. */
  readonly plain: CallRequest;
}

/**
 * Makes a function callable on the workers of a pool. The types are kept; sync functions give
 * promises and sync generators give async generators.
 *
 * A worker finds the routine by importing its module, so it has to be made when the module loads, and
 * needs a name there: the function's, or that of the variable it is assigned to.
 *
 * @throws RoutineIdentityError when it has no name, or one that another routine of the module has
 * @throws RangeError when `attempts` is not a whole number from 1 on
 * @throws TypeError when `fn` is no function, or an option is not what it should be
 * @example
 * ```ts
 * export const add = routine(async (x: number, y: number) => x + y);
 * export const squares = routine(async function* (n: number) {
 *   for (let i = 0; i < n; i++) yield i * i;
 * });
 *
 * await add(1, 2);                       // on a worker of the open pool
 * await add.with({ timeout: 100 })(1, 2);
 * add.local(1, 2);                       // here
 * ```
 */
export function routine<F extends AnyFunction>(fn: F, options: RoutineOptions = {}): Routine<F> {
  if (typeof fn !== 'function') {
    throw new TypeError(`routine(fn) takes a function, not ${fn === null ? 'null' : typeof fn}`);
  }
  checkNames('routine(fn, options)', options, ['name', 'module', 'idempotent', 'attempts']);
  const attempts = attemptsOf(options);
  const site = callSite(routine, options.module);
  const module = options.module === undefined ? site.module : moduleUrl(options.module);
  const name = options.name ?? (fn.name || nameAt(site));
  if (!name) {
    throw new RoutineIdentityError(
      `the routine made at ${site.module}:${site.line} has no name that a worker could find it by: ` +
        'write `const add = routine(async (x) => ...)`, name the function, or give routine(fn, { name })',
    );
  }
  const generator = isGenerator(fn);
  register({ module, name, generator, fn, site });
  const id = { module, name, key: `${module}#${name}` };
  const plainRequest = { routine: id, generator, attempts, ...NO_TERMS };
  const definition: Definition = { id, generator, attempts, plain: plainRequest };
  const remote = bind(definition, undefined);
  registerName({ kind: 'routine', module, name }, remote);
  Object.defineProperties(remote, {
    name: { value: name, configurable: true },
    length: { value: fn.length, configurable: true },
    local: { value: plain(fn, name) },
    on: { value: (pool: DispatchTarget) => bind(definition, { pool: checkPool(pool) }) },
    with: { value: (own: CallOptions) => bind(definition, checkOptions(own)) },
  });
  return remote as unknown as Routine<F>;
}

/** Called as `add.local()`, the function itself would have the routine for its `this`. */
function plain(fn: AnyFunction, name: string): AnyFunction {
  const bound = fn.bind(undefined);
  Object.defineProperty(bound, 'name', { value: name, configurable: true });
  return bound;
}

function attemptsOf({ idempotent = false, attempts }: RoutineOptions): number {
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

function isGenerator(fn: AnyFunction): boolean {
  const kind = Object.prototype.toString.call(fn);
  return kind === '[object GeneratorFunction]' || kind === '[object AsyncGeneratorFunction]';
}

function bind(definition: Definition, options: CallOptions | undefined) {
  return definition.generator
    ? (...args: unknown[]) =>
        new RemoteIterator(() => {
          const { dispatcher, request } = prepare(definition, options);
          const remote = dispatcher.generate(request, encodeArgs(args));
          return { remote, signal: request.signal };
        })
    : (...args: unknown[]) => call(definition, args, options);
}

function prepare(definition: Definition, options: CallOptions | undefined) {
  const scope = currentScope();
  const dispatcher = findDispatcher(definition.id.name, options, scope);
  const terms = termsOf(options, scope);
  const request = terms === NO_TERMS ? definition.plain : requestOf(definition, terms);
  return { dispatcher, request };
}

// Field by field: a spread that adds keys takes Node 20 two microseconds.
function requestOf({ id, generator, attempts }: Definition, terms: Terms): CallRequest {
  const { timeoutMs, tag, caller, signal } = terms;
  return { routine: id, generator, attempts, timeoutMs, tag, caller, signal };
}

async function call(definition: Definition, args: unknown[], options: CallOptions | undefined) {
  const { dispatcher, request } = prepare(definition, options);
  const encoded = encodeArgs(args);
  let received: Received;
  try {
    received = await dispatcher.call(request, encoded);
  } catch (error) {
    const thrown = error instanceof Unread ? await error.thrown : error;
    throw withCallerStack(thrown, request.signal);
  }
  return decode(received);
}
