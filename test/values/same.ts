/** Whether two values are equal in everything that a program can see of them. */
import { deepStrictEqual } from 'node:assert/strict';
import { types } from 'node:util';

/**
 * @throws when `arrived` is not equal to `sent`: by `deepStrictEqual` both ways, and by `alike`
 */
export function same(arrived: unknown, sent: unknown): void {
  alike(arrived, sent);
  deepStrictEqual(arrived, sent);
  deepStrictEqual(sent, arrived);
}

/**
 * As `deepStrictEqual`, and more: the order of properties and entries, which objects are one, `cause`
 * and `lastIndex`, and nothing of the inside of a class that it does not know passes for equal.
 *
 * @throws when `arrived` is not equal to `sent`
 */
export function alike(arrived: unknown, sent: unknown): void {
  new Comparison().compare(arrived, sent, 'value');
}

/** What there is to compare of an object beside its properties. */
type Inside = (value: never) => readonly unknown[];

const insides = new Map<object | null, Inside>();

/**
 * Says how instances of a class are compared: by what `inside` gives, in order, and their own
 * properties.
 */
export function compareBy<T extends object>(
  Class: { readonly prototype: T } | undefined,
  inside: (value: T) => readonly unknown[],
): void {
  if (Class !== undefined) insides.set(Class.prototype, inside as Inside);
}

const none = () => [];
insides.set(null, none);
compareBy(Object, none);
compareBy(Array, (value) => [value.length]);
compareBy(Map<unknown, unknown>, (value) => [...value].flat());
compareBy(Set<unknown>, (value) => [...value]);
compareBy(Date, (value) => [value.getTime()]);
compareBy(RegExp, (value) => [value.source, value.flags, value.lastIndex]);
compareBy(Number, (value) => [value.valueOf()]);
compareBy(String, (value) => [value.valueOf()]);
compareBy(Boolean, (value) => [value.valueOf()]);
compareBy(BigInt as never, (value: object) => [value.valueOf()]);
compareBy(URL, (value) => [value.href, [...value.searchParams]]);
compareBy(URLSearchParams, (value) => [[...value]]);
compareBy(Headers, (value) => [[...value]]);
compareBy(ArrayBuffer, (value) => [hex(new Uint8Array(value))]);

class Comparison {
  readonly #arrivedOf = new Map<object, object>();
  readonly #sentOf = new Map<object, object>();

  compare(arrived: unknown, sent: unknown, path: string): void {
    if (!isObject(arrived) || !isObject(sent)) {
      if (!Object.is(arrived, sent)) throw differ(path, arrived, sent);
      return;
    }
    const known = this.#arrivedOf.get(sent);
    if (known !== undefined || this.#sentOf.has(arrived)) {
      if (known !== arrived) throw new Error(`${path}: not the objects that were one before`);
      return;
    }
    this.#arrivedOf.set(sent, arrived);
    this.#sentOf.set(arrived, sent);
    const prototype = Object.getPrototypeOf(sent) as object | null;
    if (Object.getPrototypeOf(arrived) !== prototype) {
      throw new Error(`${path}: another prototype (${nameOf(arrived)}, not ${nameOf(sent)})`);
    }
    const inside = insideOf(sent, prototype);
    if (inside === undefined) {
      throw new Error(`${path}: no way to compare two of ${nameOf(sent)}; see compareBy`);
    }
    this.#list(inside(arrived as never), inside(sent as never), `${path}<inside>`);
    if (!ArrayBuffer.isView(sent)) this.#properties(arrived, sent, path);
  }

  #list(arrived: readonly unknown[], sent: readonly unknown[], path: string): void {
    if (arrived.length !== sent.length) throw differ(`${path}.length`, arrived.length, sent.length);
    for (const [i, value] of sent.entries()) this.compare(arrived[i], value, `${path}[${i}]`);
  }

  #properties(arrived: object, sent: object, path: string): void {
    const keys = Object.keys(sent);
    const other = Object.keys(arrived);
    if (other.length !== keys.length || keys.some((key, i) => key !== other[i])) {
      throw differ(`the keys of ${path}`, other, keys);
    }
    for (const key of keys) {
      this.compare(Reflect.get(arrived, key), Reflect.get(sent, key), `${path}.${key}`);
    }
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function insideOf(value: object, prototype: object | null): Inside | undefined {
  const known = insides.get(prototype);
  if (known !== undefined) return known;
  if (ArrayBuffer.isView(value)) return bytesOf;
  return types.isNativeError(value) || value instanceof Error ? errorParts : undefined;
}

function bytesOf(view: ArrayBufferView): readonly unknown[] {
  return [hex(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))];
}

/** What a program does not list of an error. Of the stack, the frames are those of one process. */
function errorParts(error: Error): readonly unknown[] {
  const parts = ['cause', 'errors', 'error', 'suppressed'].map((key) =>
    Object.hasOwn(error, key) ? ['has', Reflect.get(error, key)] : ['has not'],
  );
  const { name, message, stack } = error;
  // A test runner may write the head of a stack without a message in another way.
  const head = stack?.split('\n    at ')[0]?.replace(/: $/, '');
  return [name, message, Object.hasOwn(error, 'message'), head, ...parts];
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function nameOf(value: object): string {
  return Object.prototype.toString.call(value);
}

function differ(path: string, arrived: unknown, sent: unknown): Error {
  return new Error(`${path} arrived as ${shown(arrived)}, and not as ${shown(sent)}`);
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
