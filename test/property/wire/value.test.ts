import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import fc from 'fast-check';
import { describe, test } from 'vitest';
import { decodeValue, encodeArgs, encodeValue } from '../../../src/wire/value.ts';
import { assertArrived } from '../../unit/wire/helpers.ts';
import { graph, tree } from './arbitraries.ts';
import { checkRefusal, outside } from './outside.ts';

function roundTrip(value: unknown): unknown {
  const encoded = encodeValue(value);
  ok(encoded instanceof Uint8Array);
  return decodeValue(encoded.slice());
}

/** The objects inside a value, in an order that two equal values have in common. */
function objectsOf(value: unknown, found = new Map<object, number>(), order: number[] = []) {
  if (typeof value !== 'object' || value === null) return order;
  const known = found.get(value);
  order.push(known ?? found.size);
  if (known !== undefined) return order;
  found.set(value, found.size);
  if (value instanceof Map) for (const entry of value) objectsOf(Array.from(entry), found, order);
  else if (value instanceof Set) for (const item of value) objectsOf(item, found, order);
  else if (!ArrayBuffer.isView(value)) {
    for (const key of Object.keys(value)) objectsOf(Reflect.get(value, key), found, order);
  }
  return order;
}

describe('a value', () => {
  test('arrives equal, with prototypes', () => {
    fc.assert(
      fc.property(tree, (value) => {
        assertArrived(roundTrip(value), value);
      }),
      { numRuns: 700 },
    );
  });

  test('arrives with what it shares, and nothing more', () => {
    fc.assert(
      fc.property(graph, (value) => {
        deepStrictEqual(objectsOf(roundTrip(value)), objectsOf(value));
      }),
      { numRuns: 300 },
    );
  });

  test('arrives equal as one of many arguments', () => {
    fc.assert(
      fc.property(fc.array(tree), (args) => {
        const bytes = encodeArgs(args);
        ok(bytes instanceof Uint8Array);
        assertArrived(decodeValue(bytes), args);
      }),
    );
  });

  test('is not changed by being encoded, nor are the bytes by what follows', () => {
    fc.assert(
      fc.property(tree, tree, (first, second) => {
        const bytes = encodeValue(first) as Uint8Array;
        const copy = bytes.slice();
        encodeValue(second);
        deepStrictEqual(bytes, copy);
      }),
    );
  });
});

describe('very many small objects', () => {
  /** Some that take much more memory than they have bytes. */
  const heavy = () => [[], {}, new Map(), new Set(), new Uint8Array(), { 9: 0 }];

  test('arrive, whatever is among them', () => {
    fc.assert(
      fc.property(fc.oneof(tree, graph), (value) => {
        const one = encodeValue([value, heavy()]) as Uint8Array;
        const copies = Math.min(2_000, Math.ceil(150_000 / one.length));
        const list = Array.from({ length: copies }, () => decodeValue(one));
        const arrived = roundTrip(list) as unknown[];
        strictEqual(arrived.length, copies);
        deepStrictEqual(arrived[0], list[0]);
        deepStrictEqual(arrived.at(-1), list.at(-1));
      }),
      { numRuns: 40 },
    );
  });

  test('arrive among errors with fields of their own, whatever was decoded before', () => {
    let names = 0;
    const part = fc.record({
      errors: fc.constantFrom(0, 1, 30, 600),
      rows: fc.constantFrom(0, 1, 40, 300),
      keys: fc.integer({ min: 1, max: 25 }),
      /** Whether the rows have the keys of the errors. */
      same: fc.boolean(),
      /** Whether it is decoded by itself before. */
      before: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
        const value = parts.map(({ errors, rows, keys, same }) => {
          const fields = () => {
            names++;
            return Object.fromEntries(
              Array.from({ length: keys }, (_, i) => [`f${names}_${i}`, 0]),
            );
          };
          const row = fields();
          return [
            Array.from({ length: errors }, () => {
              return Object.assign(new Error('x'), { stack: '' }, same ? row : fields());
            }),
            Array.from({ length: rows }, () => ({ ...row })),
          ];
        });
        for (const [i, { before }] of parts.entries()) if (before) roundTrip(value[i]);
        deepStrictEqual(roundTrip(value), value);
      }),
      { numRuns: 40 },
    );
  });

  test('are padded only so far that they arrive', () => {
    const list = Array.from({ length: 3_000 }, heavy);
    const encoded = encodeValue(list) as Uint8Array;
    strictEqual(Buffer.from(encoded.subarray(0, 3)).toString('hex'), 'd9eb0a');
    // The head of the padding: a byte string whose length takes four bytes.
    const head = encoded.lastIndexOf(0x5a);
    const padding = new DataView(encoded.buffer, encoded.byteOffset).getUint32(head + 1);
    strictEqual(head + 5 + padding, encoded.length);
    deepStrictEqual(decodeValue(encoded), list);
    const shorter = encoded.slice(0, encoded.length - 100);
    new DataView(shorter.buffer).setUint32(head + 1, padding - 100);
    throws(() => decodeValue(shorter), { message: /takes too much memory/ });
  });

  test('that people send are not padded', () => {
    const n = 20_000;
    const lists = [
      Array.from({ length: n }, (_, i) => ({ x: i, y: i })),
      Array.from({ length: n }, (_, i) => ({ id: i, name: `name ${i}`, at: new Date(i) })),
      Array.from({ length: n }, (_, i) => `text ${i}`),
      Array.from({ length: n }, (_, i) => [i, i + 0.5]),
      Array.from({ length: n }, (_, i) => i % 10),
      Object.fromEntries(Array.from({ length: n }, (_, i) => [`key-${i}-of-many`, { value: i }])),
      new Map(Array.from({ length: n }, (_, i) => [`key ${i}`, { value: i }])),
    ];
    for (const list of lists) {
      strictEqual((encodeValue(list) as Uint8Array)[0] === 0xd9, list instanceof Map);
      deepStrictEqual(roundTrip(list), list);
    }
  });
});

describe('large byte arrays', () => {
  test('arrive from wherever they stand', () => {
    const sizes = fc.array(fc.constantFrom(0, 1, 65_535, 65_536, 65_537, 100_001), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(sizes, tree, (lengths, other) => {
        const value = lengths.map((length, i) => {
          const bytes = new Uint8Array(length).fill(i + 1);
          return i % 2 === 0 ? { bytes, other } : new Map([['buffer', bytes.buffer]]);
        });
        const encoded = encodeValue(value);
        const [bytes, ...rest] = encoded instanceof Uint8Array ? [encoded] : encoded;
        strictEqual(rest.length, lengths.filter((length) => length >= 65_536).length);
        assertArrived(decodeValue(bytes!, rest), value);
      }),
      { numRuns: 50 },
    );
  });
});

describe('a value that cannot travel', () => {
  test('is refused, with the path to it', () => {
    fc.assert(
      fc.property(outside, ({ value, path }) => {
        try {
          encodeArgs([1, value]);
        } catch (error) {
          checkRefusal(error, `args[1]${path}`);
          return;
        }
        throw new Error('it was not refused');
      }),
      { numRuns: 300 },
    );
  });
});
