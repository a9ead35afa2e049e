/** `registerClass(Class)` and `@serializable`: let the instances of a class travel. */
import { ClassRegistrationError } from '../errors.ts';
import { type AnyClass, addClass, type InstanceCodec } from '../wire/classes.ts';
import { findNamed, type Name, nameOf } from '../wire/names.ts';
import { isOfPlatform } from './built-in.ts';
import { checkState } from './class-state.ts';
import { type CallSite, callSite, decorationSite, isReplacedAt, moduleUrl } from './identity.ts';
import { registerMethods } from './methods.ts';
import { nameOfModule } from './module-name.ts';
import { checkFunction, checkNames, type OtherName } from './options.ts';

/** A class whose instances are of type `T`; it may be abstract, and its constructor private. */
// biome-ignore lint/complexity/noBannedTypes: a private constructor has no type but this
export type ClassOf<T> = Function & { readonly prototype: T };

/** Any value. Of a type parameter that extends it, arrays are inferred as tuples. */
// biome-ignore lint/complexity/noBannedTypes: `unknown` is no union, and would swallow the tuple
type Content = [] | {} | null | undefined;

// biome-ignore lint/suspicious/noExplicitAny: only `any` lets a private constructor in
type ClassContext = ClassDecoratorContext<any>;

/** How the instances of a class travel, and what it is known by. */
export interface ClassOptions<T, E = unknown> {
  /**
   * The own properties that travel, those that TypeScript calls private included; all others stay
   * behind. Default: all enumerable ones. The instance that arrives is made without running the
   * constructor.
   */
  readonly fields?: readonly ((keyof T & string) | OtherName)[];
  /**
   * Gives what travels in place of an instance: any value that travels. Needed where a class has
   * private members (`#fields`, `#methods()`), or extends a built-in class other than an error.
   */
  readonly encode?: (instance: T) => E;
  /** Makes an instance from what `encode` gave. Always together with `encode`. */
  readonly decode?: (value: E) => T;
  /** The name that receivers find it by, unique among the classes of its module. Default: the class's. */
  readonly name?: string;
  /** URL or path of the module that defines it. Default: the one that registers it. */
  readonly module?: string;
}

/** The same, whatever the class. */
interface AnyOptions extends InstanceCodec {
  readonly name?: string;
  readonly module?: string;
}

/**
 * Lets instances of a class travel as arguments, results and parts of other values, and arrive as
 * instances of the same class. So do errors of a class of yours. The class itself travels as well, by
 * its name.
 *
 * The receiver finds the class by importing its module, so it has to be registered when the module loads.
 * Instances of a class that extends it need a registration of their own; errors arrive as the nearest
 * class that is registered.
 *
 * @returns the class
 * @throws ClassRegistrationError when the class has no name, or one that is taken, has state that does not
 * travel by itself, or is built in; or when `fields` names what is no property
 * @throws TypeError when it is no class, or an option is not what it should be
 * @example
 * ```ts
 * class Money {
 *   #cents: number;
 *   constructor(cents: number) { this.#cents = cents; }
 *   get cents() { return this.#cents; }
 * }
 * registerClass(Money, { encode: (money) => money.cents, decode: (cents) => new Money(cents) });
 * ```
 */
export function registerClass<C extends ClassOf<object>, E extends Content = unknown>(
  Class: C,
  options: ClassOptions<C['prototype'], E> = {},
): C {
  register(Class, options, callSite(registerClass, options?.module));
  return Class;
}

/**
 * Decorator: lets the instances of the class travel, as `registerClass` does; with options or without.
 * A standard decorator, and not one of TypeScript's `experimentalDecorators`.
 *
 * @throws ClassRegistrationError, TypeError as `registerClass`
 * @example
 * ```ts
 * @serializable
 * export class Point {
 *   constructor(public x: number, public y: number) {}
 * }
 *
 * @serializable({ encode: (money) => money.cents, decode: (cents: number) => new Money(cents) })
 * export class Money { ... }
 * ```
 */
