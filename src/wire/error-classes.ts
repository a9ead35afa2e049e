/** The classes of errors that arrive as themselves, and the names they travel under. */
import * as skein from '../errors.ts';

/** Makes an error of one class. Stack, cause and all other properties are set on it afterwards. */
export type ReviveError = (message: string, name: string) => Error;

interface ErrorClass {
  readonly prototype: Error;
}

// Maps, not objects: the names come over the wire, and `constructor` must not find anything.
const revivers = new Map<string, ReviveError>();
const wireNames = new Map<object, string>();

/**
 * Lets a class of errors arrive as itself.
 *
 * @param name what it travels under; the same on both sides
 * @param revive makes an error of the class. It must return a new one each time.
 * @param errorClass its instances are sent under `name`; without it, they are only received
 */
export function registerErrorClass(
  name: string,
  revive: ReviveError,
  errorClass?: ErrorClass,
): void {
  revivers.set(name, revive);
  if (errorClass) wireNames.set(errorClass.prototype, name);
}

/** What an error travels under: the name of the nearest class, upwards, that is registered. */
export function wireNameOf(error: object): string {
  let prototype: unknown = Object.getPrototypeOf(error);
  while (typeof prototype === 'object' && prototype !== null) {
    const name = wireNames.get(prototype);
    if (name !== undefined && name !== 'Error') return name;
    prototype = Object.getPrototypeOf(prototype);
  }
  return foreignName(error);
}

/** Makes an error of a class, or an `Error` if the class is not known here. */
export function reviveError(wireName: string, message: string, name: string): Error {
  const revive = revivers.get(wireName);
  try {
    if (revive) return revive(message, name);
  } catch {
    // A class that can't be made from this is like one that isn't known.
  }
  return new Error(message);
}

/** The `name` that errors of this class have by inheritance, where the receiver knows the class. */
export function inheritedName(wireName: string): string | undefined {
  return inheritedNames.get(wireName);
}

/** The class has no relative here, or it comes from another realm or another copy of this package. */
function foreignName(error: object): string {
  const { name } = error as { name?: unknown };
  if (typeof name !== 'string') return 'Error';
  if (error instanceof skein.SkeinError && revivers.has(`skein.${name}`)) return `skein.${name}`;
  const foreign = !(error instanceof Error) && inheritedNames.has(name);
  return foreign ? name : 'Error';
}

const inheritedNames = new Map<string, string>();

function registerBuiltIns(): void {
  // Since Node 24.
  const { SuppressedError } = globalThis as unknown as { SuppressedError?: ErrorConstructor };
  const classes: (new (message?: string) => Error)[] = [
    Error,
    EvalError,
    RangeError,
    ReferenceError,
    SyntaxError,
    TypeError,
    URIError,
  ];
  for (const Class of classes) builtIn(Class, (message) => new Class(message));
  builtIn(AggregateError, (message) => new AggregateError([], message));
  if (SuppressedError) builtIn(SuppressedError, (message) => shaped(SuppressedError, message));
  registerErrorClass(
    'DOMException',
    (message, name) => new DOMException(message, name),
    DOMException,
  );
}

function builtIn(Class: ErrorClass & { readonly name: string }, revive: ReviveError): void {
  registerErrorClass(Class.name, revive, Class);
  inheritedNames.set(Class.name, Class.prototype.name);
}

/** The prefix keeps them apart from classes of the same name that a program has. */
function registerSkein(): void {
  for (const [name, Class] of Object.entries(skein)) {
    registerErrorClass(`skein.${name}`, (message) => shaped(Class, message), Class);
  }
}

/**
 * An error of a class without running its constructor, whose parameters nobody knows here: what it
 * would set arrives as properties.
 */
function shaped(Class: ErrorClass, message: string): Error {
  return Object.setPrototypeOf(new Error(message), Class.prototype) as Error;
}

registerBuiltIns();
registerSkein();
