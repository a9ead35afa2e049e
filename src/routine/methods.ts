/** Methods as routines. The instance travels in front of the arguments, as a value. */
import { RoutineIdentityError } from '../errors.ts';
import { nameOf, registerName } from '../wire/names.ts';
import { type Encoded, encodeArgs } from '../wire/value.ts';
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
import { type CallSite, callSite, decorationSite, moduleUrl } from './identity.ts';
import { addMetadata, ensureMetadata, listMetadata } from './metadata.ts';
import { nameOfModule } from './module-name.ts';
import { register } from './registry.ts';

const METHODS = Symbol.for('skein.methods');
const LEADING = ['this'];

interface About {
  readonly method: AnyFunction;
  /** Its name in the class, `#name` for a private one. */
  readonly member: string;
  readonly options: RoutineOptions;
  readonly site: CallSite;
}

/** A method that is a routine. Workers can find it once its class is known. */
class MethodRoutine {
  /** Stands in the method's place, and calls it elsewhere. */
  readonly remote: AnyFunction;
  readonly #about: About;
  readonly #generator: boolean;
  readonly #attempts: number;
  #definition: Definition;
  #plain: AnyFunction;
  /** What a static method has for `this` where nothing is said: the class that defines it. */
  #home: object | undefined;

  constructor(about: About) {
    this.#about = about;
    this.#generator = isGenerator(about.method);
    this.#attempts = attemptsOf(about.options);
    this.#definition = this.#define({ module: '', name: about.member, key: '' });
    this.#plain = bind(this.#definition, undefined);
    this.remote = this.#wrap();
  }

  get member(): string {
    return this.#about.member;
  }

