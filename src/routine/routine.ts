/** `routine(fn)`: makes a function callable on other processes. */
import { RoutineIdentityError } from '../errors.ts';
import { acceptInline, registerInline } from '../wire/inline-kind.ts';
import { registerName } from '../wire/names.ts';
import { encodeArgs } from '../wire/value.ts';
import { bind } from './calls.ts';
import {
  type AnyFunction,
  attemptsOf,
  type Definition,
  define,
  isGenerator,
  type RoutineOptions,
} from './definition.ts';
import type { DispatchTarget } from './dispatcher.ts';
import { type CallOptions, checkOptions, checkPool } from './gate.ts';
import { assignedName, callSite, moduleUrl, nameAt } from './identity.ts';
import { type InlineOptions, inlineDefinition, inlineFunction } from './inline.ts';
import { decorate, isContext, makeMethod } from './methods.ts';
import { nameOfModule } from './module-name.ts';
import { checkNames, type OtherName } from './options.ts';
import { register } from './registry.ts';

/**
 * What calling a routine gives: promises and async generators, also where the function is sync. (A sync
 * function with type parameters of its own loses them: declare it `async`.)
 */
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

/**
 * Decorator: makes a method a routine, static or not, sync or async, of generators too. It runs on a
 * worker, on a copy of its instance: what it changes there does not come back. A sync method keeps its
 * type and gives a promise all the same, so `await` it.
 *
 * The class of the instance has to be registered (`@serializable`, `registerClass`). A static method
 * has the class that defines it for `this` where it is called on none; another class must be registered.
 *
 * A standard decorator, and not one of TypeScript's `experimentalDecorators`; see `routine.method` for
 * programs without.
 *
 * @throws RoutineIdentityError when it is not clear what the class is called, or of which module it is
 * @throws RangeError when `attempts` is not a whole number from 1 on
 * @throws TypeError when it is not on a method, or an option is not what it should be
 * @example
 * ```ts
 * @serializable
 * export class Counter {
 *   count = 0;
 *   @routine async plus(n: number) { return this.count + n; }
 *   @routine({ idempotent: true }) static async parse(text: string) { ... }
 * }
 *
 * await counter.plus(1);                                    // on a worker of the open pool
 * await withDispatch({ timeout: 100 }, () => counter.plus(1));
 * ```
 */
export function routine<F extends AnyFunction>(method: F, context: ClassMethodDecoratorContext): F;
/** The decorator with options. */
export function routine(
  options: RoutineOptions,
): <F extends AnyFunction>(method: F, context: ClassMethodDecoratorContext) => F;
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
export function routine<F extends AnyFunction>(fn: F, options?: RoutineOptions): Routine<F>;
export function routine(
  first: AnyFunction | RoutineOptions,
  second: RoutineOptions | ClassMethodDecoratorContext = {},
): unknown {
  // Older decorators get a target, a name and a descriptor.
  // biome-ignore lint/complexity/noArguments: no parameter tells how many there are
  if (arguments.length > 2 || isContext(second)) return decorate(first, second, {}, routine);
  // biome-ignore lint/complexity/noArguments: no parameter tells how many there are
  if (arguments.length === 1 && typeof first === 'object' && first !== null) {
    checkNames('@routine(options)', first, OPTIONS);
    attemptsOf(first);
    return function decorator(method: unknown, context: unknown) {
      return decorate(method, context, first, decorator);
    };
  }
  if (typeof first !== 'function') {
    throw new TypeError(
      `routine(fn) takes a function, not ${first === null ? 'null' : typeof first}`,
    );
  }
  if (/^class\b/.test(Function.prototype.toString.call(first))) {
    throw new TypeError(`routine(fn) takes a function, not the class ${first.name}: ${METHODS}`);
  }
  checkNames('routine(fn, options)', second, OPTIONS);
  return make(first, second as RoutineOptions);
}

const METHODS = 'make its methods routines, by @routine on them';
const OPTIONS = ['name', 'module', 'idempotent', 'attempts'];

