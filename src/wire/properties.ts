/** Sets properties of objects whose keys came over the wire. */

/** The largest index. */
const FARTHEST = '4294967294';

/** Sets a property without touching a prototype, or a setter of it. What is frozen stays as it is. */
export function define(target: object, key: string, value: unknown, enumerable = true): void {
  Reflect.defineProperty(target, key, { value, writable: true, enumerable, configurable: true });
}

/** Sets all properties that `source`, an object without a prototype, has. */
export function defineAll(target: object, source: Readonly<Record<string, unknown>>): void {
  const keys = Object.keys(source);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (isFar(key, i)) makeSparse(target);
    define(target, key, source[key]);
  }
}

/** Whether the engine would make room for many items that are not there, to keep one at this index. */
export function isFar(key: string, count: number): boolean {
  const index = Number(key) >>> 0;
  return index > 2 * count + 1 && String(index) === key;
}

/** Has the engine keep the items of an object in a hash table. */
export function makeSparse(target: object): void {
  if (Object.hasOwn(target, FARTHEST)) return;
  define(target, FARTHEST, undefined);
  Reflect.deleteProperty(target, FARTHEST);
}
