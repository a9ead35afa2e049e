import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { Decoder, Encoder } from 'cbor-x';
import { describe, expect, test } from 'vitest';
import { LimitExceeded, SerializationError } from '../../../src/errors.ts';
import { decodeValue, encodeArgs, encodeValue } from '../../../src/wire/value.ts';
import { hex, parts, refusal, roundTrip, single } from './helpers.ts';

const KIB = 1024;

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

function levelsOf(value: unknown): number {
  let levels = 0;
  for (let inner = value; Array.isArray(inner); inner = inner[0]) levels += 1;
  return levels;
}

/** How many calls of itself the stack takes. */
function room(): number {
  try {
    return room() + 1;
  } catch {
    return 1;
  }
}

function below<T>(levels: number, fn: () => T): T {
  return levels <= 0 ? fn() : below(levels - 1, fn);
}

function lastIndexed(): RegExp {
  const value = /a(b)?/giu;
  value.lastIndex = 7;
  return value;
}

class Point {
  x = 1;
}

class Names extends Map<string, string> {}

const views = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
] as const;

describe('arrives equal', () => {
  const equal: [name: string, value: unknown][] = [
    ['undefined', undefined],
    ['null', null],
    ['true', true],
    ['false', false],
    ['-0', -0],
    ['NaN', Number.NaN],
    ['infinities', [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
    ['whole numbers', [0, 23, 24, 255, 256, 65535, 65536, 2 ** 31, 2 ** 32 - 1, 2 ** 32]],
    ['negative numbers', [-1, -24, -25, -256, -257, -65536, -65537, -(2 ** 32), -(2 ** 32) - 1]],
    ['safe integers', [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]],
    ['unsafe integers', [2 ** 53, -(2 ** 53), 2 ** 64, 1e300]],
    ['fractions', [0.1, -1.5, Number.MIN_VALUE, Number.MAX_VALUE]],
    ['bigints', [0n, 1n, -1n, 2n ** 64n, -(2n ** 64n), -(2n ** 64n) - 1n, 2n ** 5000n]],
    ['empty text', ''],
    ['text', ['a', 'é', '€', '😀', 'x'.repeat(23), 'x'.repeat(24), 'é'.repeat(23)]],
    ['long text', ['x'.repeat(255), 'é'.repeat(200), 'x'.repeat(70_000), '😀'.repeat(20_000)]],
    ['a byte order mark', '\uFEFFtext'],
    ['lone surrogates', ['\uD800', 'a\uDC00b', '\uDC00\uD800', `${'x'.repeat(99)}\uD83D`]],
    ['a lone surrogate as key', { '\uD800': 1 }],
    ['an empty object', {}],
    ['an object', { id: 1, name: 'x', tags: ['a', 'b'], none: undefined }],
    ['keys like numbers', { 2: 'b', 1: 'a', '-1': 'c' }],
    ['keys that others stumble over', { constructor: 1, toString: 2, hasOwnProperty: 3, '': 4 }],
    ['24 keys and more', Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`k${i}`, i]))],
    ['65,536 keys', Object.fromEntries(Array.from({ length: 65_536 }, (_, i) => [`k${i}`, i]))],
    ['an object without a prototype', Object.assign(Object.create(null), { a: { b: 1 } })],
    ['an own key __proto__', JSON.parse('{"__proto__": {"polluted": true}, "a": 1}')],
    ['an array', [1, 'a', [], [[]]]],
    ['a long array', Array.from({ length: 10_000 }, (_, i) => i - 5_000)],
    // biome-ignore lint/suspicious/noSparseArray: what is tested
    ['a sparse array', [1, , undefined, , 'x', ,]],
    ['a long sparse array', Object.assign(new Array(1_000), { 999: 1 })],
    [
      'a Map',
      new Map<unknown, unknown>([
        ['a', 1],
        [{ k: 1 }, new Map()],
        [Number.NaN, -0],
      ]),
    ],
    ['a Set', new Set<unknown>(['a', 1, undefined, new Set([null])])],
    ['a Date', new Date(1_700_000_000_123)],
    ['dates far away', [new Date(-8.64e15), new Date(8.64e15), new Date(8.64e15 - 1)]],
    ['dates before 1970', [new Date(-1), new Date(0), new Date(-1_500)]],
    ['a RegExp', [/x/, /[/\n]/dgimsuy, lastIndexed()]],
    ['an ArrayBuffer', new Uint8Array([1, 2, 3]).buffer],
    ['a Buffer', Buffer.from('text')],
    ['a DataView', new DataView(new Uint8Array([1, 2, 3]).buffer, 1)],
    ['empty bytes', [new Uint8Array(), new ArrayBuffer(0), Buffer.alloc(0), new Float64Array()]],
    ...views.map((View): [string, unknown] => [View.name, View.from([0, 1, 127, 3.5])]),
    ['BigInt64Array', BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)],
    ['BigUint64Array', BigUint64Array.of(0n, 2n ** 64n - 1n)],
    ['an error inside', { failures: [new TypeError('no', { cause: new Error('why') })] }],
  ];

  test.each(equal)('%s', (_name, value) => {
    deepStrictEqual(roundTrip(value), value);
    deepStrictEqual(roundTrip([value, { value }]), [value, { value }]);
  });

  test('bytes arrive with a buffer of their own', () => {
    const pooled = Buffer.from('pooled');
    ok(pooled.buffer.byteLength > pooled.byteLength);
    const arrived = roundTrip(new Uint8Array(pooled.buffer, pooled.byteOffset, pooled.byteLength));
    strictEqual(arrived.buffer.byteLength, 6);
    strictEqual(Object.getPrototypeOf(arrived), Uint8Array.prototype);
  });

  test('an own key __proto__ changes no prototype', () => {
    const arrived = roundTrip(JSON.parse('{"__proto__": {"polluted": true}}'));
    strictEqual(Object.getPrototypeOf(arrived), Object.prototype);
    strictEqual(arrived.polluted, undefined);
    strictEqual(({} as { polluted?: unknown }).polluted, undefined);
  });

  test('what only later versions of Node have', () => {
    const { Float16Array, SuppressedError } = globalThis as unknown as {
      Float16Array?: typeof Float32Array;
      SuppressedError?: new (error: unknown, suppressed: unknown, message: string) => Error;
    };
    if (Float16Array) deepStrictEqual(roundTrip(Float16Array.of(1.5)), Float16Array.of(1.5));
    if (SuppressedError) {
      const error = new SuppressedError(new Error('new'), new TypeError('old'), 'both');
      const arrived = roundTrip(error);
      deepStrictEqual(arrived, error);
      deepStrictEqual(Reflect.get(arrived, 'suppressed'), Reflect.get(error, 'suppressed'));
    }
  });

  test('an invalid Date', () => {
    // Node 20 holds two invalid Dates for unequal.
    const arrived = roundTrip(new Date(Number.NaN));
    ok(arrived instanceof Date);
    ok(Number.isNaN(arrived.getTime()));
  });

  test('arguments', () => {
    const args = [1, { a: 'b' }, undefined];
    deepStrictEqual(decodeValue(single(encodeArgs(args))), args);
    deepStrictEqual(decodeValue(single(encodeArgs([]))), []);
  });
});