function make<F extends AnyFunction>(fn: F, options: RoutineOptions): Routine<F> {
  const attempts = attemptsOf(options);
  const site = callSite(routine, options.module);
  const module = nameOfModule(
    options.module === undefined ? site.module : moduleUrl(options.module),
  );
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
  const remote = asRoutine(fn, define({ name, id, generator, attempts, encode: encodeArgs }));
  registerName({ kind: 'routine', module, name }, remote);
  return remote;
}

/**
 * Makes a function callable on workers by its source, for where there is no module that they could
 * import: a REPL, `node --eval`, or inside a function. Their pool must be opened with `allowInline`.
 *
 * The source is compiled on the worker as strict code, in the global scope. Of the variables around it,
 * the function has those that it captures, as values that are read and sent with each call; `import()`
 * inside of it starts from the worker's current folder.
 *
 * @throws InlineFunctionError when it needs more of the code around it: names that it does not capture,
 * `this` or `super`
 * @throws RangeError when `attempts` is not a whole number from 1 on
 * @throws TypeError when `fn` is no function, or an option is not what it should be
 * @example
 * ```ts
 * const factor = 3;
 * const scale = routine.inline((x: number) => x * factor, { captures: { factor } });
 * await scale(14);
 * ```
 */
function inline<F extends AnyFunction>(fn: F, options: InlineOptions = {}): Routine<F> {
  const made = inlineFunction(fn, options, () => assignedName(inline));
  const parts = { ...made, generator: isGenerator(fn), attempts: attemptsOf(options) };
  const remote = asRoutine(fn, inlineDefinition(parts));
  registerInline(remote, parts);
  return remote;
}

acceptInline((parts) => {
  const local = () => {
    throw new TypeError(`'${parts.name}' came by its source, and runs on workers only`);
  };
  const remote = asRoutine(local, inlineDefinition(parts));
  registerInline(remote, parts);
  return remote;
});

routine.inline = inline;

function asRoutine<F extends AnyFunction>(fn: F, definition: Definition): Routine<F> {
  const remote = bind(definition, undefined);
  Object.defineProperties(remote, {
    name: { value: definition.name, configurable: true },
    length: { value: fn.length, configurable: true },
    local: { value: plain(fn, definition.name) },
    on: { value: (pool: DispatchTarget) => bind(definition, { pool: checkPool(pool) }) },
    with: { value: (own: CallOptions) => bind(definition, checkOptions(own)) },
  });
  return remote as unknown as Routine<F>;
}

/**
 * Makes a method a routine where there are no decorators. To be called when the module loads, before
 * classes are registered that extend this one.
 *
 * @param target the prototype of its class; for a static method, the class
 * @throws RoutineIdentityError when it has no name that a worker could find it by
 * @throws RangeError when `attempts` is not a whole number from 1 on
 * @throws TypeError when there is no such method, or an option is not what it should be
 * @example
 * ```js
 * export class Counter {
 *   static from(text) { ... }
 *   add(n) { ... }
 * }
 * registerClass(Counter);
 * routine.method(Counter.prototype, 'add');
 * routine.method(Counter, 'from');
 * ```
 */
function method<T extends object, N extends MethodNames<T> | OtherName>(
  target: T,
  // Types don't show private methods.
  name: N & (N extends keyof T ? MethodNames<T> : string),
  options: RoutineOptions = {},
): void {
  checkNames('routine.method(target, name, options)', options, OPTIONS);
  makeMethod(target, name, options, method);
}

type MethodNames<T> = { [K in keyof T]: T[K] extends AnyFunction ? K : never }[keyof T] & string;

routine.method = method;

/** Called as `add.local()`, the function itself would have the routine for its `this`. */
function plain(fn: AnyFunction, name: string): AnyFunction {
  const bound = fn.bind(undefined);
  Object.defineProperty(bound, 'name', { value: name, configurable: true });
  return bound;
}
