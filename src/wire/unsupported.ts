/** What cannot travel, and what to do about it. */
import { types } from 'node:util';
import { globalClass } from './globals.ts';
import { Refusal, within } from './refusal.ts';

interface Unsupported {
  readonly matches: (value: object) => boolean;
  readonly what: string;
  readonly hint: string;
}

const UNREGISTERED =
  'register its class (`@serializable`, or `registerClass(Class)`), or pass plain data';
const UNREGISTERED_CLASS = 'register it (`@serializable`, or `registerClass(Class)`)';
const SIGNAL = 'give the call its signal with `.with({ signal })`';
const CHANNEL = 'let the processes call routines of each other instead';
/** In the order in which they are tried. */
const unsupported: readonly Unsupported[] = [
  { matches: types.isPromise, what: 'a promise', hint: 'await it first' },
  { matches: types.isWeakMap, what: 'a WeakMap', hint: 'pass a Map' },
  { matches: types.isWeakSet, what: 'a WeakSet', hint: 'pass a Set' },
  {
    matches: (value) => value instanceof WeakRef,
    what: 'a WeakRef',
    hint: 'pass what it refers to',
  },
  {
    matches: types.isSharedArrayBuffer,
    what: 'a SharedArrayBuffer',
    hint: 'processes share no memory; pass a copy, `new Uint8Array(shared).slice()`',
  },
  {
    matches: types.isGeneratorObject,
    what: 'a generator',
    hint: 'pass an array, `Array.from(it)`, or make a routine of the generator function',
  },
  {
    matches: isIterator,
    what: 'an iterator',
    hint:
      'pass what it iterates over, or an array, `Array.from(it)`; ' +
      'if a compiler made it of a generator, set its target to ES2018 or later',
  },
  {
    matches: isA('Blob'),
    what: 'a Blob or File',
    hint: 'pass its bytes, `new Uint8Array(await blob.arrayBuffer())`',
  },
  { matches: isA('FormData'), what: 'a FormData', hint: 'pass its entries, `[...form]`' },
  {
    matches: isA('Request'),
    what: 'a Request',
    hint: 'pass its url, method, headers and the bytes of its body',
  },
  {
    matches: isA('Response'),
    what: 'a Response',
    hint: 'pass its status, headers and the bytes of its body',
  },
  { matches: isA('MessagePort'), what: 'a MessagePort', hint: CHANNEL },
  { matches: isA('BroadcastChannel'), what: 'a BroadcastChannel', hint: CHANNEL },
  {
    matches: types.isCryptoKey,
    what: 'a CryptoKey',
    hint: 'export it first, `await crypto.subtle.exportKey(format, key)`',
  },
  { matches: types.isKeyObject, what: 'a KeyObject', hint: 'export it first, `key.export()`' },
  {
    matches: isA('WebAssembly.Module'),
    what: 'a WebAssembly.Module',
    hint: 'pass the bytes that it was compiled from',
  },
  { matches: isTimer, what: 'a timer', hint: 'pass the time to wait, and set it over there' },
  { matches: isStream, what: 'a stream', hint: 'pass what it carries, or let the routine open it' },
  { matches: isA('AbortSignal'), what: 'an AbortSignal', hint: SIGNAL },
  { matches: isA('AbortController'), what: 'an AbortController', hint: SIGNAL },
  {
    matches: (value) => value === process.env,
    what: 'process.env',
    hint: 'pass a copy, `{ ...process.env }`',
  },
  {
    matches: (value) => value === globalThis || value === process,
    what: 'globalThis or process',
    hint: 'every process has its own',
  },
  { matches: types.isSymbolObject, what: 'a boxed symbol', hint: 'pass a string' },
];

/** Refuses a value that is of no kind that can travel. */
export function refuse(value: unknown): never {
  if (typeof value === 'function') {
    if (isClass(value)) {
      const name: unknown = value.name;
      const what = typeof name === 'string' && name !== '' ? `the class ${name}` : 'a class';
      throw new Refusal(`${what}, which is not registered,`, UNREGISTERED_CLASS);
    }
    const hint = 'pass a routine, by itself and not by its `with` or `on`, or plain data';
    throw new Refusal('a function', hint);
  }
  if (typeof value === 'symbol') throw new Refusal('a symbol', 'pass a string');
  const known = unsupported.find(({ matches }) => matches(value as object));
  if (known) throw new Refusal(known.what, known.hint);
  const prototype = Object.getPrototypeOf(value) as object;
  if (!Object.hasOwn(prototype, 'constructor')) {
    const hint = 'pass a plain object with all that it should have';
    throw new Refusal('an object that inherits from another one', hint);
  }
  throw new Refusal(`an instance of ${className(value as object)}`, UNREGISTERED);
}

/**
 * Refuses properties that were added to an object of a built-in kind: they would be lost.
 *
 * @param what the kind, e.g. `a Map`
 * @param own how many properties belong to the kind
 */
export function refuseProperties(value: object, what: string, own = 0): void {
  if (Object.keys(value).length === own && Object.getOwnPropertySymbols(value).length === 0) return;
  throw new Refusal(`${what} with properties of its own`, 'pass them in an object beside it');
}

/** They have a symbol for their name, as classes do, and nothing to list. */
const namespaces = new Map<object, string>(
  ['Atomics', 'Intl', 'JSON', 'Math', 'Reflect', 'WebAssembly'].map((name) => [
    Reflect.get(globalThis, name) as object,
    name,
  ]),
);

/**
 * Refuses properties whose key is a symbol; those that a program would not list are not part of a value. So
 * `arguments` and `Math` are refused, too, which have one.
 */
export function refuseSymbols(value: object): void {
  if (types.isArgumentsObject(value)) {
    throw new Refusal('an arguments object', 'pass an array, `[...arguments]`');
  }
  const namespace = namespaces.get(value);
  if (namespace !== undefined) throw new Refusal(namespace, 'every process has its own');
  const symbols = Object.getOwnPropertySymbols(value);
  const symbol = symbols.find((key) => Object.prototype.propertyIsEnumerable.call(value, key));
  if (symbol === undefined) return;
  // Compilers make such objects of generators.
  if (isIterator(value)) refuse(value);
  throw within(
    new Refusal('a property whose key is a symbol', 'use a string for the key'),
    `[${String(symbol)}]`,
  );
}

/** A global class is only looked up for what may be an instance: it may be costly to load. */
function isA(name: string): (value: object) => boolean {
  const ownName = name.slice(name.lastIndexOf('.') + 1);
  return (value) => {
    let prototype = Object.getPrototypeOf(value) as object | null;
    while (prototype !== null) {
      const maker: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
      const candidate = typeof maker === 'function' && maker.name === ownName;
      if (candidate && globalClass(name)?.prototype === prototype) return true;
      prototype = Object.getPrototypeOf(prototype) as object | null;
    }
    return false;
  };
}

function isClass(value: object): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}

function isIterator(value: object): boolean {
  const { next } = value as { next?: unknown };
  return typeof next === 'function' && (Symbol.iterator in value || Symbol.asyncIterator in value);
}

function isTimer(value: object): boolean {
  const name = className(value);
  return (name === 'Timeout' || name === 'Immediate') && 'hasRef' in value;
}

function className(value: object): string {
  const maker: unknown = value.constructor;
  const name = typeof maker === 'function' ? maker.name : '';
  return name === '' ? 'a class without a name' : name;
}

function isStream(value: object): boolean {
  if (value instanceof ReadableStream || value instanceof WritableStream) return true;
  const { pipe, write } = value as { pipe?: unknown; write?: unknown };
  return typeof pipe === 'function' || typeof write === 'function';
}