describe('sharing', () => {
  test('one object in two places arrives as one', () => {
    const shared = { n: 1 };
    const arrived = roundTrip({
      a: shared,
      b: [shared],
      c: new Map([[shared, new Set([shared])]]),
    });
    strictEqual(arrived.a, arrived.b[0]);
    const [[key, set]] = [...arrived.c] as [[object, Set<object>]];
    strictEqual(key, arrived.a);
    ok(set.has(arrived.a));
  });

  test('across arguments', () => {
    const shared = new Date(1);
    const [a, b] = decodeValue(single(encodeArgs([shared, shared]))) as [Date, Date];
    strictEqual(a, b);
  });

  test('an object that was among the arguments twice, but not in the next value', () => {
    const shared = {};
    encodeArgs([shared, shared]);
    deepStrictEqual(single(encodeArgs([shared])), hex('81a0'));
  });

  test('every kind of object can be shared', () => {
    const kinds = [
      [],
      {},
      Object.create(null),
      new Map(),
      new Set(),
      new Date(),
      /x/,
      new ArrayBuffer(1),
      new Uint8Array(1),
      Buffer.alloc(1),
      new Float64Array(1),
      new DataView(new ArrayBuffer(1)),
      new Error('x'),
      new Uint8Array(65 * KIB),
    ];
    const arrived = roundTrip([kinds, ...kinds]);
    const [first, ...rest] = arrived as [unknown[], ...unknown[]];
    expect(rest.length).toBe(kinds.length);
    for (const [i, value] of rest.entries()) strictEqual(value, first[i]);
  });

  test('cycles through every container', () => {
    const array: unknown[] = [];
    const object: Record<string, unknown> = { array };
    const map = new Map<unknown, unknown>([['object', object]]);
    map.set(map, map);
    const set = new Set<unknown>([map]);
    set.add(set);
    array.push(array, object, set);
    deepStrictEqual(roundTrip(object), object);
    const arrived = roundTrip(array) as [unknown, { array: unknown }, Set<unknown>];
    strictEqual(arrived[0], arrived);
    strictEqual(arrived[1].array, arrived);
    ok(arrived[2].has(arrived[2]));
  });

  test('more than 65,536 shared objects', () => {
    const objects = Array.from({ length: 70_000 }, (_, id) => ({ id }));
    const arrived = roundTrip([objects, objects.toReversed()]) as [object[], object[]];
    ok(arrived[0].every((value, i) => value === arrived[1][69_999 - i]));
  });
});

