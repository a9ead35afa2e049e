/**
 * Keys that mean something to JavaScript are keys like others wherever they come from outside: nothing that
 * comes changes a prototype, or gets one that somebody has sent.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeTxt, encodeTxt } from '../../src/discovery/adapters/lan-record.ts';
import { parseAnnounced } from '../../src/discovery/metadata.ts';
import { ContextVar, SkeinError } from '../../src/index.ts';
import { decodeRecord } from '../../src/nats/discovery-record.ts';
import { fromAbout } from '../../src/transport/about.ts';
import { decodeContext, encodeContext, encodeVariable } from '../../src/wire/context.ts';
import { decodeError, encodeError } from '../../src/wire/error.ts';
import { UnknownName } from '../../src/wire/names.ts';
import { decodeValue, encodeValue } from '../../src/wire/value.ts';
import { graph, tree } from './wire/arbitraries.ts';
import { Bag, Fault, Wrapped } from './wire/named.ts';
import { fromEntries } from './wire/properties.ts';

const POISON = ['__proto__', 'constructor', 'prototype', 'toString', '__defineSetter__'];
const poison = fc.constantFrom(...POISON);
const variable = new ContextVar<unknown>('poisoned', { namespace: '__proto__', default: 0 });

/** All prototypes that a value may have, and the classes that they belong to. */
const classes = [
  ...Object.getOwnPropertyNames(globalThis)
    .map((name) => Object.getOwnPropertyDescriptor(globalThis, name)?.value as unknown)
    .filter((value) => typeof value === 'function' && typeof value.prototype === 'object'),
  ...[Bag, Fault, Wrapped, SkeinError, ContextVar, UnknownName, AsyncLocalStorage],
  ...[Buffer, Object.getPrototypeOf(Uint8Array), Object.getPrototypeOf(async () => {}).constructor],
] as { readonly prototype: object }[];
const prototypes = classes.map(({ prototype }) => prototype).filter((one) => one !== null);
const watched = [...new Set<object>([...classes, ...prototypes, Object, Reflect, JSON])];

function snapshot(): unknown[] {
  return watched.flatMap((one) => [
    Object.getPrototypeOf(one),
    ...Reflect.ownKeys(one).flatMap((key) => {
      // What a run counts, or keeps for later.
      if (one === Error || key === '_idle') return [key];
      const found = Object.getOwnPropertyDescriptor(one, key);
      return [key, found?.value, found?.get, found?.set];
    }),
  ]);
}

const before = snapshot();

function expectClean(): void {
  const now = snapshot();
  const changed = now.findIndex((part, i) => !Object.is(part, before[i]));
  expect([changed, now.length], String(now[changed])).toEqual([-1, before.length]);
  expect(Object.keys({})).toEqual([]);
}

/** Nothing in a value has a prototype that is one of the value's own objects. */
function expectKnownPrototypes(root: unknown): void {
  const seen = new Set<unknown>();
  const visit = (value: unknown) => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    for (const key of Reflect.ownKeys(value)) {
      visit(Object.getOwnPropertyDescriptor(value, key)?.value);
    }
    if (value instanceof Map) for (const entry of value) entry.forEach(visit);
    if (value instanceof Set) value.forEach(visit);
  };
  visit(root);
  for (const value of seen) {
    if (seen.has(Object.getPrototypeOf(value))) throw new Error('a prototype that was sent');
  }
}

/** A value with such a key in each kind of object that has keys of its own. */
const kinds: Readonly<Record<string, (key: string, value: unknown) => unknown>> = {
  'plain object': (key, value) => fromEntries({}, [[key, value]]),
  'object without a prototype': (key, value) =>
    fromEntries(Object.create(null) as object, [[key, value]]),
  'key of a Map': (key, value) => new Map([[key, value]]),
  'item of a Set': (key) => new Set([key]),
  'property of an error': (key, value) => fromEntries(new TypeError('x'), [[key, value]]),
  'cause of an error': (key, value) => new Error('x', { cause: fromEntries({}, [[key, value]]) }),
  'item of an AggregateError': (key, value) =>
    new AggregateError([fromEntries(new Error('x'), [[key, value]])], key),
  'name of an error': (key) => Object.assign(new Error('x'), { name: key }),
  'error of a class of its own': (key, value) => fromEntries(new Fault('x', 1), [[key, value]]),
  'field of an instance': (key, value) => fromEntries(new Bag(), [[key, value]]),
  'what an encode gives': (key, value) => new Wrapped(fromEntries({}, [[key, value]])),
  header: (key) => new Headers([[key, key]]),
  'parameter of a URL': (key) => new URLSearchParams([[key, key]]),
  'name of a variable': () => variable,
};

