/**
 * Objects of another realm, such as a context of `node:vm`: its Map is not this realm's Map. They
 * travel as what they are, and arrive as this realm's.
 */
import { types } from 'node:util';

const { getPrototypeOf, hasOwn, getOwnPropertyDescriptor } = Object;

const brands: readonly (readonly [name: string, is: (value: object) => boolean])[] = [
  ['Map', types.isMap],
  ['Set', types.isSet],
  ['Date', types.isDate],
  ['RegExp', types.isRegExp],
  ['ArrayBuffer', types.isArrayBuffer],
  ['DataView', types.isDataView],
  ['Number', types.isNumberObject],
  ['String', types.isStringObject],
  ['Boolean', types.isBooleanObject],
  ['BigInt', types.isBigIntObject],
];

const typedArrayPrototype = getPrototypeOf(Uint8Array.prototype) as object;
const typedArrayName = getOwnPropertyDescriptor(typedArrayPrototype, Symbol.toStringTag)!.get!;

/** Whether a prototype is the `Object.prototype` of some realm. */
export function isObjectPrototype(prototype: object | null): boolean {
  if (prototype === null || getPrototypeOf(prototype) !== null) return false;
  return hasOwn(prototype, 'hasOwnProperty') && belongsTo(prototype, 'Object');
}

/** Whether a prototype is the `Array.prototype` of some realm, which is an array itself. */
export function isArrayPrototype(prototype: object | null): boolean {
  return Array.isArray(prototype) && isObjectPrototype(getPrototypeOf(prototype) as object | null);
}

/**
 * This realm's prototype for an instance of another realm's built-in class, and undefined for all else:
 * for one of a subclass, too.
 */
export function prototypeHere(value: object, prototype: object): object | undefined {
  const typedArray = typedArrayName.call(value) as string | undefined;
  const name = typedArray ?? brands.find(([, is]) => is(value))?.[0];
  if (name === undefined || !belongsTo(prototype, name)) return undefined;
  const parent = getPrototypeOf(prototype) as object | null;
  const root = typedArray === undefined || parent === null ? parent : getPrototypeOf(parent);
  if (!isObjectPrototype(root as object | null)) return undefined;
  return (globalThis as unknown as Record<string, { prototype: object }>)[name]?.prototype;
}

function belongsTo(prototype: object, name: string): boolean {
  const maker: unknown = getOwnPropertyDescriptor(prototype, 'constructor')?.value;
  return typeof maker === 'function' && maker.name === name && maker.prototype === prototype;
}