export function serializable<C extends ClassOf<object>>(Class: C, context: ClassContext): void;
export function serializable<T extends object, E extends Content>(
  options: ClassOptions<T, E>,
): (Class: ClassOf<T>, context: ClassContext) => void;
export function serializable(
  first: ClassOf<object> | AnyOptions,
  context?: ClassDecoratorContext,
): unknown {
  if (typeof first === 'object' && first !== null && context === undefined) {
    return function decorate(_Class: ClassOf<object>, inner: ClassDecoratorContext): void {
      later(first, inner, decorationSite(decorate, 'serializable', first.module));
    };
  }
  later({}, context, decorationSite(serializable, 'serializable'));
  return undefined;
}

/** Not at once: another decorator may put another class in its place. */
function later(
  options: AnyOptions,
  context: ClassDecoratorContext | undefined,
  site: CallSite,
): void {
  if (context?.kind !== 'class') {
    throw new TypeError(
      '@serializable decorates a class. It is a standard decorator: where TypeScript compiles it, ' +
        'leave out "experimentalDecorators"; without decorators, call registerClass(Class)',
    );
  }
  // That one has a name of its own, or none.
  const named = context.name === undefined ? options : { name: context.name, ...options };
  context.addInitializer(function (this: unknown) {
    register(this as ClassOf<object>, named, site);
  });
}

const OPTIONS = ['fields', 'encode', 'decode', 'name', 'module'];

function register(Class: ClassOf<object>, options: AnyOptions, site: CallSite): void {
  if (typeof Class !== 'function' || typeof Class.prototype !== 'object') {
    throw new TypeError(`registerClass(Class) takes a class, not ${String(Class)}`);
  }
  checkNames('registerClass(Class, options)', options, OPTIONS);
  checkCodec(options);
  if (isOfPlatform(Class)) {
    throw new ClassRegistrationError(`${Class.name} is built in: it travels, or not, as it is`);
  }
  const named = nameFor(Class, options, site);
  if (options.encode === undefined) checkState(Class, options.fields, named.name);
  const { fields, encode, decode } = options;
  addClass({ name: named, Class: Class as AnyClass, fields, encode, decode });
  sites.set(Class, site);
  registerMethods(Class);
}

/** Where each class was registered. */
const sites = new WeakMap<object, CallSite>();

function checkCodec({ fields, encode, decode }: AnyOptions): void {
  if (encode !== undefined) checkFunction('encode', encode);
  if (decode !== undefined) checkFunction('decode', decode);
  if ((encode === undefined) !== (decode === undefined)) {
    throw new TypeError('encode and decode belong together: give both, or none');
  }
  if (fields === undefined) return;
  if (encode !== undefined) {
    throw new TypeError('fields and encode exclude each other: encode says what travels');
  }
  if (!Array.isArray(fields) || fields.some((field) => typeof field !== 'string')) {
    throw new TypeError('fields must be a list of names of properties');
  }
}

function nameFor(Class: AnyClass, options: AnyOptions, site: CallSite): Name {
  const module = nameOfModule(
    options.module === undefined ? site.module : moduleUrl(options.module),
  );
  const name = options.name ?? Class.name;
  if (typeof name !== 'string' || name === '') {
    throw new ClassRegistrationError(
      `the class registered at ${site.module}:${site.line} has no name that others could find it by: ` +
        "give it one, or registerClass(Class, { name: '...' })",
    );
  }
  const known = nameOf(Class);
  if (known !== undefined && (known.module !== module || known.name !== name)) {
    throw new ClassRegistrationError(
      `the class '${name}' is registered already, as '${known.name}' of ${known.module}`,
    );
  }
  const named: Name = { kind: 'class', module, name };
  const other = findNamed(named);
  const otherSite = other && sites.get(other);
  const isReplaced = otherSite !== undefined && isReplacedAt(otherSite, site);
  if (other !== undefined && other !== Class && !isReplaced) {
    throw new ClassRegistrationError(
      `two classes of ${module} are called '${name}' (lines ${otherSite?.line} and ${site.line}); ` +
        "give one another name: registerClass(Class, { name: '...' })",
    );
  }
  return known ?? named;
}