describe('refused', () => {
  const hooks = { onDone() {} };
  const unreadable = new Proxy(
    {},
    {
      getPrototypeOf() {
        throw new Error('trap');
      },
    },
  );
  const cases: [name: string, args: unknown[], path: string, message: RegExp][] = [
    ['a function', [{ cb() {} }], 'args[0].cb', /a function cannot travel to a worker; .*routine/],
    [
      'a class',
      [1, Point],
      'args[1]',
      /^args\[1\]: the class Point, which is not registered, cannot travel/,
    ],
    ['a symbol', [[Symbol('s')]], 'args[0][0]', /a symbol/],
    ['a promise', [[1, Promise.resolve()]], 'args[0][1]', /a promise .*await/],
    ['a WeakMap', [new WeakMap()], 'args[0]', /a WeakMap .*Map/],
    ['a WeakSet', [new WeakSet()], 'args[0]', /a WeakSet .*Set/],
    ['a WeakRef', [new WeakRef({})], 'args[0]', /a WeakRef/],
    ['a class instance', [new Point()], 'args[0]', /an instance of Point .*plain data/],
    ['an instance of no name', [new (class {})()], 'args[0]', /a class without a name/],
    ['a subclass of a kind', [new Names()], 'args[0]', /an instance of Names/],
    ['a subclass of Array', [new (class List extends Array {})()], 'args[0]', /instance of List/],
    ['a stream', [new Duplex()], 'args[0]', /a stream/],
    ['a web stream', [new ReadableStream()], 'args[0]', /a stream/],
    ['a signal', [new AbortController().signal], 'args[0]', /an AbortSignal .*signal/],
    ['a generator', [(function* () {})()], 'args[0]', /a generator .*Array\.from/],
    ['a boxed symbol', [Object(Symbol('s'))], 'args[0]', /a boxed symbol .*string/],
    ['shared memory', [new SharedArrayBuffer(1)], 'args[0]', /a SharedArrayBuffer/],
    ['a view of it', [new Uint8Array(new SharedArrayBuffer(1))], 'args[0]', /a SharedArrayBuffer/],
    ['a false Map', [Object.create(Map.prototype)], 'args[0]', /reading it failed/],
    ['a false Array', [Object.create(Array.prototype)], 'args[0]', /an instance of Array/],
    ['a Proxy that throws', [{ p: unreadable }], 'args[0].p', /reading it failed .*trap/],
    ['a symbol key', [{ [Symbol('s')]: 1 }], 'args[0][Symbol(s)]', /key is a symbol/],
    ['a match of a RegExp', [/b/.exec('abc')], 'args[0]', /array with properties of its own/],
    [
      'names on a long array',
      [Object.assign(Array(99).fill(1), { x: 1 })],
      'args[0]',
      /array with/,
    ],
    ['names on a Map', [Object.assign(new Map(), { x: 1 })], 'args[0]', /a Map with properties/],
    ['too many holes', [new Array(2 ** 32 - 1)], 'args[0]', /empty places/],
    ['in a key that needs quotes', [{ 'a-b': hooks }], 'args[0]["a-b"].onDone', /a function/],
    ['in a Map', [new Map([['k', hooks]])], 'args[0].get("k").onDone', /a function/],
    ['in a Map of objects', [new Map([[{}, hooks]])], 'args[0].values()[0].onDone', /a function/],
    ['in a key of a Map', [new Map([[hooks, 1]])], 'args[0].keys()[0].onDone', /a function/],
    ['in a Set', [new Set([1, hooks])], 'args[0].values()[1].onDone', /a function/],
    ['in a null object', [Object.assign(Object.create(null), hooks)], 'args[0].onDone', /a func/],
    ['deep inside', [{ items: [0, 1, 2, hooks] }], 'args[0].items[3].onDone', /a function/],
  ];

  test.each(cases)('%s', (_name, args, path, message) => {
    const error = refusal(() => encodeArgs(args));
    expect(error.path).toBe(path);
    expect(error.message).toMatch(message);
    ok(error.message.startsWith(`${path}: `), error.message);
    expect(error.code).toBe('SERIALIZATION');
  });

  test('what stands before the arguments goes by its name, and they are counted from behind it', () => {
    const cases: [args: unknown[], path: string][] = [
      [[hooks, {}, 1], 'this.onDone'],
      [[{}, { deep: [hooks] }, 1], 'captures.deep[0].onDone'],
      [[{}, {}, hooks, 1], 'args[0].onDone'],
      [[{}, {}, 1, [hooks]], 'args[1][0].onDone'],
    ];
    for (const [args, path] of cases) {
      const error = refusal(() => encodeArgs(args, ['this', 'captures']));
      expect(error.path).toBe(path);
      expect(error.message).toMatch(/: a function cannot travel to a worker; /);
    }
  });

  test('a getter that throws: its error is the cause', () => {
    const cause = new Error('not now');
    const value = {
      get late() {
        throw cause;
      },
    };
    const error = refusal(() => encodeValue(value, 'result'));
    expect(error.message).toBe('result.late: reading it failed (Error: not now)');
    strictEqual(error.cause, cause);
  });

  test('a detached ArrayBuffer, and a view of it', () => {
    const buffer = new ArrayBuffer(8);
    const view = new Uint8Array(buffer);
    structuredClone(buffer, { transfer: [buffer] });
    expect(refusal(() => encodeValue(buffer)).message).toMatch(/detached/);
    expect(refusal(() => encodeValue(view)).message).toMatch(/detached/);
  });

  test('a resizable ArrayBuffer', () => {
    const Resizable = ArrayBuffer as unknown as new (
      size: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer;
    const buffer = new Resizable(8, { maxByteLength: 16 });
    expect(refusal(() => encodeValue(buffer)).message).toMatch(/resizable/);
  });

  test('a collection that changes while it is read', () => {
    const map = new Map<string, unknown>();
    map.set('a', {
      get grow() {
        map.set(`k${map.size}`, 1);
        return 1;
      },
    });
    expect(refusal(() => encodeValue(map)).message).toMatch(/changes while it is read/);
    const size = { value: 1 };
    const set = Object.defineProperty(new Set([1, 2]), 'size', size);
    expect(refusal(() => encodeValue(set)).message).toMatch(/changes while it is read/);
  });

  test('nesting beyond 1,000 levels', () => {
    // Not by deepStrictEqual: on Node 24 its own recursion may not reach so deep.
    strictEqual(levelsOf(roundTrip(nested(1_000))), 1_000);
    const error = refusal(() => encodeValue(nested(1_001)));
    expect(error.message).toMatch(/nested more than 1000 levels/);
    expect(error.message.length).toBeLessThan(600);
    expect(error.path).toMatch(/^\S{120}…\S{120}$/);
    refusal(() => encodeValue(nested(100_000)));
  });

  test('a value that is too deep for the stack that is left', () => {
    const deep = nested(900);
    const left = room();
    for (const share of [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99]) {
      try {
        below(Math.floor(left * share), () => encodeValue(deep));
      } catch (error) {
        ok(error instanceof SerializationError || error instanceof RangeError, String(error));
      }
    }
    strictEqual(levelsOf(roundTrip([deep])), 901);
  });

  test('the destination is named after the root', () => {
    expect(refusal(() => encodeValue(() => {}, 'result')).message).toMatch(/^result: .* caller;/);
    expect(refusal(() => encodeValue(() => {})).message).toMatch(/^value: .* another process;/);
    expect(refusal(() => encodeValue({ a: () => {} }, '')).message).toMatch(/^a: /);
  });

  test('a refusal leaves nothing behind', () => {
    const shared = {};
    refusal(() => encodeArgs([shared, new Uint8Array(65 * KIB), () => {}]));
    deepStrictEqual(single(encodeArgs([shared])), hex('81a0'));
  });
});

describe('bytes that were handed out', () => {
  test('stay as they are when more values are encoded', () => {
    const kept = Array.from({ length: 5_000 }, (_, i) => single(encodeArgs([i, `value ${i}`])));
    encodeValue('x'.repeat(100_000));
    for (const [i, bytes] of kept.entries()) deepStrictEqual(decodeValue(bytes), [i, `value ${i}`]);
  });

  test('stay as they are when a getter encodes another value', () => {
    let inner: Uint8Array | undefined;
    const value = {
      before: 1,
      get nested() {
        inner = single(encodeValue({ inner: true }));
        return decodeValue(inner);
      },
      after: 2,
    };
    const bytes = single(encodeValue(value));
    deepStrictEqual(decodeValue(bytes), { before: 1, nested: { inner: true }, after: 2 });
    deepStrictEqual(decodeValue(inner!), { inner: true });
  });

  test('decoded bytes do not change with the packet', () => {
    const bytes = single(encodeValue(new Uint8Array([1, 2, 3]))).slice();
    const arrived = decodeValue(bytes) as Uint8Array;
    bytes.fill(0);
    deepStrictEqual(arrived, new Uint8Array([1, 2, 3]));
  });
});

describe('attachments', () => {
  test('large byte arrays travel beside the value, without a copy', () => {
    const large = new Uint8Array(64 * KIB).fill(7);
    const [bytes, attachment, ...more] = parts(encodeArgs([1, { large }, 2]));
    strictEqual(more.length, 0);
    strictEqual(attachment!.buffer, large.buffer);
    ok(bytes.length < 20);
    const [, arrived] = decodeValue(bytes, [attachment!]) as [number, { large: Uint8Array }];
    strictEqual(arrived.large.buffer, large.buffer);
    deepStrictEqual(arrived.large, large);
  });

  test('smaller ones do not', () => {
    ok(encodeValue(new Uint8Array(64 * KIB - 1)) instanceof Uint8Array);
  });

  test('every kind, in order', () => {
    const size = 128 * KIB;
    const value = [
      new Uint8Array(size).fill(1),
      Buffer.alloc(size, 2),
      new Uint8Array(size).fill(3).buffer,
      new DataView(new Uint8Array(size).fill(4).buffer),
      new Float64Array(size).fill(5.5),
      new BigInt64Array(size).fill(-6n),
      new Uint8ClampedArray(size).fill(7),
    ];
    strictEqual(parts(encodeValue(value)).length, value.length + 1);
    deepStrictEqual(roundTrip(value), value);
  });

  test('are used as they are, and copied where others share their memory', () => {
    const size = 64 * KIB;
    const values = [
      new Uint8Array(size).fill(1),
      Buffer.alloc(size, 2),
      new Float64Array(size / 8).fill(0.5),
      new DataView(new Uint8Array(size).fill(4).buffer),
      new Uint8Array(size).fill(9).buffer,
    ];
    const bufferOf = (value: ArrayBuffer | ArrayBufferView) =>
      ArrayBuffer.isView(value) ? value.buffer : value;
    for (const value of values) {
      const [bytes, attachment] = parts(encodeValue(value));
      const inPlace = decodeValue(bytes, [attachment!]) as typeof value;
      strictEqual(bufferOf(inPlace), attachment!.buffer);
      const packet = new Uint8Array(size + 20);
      for (const offset of [0, 8, 13]) {
        packet.set(attachment!, offset);
        const inside = packet.subarray(offset, offset + size);
        const copied = decodeValue(bytes, [inside]) as typeof value;
        strictEqual(bufferOf(copied).byteLength, size);
        deepStrictEqual(copied, value);
      }
    }
  });

  test('64 MiB cost no time', () => {
    const large = new Uint8Array(64 * KIB * KIB);
    encodeValue(new Uint8Array(64 * KIB));
    const times = Array.from({ length: 5 }, () => {
      const start = performance.now();
      encodeValue(large);
      return performance.now() - start;
    });
    ok(Math.min(...times) < 1, `${Math.min(...times)} ms`);
  });

  test('attachments that do not fit the value', () => {
    const [bytes, attachment] = parts(encodeValue(new Float64Array(8 * KIB)));
    refusal(() => decodeValue(bytes));
    refusal(() => decodeValue(bytes, []));
    refusal(() => decodeValue(bytes, [attachment!, attachment!]));
    refusal(() => decodeValue(bytes, [attachment!.subarray(1)]));
    refusal(() => decodeValue(hex('01'), [attachment!]));
    // The same one twice, the second one first, one that is not there.
    refusal(() => decodeValue(hex('82 d9eb0200 d9eb0200'), [attachment!, attachment!]));
    refusal(() => decodeValue(hex('82 d9eb0201 d9eb0200'), [attachment!, attachment!]));
    refusal(() => decodeValue(hex('d9eb0205'), [attachment!]));
  });
});

describe('the format', () => {
  const vectors: [value: unknown, bytes: string][] = [
    [0, '00'],
    [23, '17'],
    [24, '1818'],
    [1000, '1903e8'],
    [1_000_000, '1a000f4240'],
    [1_000_000_000_000, '1b000000e8d4a51000'],
    [-1, '20'],
    [-1000, '3903e7'],
    [1.1, 'fb3ff199999999999a'],
    [-0, 'fb8000000000000000'],
    [18446744073709551616n, 'c249010000000000000000'],
    [-18446744073709551617n, 'c349010000000000000000'],
    [false, 'f4'],
    [true, 'f5'],
    [null, 'f6'],
    [undefined, 'f7'],
    [new Date(1_363_896_240_000), 'c11a514b67b0'],
    [new Date(1_363_896_240_500), 'c1fb41d452d9ec200000'],
    [new Uint8Array([1, 2, 3, 4]), '4401020304'],
    ['IETF', '6449455446'],
    ['\u6c34', '63e6b0b4'],
    [[1, [2, 3], [4, 5]], '8301820203820405'],
    [{ a: 1, b: [2, 3] }, 'a26161016162820203'],
    [new Float32Array([1]), 'd855440000803f'],
    [new Map([[1, 2]]), 'd90103a10102'],
    [new Set([1]), 'd901028101'],
  ];

  test.each(vectors)('%o is %s', (value, bytes) => {
    strictEqual(Buffer.from(single(encodeValue(value))).toString('hex'), bytes);
    deepStrictEqual(decodeValue(hex(bytes)), value);
  });

  const foreign: [bytes: string, value: unknown, name: string][] = [
    ['1bffffffffffffffff', 18446744073709551615n, 'a number beyond 2^53'],
    ['3bffffffffffffffff', -18446744073709551616n, 'a negative one'],
    ['3b001fffffffffffff', -9007199254740992n, 'the first negative one that is unsafe'],
    ['f93e00', 1.5, 'a half float'],
    ['f90001', 2 ** -24, 'a small half float'],
    ['f98000', -0, 'a half -0'],
    ['f9fc00', Number.NEGATIVE_INFINITY, 'a half infinity'],
    ['f97e00', Number.NaN, 'a half NaN'],
    ['fa47c35000', 100000.0, 'a float'],
    ['bf6161016162820203ff', { a: 1, b: [2, 3] }, 'a map without a count'],
  ];

  test.each(foreign)('%s is %o: %s', (bytes, value) => {
    deepStrictEqual(decodeValue(hex(bytes)), value);
  });

  test('another implementation understands it, and is understood', () => {
    const value = {
      text: ['a', 'é', 'x'.repeat(300)],
      numbers: [0, -1, 1.5, 1e10, 2 ** 40],
      nested: { map: new Map([['k', [null, undefined, true]]]), set: new Set(['s']) },
      date: new Date(1_700_000_000_000),
      pattern: /a+/gi,
      large: 2n ** 100n,
      floats: new Float64Array([1, 2]),
    };
    const options = { useRecords: false, mapsAsObjects: true } as const;
    const theirs = new Decoder({ ...options, int64AsNumber: true } as object);
    deepStrictEqual(theirs.decode(single(encodeValue(value)).slice()), value);
    const bytes = new Encoder({ ...options, tagUint8Array: false }).encode(value);
    deepStrictEqual(decodeValue(new Uint8Array(bytes)), value);
  });
});

describe('damaged bytes are refused', () => {
  const cases: [name: string, bytes: string][] = [
    ['nothing', ''],
    ['bytes behind the value', '0101'],
    ['a head that ends', '19ff'],
    ['a float that ends', 'fb00'],
    ['a half float that ends', 'f900'],
    ['text that ends', '6261'],
    ['text that is not UTF-8', '61ff'],
    ['long text that is not UTF-8', `7820${'ff'.repeat(32)}`],
    ['a key that is not UTF-8', 'a161ff01'],
    ['a key that is a number', 'a10102'],
    ['bytes that end', '43aabb'],
    ['an array that ends', '8201'],
    ['an array that lies', '9affffffff00'],
    ['an array that lies a lot', '9bffffffffffffffff00'],
    ['arrays that lie in each other', '98ff'.repeat(500)],
    ['a map that lies', 'baffffffff00'],
    ['a Map that lies', 'd90103baffffffff00'],
    ['a Set that lies', 'd901029affffffff00'],
    ['text that lies', '7affffffff00'],
    ['bytes that lie', '5affffffff00'],
    ['an array without a count', '9f0102ff'],
    ['a map without an end', 'bf616101'],
    ['an end without a map', 'ff'],
    ['an empty place outside an array', 'e0'],
    ['a simple value without a meaning', 'f0'],
    ['reserved heads', '1c'],
    ['an unknown tag', 'd9ffff00'],
    ['a reference without sharing', 'd9eb0100'],
    ['a reference to nothing', 'd9eb0081d9eb0105'],
    [
      'a reference to what has no value yet',
      'd9eb00 d9eb09 83 654572726f72 a1 646e616d65 d9eb0100 a0',
    ],
    ['sharing inside', '81d9eb008100'],
    ['a Date of text', 'c16161'],
    ['a bad RegExp', 'd81b8366526567457870612860'],
    ['a RegExp of another type', 'd81b836645727265787061286120'],
    ['half a code unit', 'd9eb0341ff'],
    ['half an element', 'd85543010203'],
    ['an error without parts', 'd9eb0980'],
    ['an error with a strange field', 'd9eb0983654572726f72a1617801a0'],
  ];

  test.each(cases)('%s', (_name, bytes) => {
    const error = refusal(() => decodeValue(hex(bytes)));
    expect(error.path).toBe('');
  });

  test('nesting beyond 1,000 levels', () => {
    const deep = [
      new Uint8Array(1_000_000).fill(0x81),
      hex('a16161'.repeat(2_000)),
      hex('d9010281'.repeat(2_000)),
      hex('c1'.repeat(100_000)),
    ];
    for (const bytes of deep) {
      expect(() => decodeValue(bytes)).toThrow(LimitExceeded);
      deepStrictEqual(decodeValue(hex('01')), 1);
    }
  });

  test('nesting beyond what is asked for', () => {
    const nested = (levels: number) => hex(`${'81'.repeat(levels)}01`);
    expect(decodeValue(nested(20), [], { maxDepth: 20 })).toBeInstanceOf(Array);
    const told: LimitExceeded[] = [];
    const read = () =>
      decodeValue(nested(21), [], { maxDepth: 20, exceeded: (error) => told.push(error) });
    expect(read).toThrow(LimitExceeded);
    expect(told).toMatchObject([{ limit: 'maxDepth', value: 21, max: 20 }]);
  });

  test('a large bigint takes no more than its length in time', () => {
    const size = 4 * KIB * KIB;
    const bytes = new Uint8Array(size + 6).fill(0xff);
    bytes.set(hex('c25a'));
    new DataView(bytes.buffer).setUint32(2, size);
    const value = decodeValue(bytes) as bigint;
    strictEqual(value, (1n << BigInt(size * 8)) - 1n);
  });
});

describe('a Map or a Set of bigints that are alike in their low 64 bits', () => {
  const alike = (count: number, sign = 1n) =>
    Array.from({ length: count }, (_, i) => sign * ((BigInt(i + 1) << 64n) + 2n ** 40n));
  const others = Array.from({ length: 20_000 }, (_, i) => (BigInt(i) << 70n) + BigInt(i));

  test.each([1n, -1n])('arrives with as many as 256 of them (sign %i)', (sign) => {
    const keys = [...alike(256, sign), ...others, ...others.map((n) => n - 2n ** 90n)];
    const value = [new Set(keys), new Map(keys.map((n) => [n, n]))];
    deepStrictEqual(roundTrip(value), value);
  });

  test('is refused with more, by both sides', () => {
    const keys = alike(257);
    const map = refusal(() => encodeArgs([{ map: new Map(keys.map((n) => [n, 0])) }]));
    strictEqual(map.path, 'args[0].map');
    expect(map.message).toContain(
      'a Map with more than 256 bigint keys of the same low 64 bits cannot travel to a worker; use',
    );
    const set = refusal(() => encodeValue(new Set([...others, ...keys])));
    expect(set.message).toContain('a Set with more than 256 bigint items of the same low 64 bits');
    // The tag of a Set or a Map before the plain list or map that it holds.
    const bytes = single(encodeValue(keys));
    refusal(() => decodeValue(Buffer.concat([hex('d90102'), bytes])));
    const entries = keys.map((n) => Buffer.concat([single(encodeValue(n)), hex('00')]));
    refusal(() => decodeValue(Buffer.concat([hex('d90103 b90101'), ...entries])));
  });

  test('may have any number that is no longer', () => {
    const keys = Array.from({ length: 5_000 }, (_, i) => [
      BigInt(i),
      -BigInt(i),
      2n ** 64n - BigInt(i + 1),
    ]);
    const value = new Set(keys.flat());
    deepStrictEqual(roundTrip(value), value);
  });
});