test.each(Object.keys(kinds))('%s', (name) => {
  const make = kinds[name] as (key: string, value: unknown) => unknown;
  fc.assert(
    fc.property(poison, poison, tree, (key, inner, value) => {
      for (const one of [make(key, { polluted: true }), make(key, make(inner, value))]) {
        const bytes = encodeValue(one);
        const parts = bytes instanceof Uint8Array ? [bytes] : [...bytes];
        const arrived = decodeValue(parts[0] as Uint8Array, parts.slice(1));
        expect(Object.getPrototypeOf(arrived)).toBe(Object.getPrototypeOf(one));
        expectKnownPrototypes(arrived);
        expectKnownPrototypes(decodeError(encodeError(one), true));
      }
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    }),
    { numRuns: 30 },
  );
  expectClean();
});

/** Where an encoded value has a text: a key, a name of a class or type, a field, or a text itself. */
function textsIn(bytes: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    const length = (bytes[at] as number) - 0x60;
    if (length < 1 || length > 23 || at + length >= bytes.length) continue;
    if (bytes.subarray(at + 1, at + 1 + length).every((byte) => byte > 0x20 && byte < 0x7f)) {
      found.push(at);
    }
  }
  return found;
}

test('in the place of each text that came over the wire', () => {
  let read = 0;
  const samples = Object.values(kinds).map((make) => make('key', { a: make('other', 1) }));
  const value = fc.oneof(fc.constantFrom<unknown>(...samples), graph);
  fc.assert(
    fc.property(value, poison, fc.nat(), fc.boolean(), (sent, word, pick, asError) => {
      const bytes = encodeError(asError ? new Fault('x', sent) : sent);
      const texts = textsIn(bytes);
      fc.pre(texts.length > 0);
      const at = texts[pick % texts.length] as number;
      const rest = bytes.subarray(at + 1 + (bytes[at] as number) - 0x60);
      const head = Buffer.of(0x60 + word.length);
      const poisoned = Buffer.concat([bytes.subarray(0, at), head, Buffer.from(word), rest]);
      for (const decode of [decodeValue, decodeError, (b: Buffer) => decodeError(b, true)]) {
        try {
          expectKnownPrototypes(decode(poisoned));
          read += 1;
        } catch (error) {
          if (!(error instanceof SkeinError || error instanceof UnknownName)) throw error;
        }
      }
    }),
    { numRuns: 1_000 },
  );
  expect(read).toBeGreaterThan(200);
  expectClean();
});

test('as the key of a context variable', () => {
  const value = encodeValue({ polluted: true }) as Uint8Array;
  const variables = Buffer.concat(
    POISON.flatMap((namespace) => POISON.map((name) => encodeVariable({ namespace, name }, value))),
  );
  const context = { chain: '__proto__', whole: true, variables, tokens: [], spent: POISON };
  const arrived = decodeContext(encodeContext(context));
  expect(arrived.variables).toHaveLength(POISON.length ** 2);
  expect(arrived.spent).toEqual(POISON);
  expectClean();
});

const worker = { uid: 'a', address: 'tcp://10.0.0.1:1', pid: 1, host: 'h', version: '1' };

test('in what workers say of themselves, on each way that it comes', () => {
  const json = (key: string) => {
    const inner = `{"${key}": "polluted"}`;
    return `{"uid": "a", "address": "tcp://10.0.0.1:1", "pid": 1, "host": "h", "version": "1",
      "${key}": {"polluted": true, "extra": {}}, "extra": ${inner}, "channel": {"${key}": {"concurrency": 3}}}`;
  };
  for (const key of POISON) {
    const parsed = parseAnnounced(JSON.parse(json(key)));
    expect(Object.getOwnPropertyDescriptor(parsed.extra, key)?.value).toBe('polluted');
    expect(Object.keys(parsed).sort()).toEqual(
      [...Object.keys(worker), 'channel', 'extra', 'secure', 'tags'].sort(),
    );
    expectKnownPrototypes(parsed);
    expect(parsed.channel?.concurrency).toBeUndefined();
    const record = decodeRecord(Buffer.from(`{"v": 1, "rev": 1, "worker": ${json(key)}}`));
    expectKnownPrototypes(record);
    const txt = encodeTxt({ name: 'n', revision: 1, worker: parsed });
    const entries = Object.entries(txt).map(([name, text]) => Buffer.from(`${name}=${text}`));
    const others = POISON.map((name) => Buffer.from(`${name}=polluted`));
    expect(decodeTxt([...others, ...entries], 'n').worker.extra).toEqual(parsed.extra);
    const extra = [{ key, value: 'polluted' }];
    const about = fromAbout({ ...hello, tags: [key], extra });
    expect(Object.getOwnPropertyDescriptor(about.extra, key)?.value).toBe('polluted');
  }
  expectClean();
});

const hello = { host: 'h', pid: 1, version: '1', concurrency: 0, beat: '', secure: false };