  /** @param name what it is called where options do not say */
  register(module: string, name: string): void {
    const { options, method, site } = this.#about;
    const id = {
      module: options.module === undefined ? module : nameOfModule(moduleUrl(options.module)),
      name: options.name ?? name,
    };
    register({
      ...id,
      generator: this.#generator,
      fn: (self: unknown, ...args: unknown[]) => method.apply(this.#receiver(self), args),
      site,
      method: true,
    });
    this.#definition = this.#define({ ...id, key: `${id.module}#${id.name}` });
    this.#plain = bind(this.#definition, undefined);
    registerName({ kind: 'routine', ...id }, this.remote);
  }

  /** A static method can be called on its class without that being registered. */
  registerStatic(Class: AnyFunction): void {
    this.#home = Class;
    const { site, options, member } = this.#about;
    // Another decorator may have put a class in its place that extends it.
    const own = [...withBases(Class)].find((one) => Object.hasOwn(one, member)) as AnyFunction;
    const given: unknown = (own ?? Class).name;
    // While a class is made, esbuild calls it `_Counter` if it refers to itself.
    const name = typeof given === 'string' ? given.replace(/^_(?=\p{Lu})/u, '') : '';
    if (options.name === undefined && name === '') {
      throw new RoutineIdentityError(
        `the class with the static method '${member}' at ${site.module}:${site.line} has no name that a ` +
          "worker could find the method by: name the class, or write @routine({ name: '...' })",
      );
    }
    this.register(nameOfModule(site.module), `${name}.${member}`);
  }

  #define(id: Definition['id']): Definition {
    const encode = (args: readonly unknown[]) => this.#encode(args);
    const { name } = id;
    return define({ name, id, generator: this.#generator, attempts: this.#attempts, encode });
  }

  /** @param args the instance, and the arguments */
  #encode(args: readonly unknown[]): Encoded {
    const self = this.#receiver(args[0]);
    const home = self === this.#home;
    const encoded = encodeArgs(home ? args.with(0, undefined) : args, LEADING);
    if (this.#definition.id.key !== '') return encoded;
    throw new RoutineIdentityError(
      `the method '${this.#about.member}' belongs to a class that is not registered, so that no worker ` +
        'can find it: put @serializable on the class, or call registerClass(Class)',
    );
  }

  #receiver(self: unknown): unknown {
    // As `counter.add.local()`, this would be the function in the place of the method.
    const given = self === this.remote ? undefined : self;
    if (given !== undefined && given !== null) return given;
    if (this.#home !== undefined) return this.#home;
    const { member } = this.#about;
    throw new TypeError(
      `the method '${member}' was called without an instance: write instance.${member}(...), ` +
        `instance.${member}.with(options).call(instance, ...) or instance.${member}.local.call(instance, ...)`,
    );
  }

  #wrap(): AnyFunction {
    const invoke = (self: unknown, args: unknown[]) => this.#plain(self, ...args);
    const bound = (options: CallOptions) => (self: unknown, args: unknown[]) =>
      bind(this.#definition, options)(self, ...args);
    const { method, member } = this.#about;
    const remote = asMethod(invoke);
    const local = asMethod((self, args) => method.apply(this.#receiver(self), args));
    Object.defineProperty(local, 'name', { value: member, configurable: true });
    return Object.defineProperties(remote, {
      name: { value: member, configurable: true },
      length: { value: method.length, configurable: true },
      local: { value: local },
      on: { value: (pool: DispatchTarget) => asMethod(bound({ pool: checkPool(pool) })) },
      with: { value: (own: CallOptions) => asMethod(bound(checkOptions(own))) },
    });
  }
}

function asMethod(invoke: (self: unknown, args: unknown[]) => unknown): AnyFunction {
  return {
    method(this: unknown, ...args: unknown[]) {
      return invoke(this, args);
    },
  }.method;
}

/** Whether it is what a standard decorator gets as its second argument. */
export function isContext(value: unknown): value is ClassMemberDecoratorContext {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { addInitializer?: unknown }).addInitializer === 'function'
  );
}

/**
 * What a decorator puts in the place of a method.
 *
 * @param callee the function that the compiler calls
 * @throws RoutineIdentityError when it is not clear which module the class belongs to
 * @throws RangeError, TypeError when it is no method with a name, or an option is wrong
 */
export function decorate(
  method: unknown,
  context: unknown,
  options: RoutineOptions,
  callee: AnyFunction,
): AnyFunction {
  if (!isContext(context)) throw new TypeError(LEGACY);
  const { kind, name } = context;
  if (kind !== 'method') {
    const instead = (kind as string) === 'class' ? 'put it on its methods' : 'make it a method';
    throw new TypeError(`@routine can't be on ${AS_NOUN[kind]} ('${String(name)}'): ${instead}`);
  }
  if (typeof name === 'symbol') {
    throw new TypeError(
      `@routine can't be on a method with a symbol for its name (${String(name)}): workers find it by text`,
    );
  }
  const { metadata } = context;
  const site = decorationSite(callee, 'routine', options.module);
  const one = new MethodRoutine({ method: method as AnyFunction, member: name, options, site });
  if (context.static) {
    context.addInitializer(function (this: unknown) {
      one.registerStatic(this as AnyFunction);
    });
  } else if (metadata) addMetadata(metadata, METHODS, one);
  else throw new TypeError(NO_METADATA);
  return one.remote;
}

const LEGACY =
  '@routine is a standard decorator, and was called as one of an older kind: leave "experimentalDecorators" ' +
  "out of tsconfig.json; or where it must stay, write routine.method(Class.prototype, 'name') behind the class";
const NO_METADATA =
  '@routine on a method of instances needs decorators with metadata: TypeScript 5.2 or later, ' +
  'or another version of the decorators in Babel, 2023-05 or later';
const AS_NOUN: Record<string, string> = {
  class: 'a class',
  getter: 'a getter',
  setter: 'a setter',
  field: 'a field',
  accessor: 'an accessor',
};

/**
 * Makes a method a routine where there are no decorators.
 *
 * @param target the prototype of its class; for a static method, the class
 * @throws RoutineIdentityError when it has no name that a worker could find it by
 * @throws RangeError, TypeError when there is no such method, or an option is wrong
 */
export function makeMethod(
  target: object,
  member: string,
  options: RoutineOptions,
  callee: AnyFunction,
): void {
  const descriptor = Object.getOwnPropertyDescriptor(target, member);
  const isStatic = typeof target === 'function';
  const Class = (isStatic ? target : target.constructor) as AnyFunction;
  if (typeof descriptor?.value !== 'function' || (!isStatic && Class.prototype !== target)) {
    throw new TypeError(
      `routine.method(target, name): there is no method '${member}'; target is the prototype of its class, ` +
        'or for a static method the class, and not one that inherits it',
    );
  }
  const site = callSite(callee, options.module);
  const one = new MethodRoutine({ method: descriptor.value, member, options, site });
  Object.defineProperty(target, member, { ...descriptor, value: one.remote });
  if (isStatic) one.registerStatic(Class);
  else {
    addMetadata(ensureMetadata(Class), METHODS, one);
    registerMethods(Class);
  }
}

/**
 * Makes the routines among the methods of a registered class findable. To be called when the class has
 * got its name (`registerName`), and its decorators have run. Nothing happens where it has no name yet.
 */
export function registerMethods(Class: object): void {
  const own = nameOf(Class);
  if (own?.kind !== 'class') return;
  let path = `${own.name}.prototype`;
  for (const current of withBases(Class)) {
    // A base class that is not registered has no name of its own to be found by.
    if (current === Class || nameOf(current) === undefined) {
      for (const one of listMetadata(current, METHODS) as MethodRoutine[]) {
        one.register(own.module, `${path}.${one.member}`);
      }
    }
    path += '.super';
  }
}

/** The names of the private methods that are routines, of a class and those that it extends. */
export function privateMethods(Class: object): string[] {
  return [...withBases(Class)].flatMap((one) =>
    (listMetadata(one, METHODS) as MethodRoutine[])
      .map(({ member }) => member)
      .filter((member) => member.startsWith('#')),
  );
}

/** A class and those that it extends. */
export function* withBases(Class: object): Generator<object> {
  let current: unknown = Class;
  while (typeof current === 'function' && current !== Function.prototype) {
    yield current;
    current = Object.getPrototypeOf(current);
  }
}
