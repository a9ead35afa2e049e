/**
 * Classes of the program whose instances travel. An instance arrives as one of the class that its
 * receiver has under the same name.
 */
import { findNamed, type Name, registerName } from './names.ts';

/** A class of any kind, abstract ones included. */
export interface AnyClass {
  readonly name: string;
  readonly prototype: object;
}

/** How the instances of a class travel. */
export interface InstanceCodec {
  /** The own properties that travel. Default: all enumerable ones. */
  readonly fields?: readonly string[] | undefined;
  /** Gives what travels in place of an instance. */
  readonly encode?: ((instance: never) => unknown) | undefined;
  /** Makes an instance from what `encode` gave on the other side. */
  readonly decode?: ((value: never) => object) | undefined;
}

export interface RegisteredClass extends InstanceCodec {
  readonly name: Name;
  readonly Class: AnyClass;
}

// Two copies of the package in one process must see the same ones.
const key = Symbol.for('skein.classes');
const holder = globalThis as { [key]?: WeakMap<object, RegisteredClass> };
holder[key] ??= new WeakMap();
/** By the prototype of the class. */
const classes = holder[key];

/** Lets the instances of a class travel, and the class itself by its name. */
export function addClass(registered: RegisteredClass): void {
  registerName(registered.name, registered.Class);
  classes.set(registered.Class.prototype, registered);
}

/** The class whose instances have exactly this prototype. */
export function classOf(prototype: object): RegisteredClass | undefined {
  return classes.get(prototype);
}

/** The nearest class, upwards, that an object is an instance of. */
export function nearestClassOf(value: object): RegisteredClass | undefined {
  let prototype: unknown = Object.getPrototypeOf(value);
  while (typeof prototype === 'object' && prototype !== null) {
    const registered = classes.get(prototype);
    if (registered !== undefined) return registered;
    prototype = Object.getPrototypeOf(prototype);
  }
  return undefined;
}

/** The class of this name, if it is known here. */
export function classNamed(name: Name): RegisteredClass | undefined {
  const Class = findNamed(name) as AnyClass | undefined;
  return Class && classes.get(Class.prototype);
}

const warned = { encode: new WeakSet<object>(), decode: new WeakSet<object>() };

/** Warns, once per class, that errors of it lose what its `encode` or `decode` should have kept. */
export function warnAbout(Class: AnyClass, failed: 'encode' | 'decode', reason: string): void {
  if (warned[failed].has(Class)) return;
  warned[failed].add(Class);
  process.emitWarning(`errors of class ${Class.name} arrive as those of another class: ${reason}`, {
    type: 'SkeinWarning',
    code: `SKEIN_CLASS_${failed.toUpperCase()}`,
  });
}

/** Whether something is an object that a class made. */
export function isInstance(value: unknown, { prototype }: AnyClass): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.prototype.isPrototypeOf.call(prototype, value)
  );
}

/** The own properties of an instance that travel, as an object without a prototype. */
export function fieldsOf(instance: object, fields: readonly string[]): object {
  const picked = Object.create(null) as Record<string, unknown>;
  for (const field of fields) {
    if (Object.hasOwn(instance, field)) {
      picked[field] = (instance as Record<string, unknown>)[field];
    }
  }
  return picked;
}
