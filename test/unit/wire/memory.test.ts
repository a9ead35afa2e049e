import { deepStrictEqual, notStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import { decodeError, encodeError } from '../../../src/wire/error.ts';
import { decodeValue, encodeArgs, encodeValue } from '../../../src/wire/value.ts';
import { hex, parts, refusal, roundTrip, single } from './helpers.ts';

const KIB = 1024;

/** Bytes 0, 1, 2 and so on. */
function counted(size: number): ArrayBuffer {
  return Uint8Array.from({ length: size }, (_, i) => i).buffer;
}

describe('memory that is shared arrives shared', () => {
  test('two views of the same bytes', () => {
    const buffer = counted(16);
    const arrived = roundTrip({ bytes: new Uint8Array(buffer), words: new Uint32Array(buffer) });
    strictEqual(arrived.bytes.buffer, arrived.words.buffer);
    arrived.words[1] = 0xffff_ffff;
    deepStrictEqual([...arrived.bytes.subarray(3, 9)], [3, 255, 255, 255, 255, 8]);
  });

  test('a view and its buffer, whichever comes first', () => {
    const buffer = counted(16);
    const view = new Int16Array(buffer, 4, 2);
    for (const sent of [
      { view, buffer },
      { buffer, view },
    ]) {
      const arrived = roundTrip(sent);
      deepStrictEqual(arrived, sent);
      strictEqual(arrived.view.buffer, arrived.buffer);
      strictEqual(arrived.view.byteOffset, 4);
      strictEqual(arrived.buffer.byteLength, 16);
    }
  });

  test('all views of a buffer that is there, also empty ones', () => {
    const buffer = counted(16);
    const empty = new ArrayBuffer(0);
    const sent = [
      new Uint8Array(buffer, 0, 2),
      new Uint8Array(buffer, 9, 0),
      buffer,
      empty,
    ] as const;
    const arrived = roundTrip([...sent, new Float64Array(empty)] as const);
    for (const view of [arrived[0], arrived[1]]) strictEqual(view.buffer, arrived[2]);
    strictEqual(arrived[1].byteOffset, 9);
    strictEqual(arrived[4].buffer, arrived[3]);
  });

  test('views of all kinds', () => {
    const buffer = counted(64);
    const sent = [
      new Uint8Array(buffer, 1, 63),
      Buffer.from(buffer, 3, 50),
      new DataView(buffer, 5, 20),
      new Uint8ClampedArray(buffer, 7, 2),
      new Int8Array(buffer, 7, 2),
      new Uint16Array(buffer, 6, 3),
      new Int16Array(buffer, 10, 3),
      new Uint32Array(buffer, 4, 3),
      new Int32Array(buffer, 12, 3),
      new Float32Array(buffer, 20, 1),
      new Float64Array(buffer, 8, 2),
      new BigInt64Array(buffer, 16, 2),
      new BigUint64Array(buffer, 24, 3),
    ];
    const arrived = roundTrip(sent);
    deepStrictEqual(arrived, sent);
    for (const view of arrived) strictEqual(view.buffer, arrived[0]!.buffer);
  });

  test('views that are joined by a third one', () => {
    const buffer = counted(30);
    const sent = [
      [0, 12],
      [18, 12],
      [10, 10],
    ].map(([at, n]) => new Uint8Array(buffer, at, n));
    const arrived = roundTrip(sent);
    deepStrictEqual(arrived, sent);
    strictEqual(arrived[0]!.buffer, arrived[1]!.buffer);
    strictEqual(arrived[0]!.buffer, arrived[2]!.buffer);
  });

  test('across arguments, and where a view occurs twice', () => {
    const buffer = counted(8);
    const [a, b] = [new Uint8Array(buffer, 0, 6), new Uint8Array(buffer, 2, 6)];
    const arrived = decodeValue(single(encodeArgs([a, { b }, [a, b]]))) as [
      Uint8Array,
      { b: Uint8Array },
      Uint8Array[],
    ];
    arrived[0][2] = 99;
    strictEqual(arrived[1].b[0], 99);
    strictEqual(arrived[2][0], arrived[0]);
    strictEqual(arrived[2][1], arrived[1].b);
  });

  test('inside of errors, around a part that does not arrive', () => {
    const buffer = counted(8);
    const [a, b, c] = [
      new Uint8Array(buffer, 0, 6),
      new Uint8Array(buffer, 2, 6),
      new Uint8Array(buffer),
    ];
    const error = Object.assign(new Error('x'), { lost: [c, () => {}], a, b });
    const arrived = decodeError(encodeError(error)) as typeof error;
    deepStrictEqual([arrived.a, arrived.b], [a, b]);
    strictEqual(arrived.a.buffer, arrived.b.buffer);
    expect(arrived.lost).toMatch(/not sent/);
  });

  test('made anew whenever they are read', () => {
    const buffer = counted(8);
    const sent = {
      get first() {
        return new Uint8Array(buffer, 0, 4);
      },
      get second() {
        return new Uint16Array(buffer, 2, 1);
      },
    };
    const arrived = roundTrip(sent);
    strictEqual(arrived.first.buffer, arrived.second.buffer);
    deepStrictEqual([...arrived.first], [0, 1, 2, 3]);
  });
});

describe('memory that is not shared arrives apart', () => {
  test('views side by side', () => {
    const buffer = counted(16);
    const arrived = roundTrip([new Uint8Array(buffer, 0, 8), new Uint8Array(buffer, 8)] as const);
    notStrictEqual(arrived[0].buffer, arrived[1].buffer);
    strictEqual(arrived[0].buffer.byteLength, 8);
  });

  test('in any order', () => {
    const buffer = counted(24);
    const arrived = roundTrip([16, 0, 8].map((offset) => new Uint8Array(buffer, offset, 8)));
    strictEqual(new Set(arrived.map((view) => view.buffer)).size, 3);
  });

  test('and an empty view inside of another', () => {
    const buffer = counted(16);
    const arrived = roundTrip([new Uint8Array(buffer), new Uint8Array(buffer, 4, 0)] as const);
    notStrictEqual(arrived[0].buffer, arrived[1].buffer);
  });

  test('groups of one buffer', () => {
    const buffer = counted(40);
    const views = [0, 20, 4, 24].map((offset) => new Uint8Array(buffer, offset, 8));
    const arrived = roundTrip(views);
    deepStrictEqual(arrived, views);
    strictEqual(arrived[0]!.buffer, arrived[2]!.buffer);
    strictEqual(arrived[1]!.buffer, arrived[3]!.buffer);
    notStrictEqual(arrived[0]!.buffer, arrived[1]!.buffer);
    strictEqual(arrived[1]!.buffer.byteLength, 12);
  });
});

describe('bytes that no view shows stay here', () => {
  test('in front of a group, behind it, and between groups', () => {
    const buffer = counted(100);
    const views = [10, 13, 50, 51].map((offset) => new Uint8Array(buffer, offset, 5));
    const bytes = Buffer.from(single(encodeValue(views)));
    for (let i = 10; i < 18; i++) ok(bytes.includes(Buffer.from([i, i + 1].slice(0, 18 - i))));
    for (const byte of [9, 18, 49, 56]) ok(!bytes.includes(byte), String(byte));
  });

  test('nor those of a part of an error that does not arrive', () => {
    const buffer = counted(100);
    const kept = new Uint8Array(buffer, 60, 20);
    const error = Object.assign(new Error('x'), { lost: [new Uint8Array(buffer, 70), () => {}] });
    const bytes = encodeError(Object.assign(error, { kept }), { stack: false });
    ok(Buffer.from(bytes).includes(Buffer.from([78, 79])));
    ok(!Buffer.from(bytes).includes(Buffer.from([79, 80])));
  });

  test('but for zeros where alignment needs room', () => {
    const buffer = counted(100);
    const views = [new Uint8Array(buffer, 61, 20), new Float64Array(buffer, 72, 1)] as const;
    const encoded = single(encodeValue(views));
    ok(!Buffer.from(encoded).includes(60));
    const arrived = decodeValue(encoded) as typeof views;
    deepStrictEqual(arrived, views);
    strictEqual(arrived[0].byteOffset, 61 % 8);
    deepStrictEqual([...new Uint8Array(arrived[0].buffer, 0, 5)], [0, 0, 0, 0, 0]);
  });
});

describe('large memory', () => {
  test('travels as one attachment, without a copy', () => {
    const buffer = new Uint8Array(128 * KIB).fill(3).buffer;
    const sent = [new Uint8Array(buffer, 8), new Float64Array(buffer, 8, 10)];
    const [, attachment, ...more] = parts(encodeValue(sent));
    strictEqual(more.length, 0);
    strictEqual(attachment!.buffer, buffer);
    strictEqual(attachment!.byteLength, 128 * KIB - 8);
    const arrived = roundTrip(sent);
    deepStrictEqual(arrived, sent);
    strictEqual(arrived[0]!.buffer, arrived[1]!.buffer);
  });

  test('many views of one buffer take no more than their number in time', () => {
    const buffer = new ArrayBuffer(120_000);
    const views = Array.from({ length: 30_000 }, (_, i) => new Uint8Array(buffer, i * 4, 3));
    const pairs = [views, views.map(({ byteOffset }) => new Uint8Array(buffer, byteOffset + 1, 1))];
    const start = performance.now();
    const arrived = roundTrip(pairs);
    ok(performance.now() - start < 5_000);
    strictEqual(arrived[0]![77]!.buffer, arrived[1]![77]!.buffer);
  });
});

describe('damaged views are refused', () => {
  // An ArrayBuffer of eight bytes.
  const buffer = 'd9eb06 48 0001020304050607';
  const cases: [name: string, bytes: string][] = [
    ['too few parts', `d9eb0e 83 1840 ${buffer} 00`],
    ['a type that is none', `d9eb0e 84 00 ${buffer} 00 01`],
    ['a buffer that is none', 'd9eb0e 84 1840 48 0001020304050607 00 01'],
    ['a buffer that is text', 'd9eb0e 84 1840 6161 00 01'],
    ['an end behind the buffer', `d9eb0e 84 1840 ${buffer} 00 09`],
    ['a start behind the buffer', `d9eb0e 84 1840 ${buffer} 09 00`],
    ['an end far behind the buffer', `d9eb0e 84 1840 ${buffer} 01 1b001fffffffffffff`],
    ['an end no number can hold', `d9eb0e 84 1840 ${buffer} 01 1bffffffffffffffff`],
    ['a Buffer beyond the buffer', `d9eb0e 84 19eb07 ${buffer} 01 08`],
    ['a Buffer behind the buffer', `d9eb0e 84 19eb07 ${buffer} 09 01`],
    ['a DataView beyond the buffer', `d9eb0e 84 19eb08 ${buffer} 01 08`],
    ['elements that are not aligned', `d9eb0e 84 1845 ${buffer} 01 01`],
    ['elements beyond the buffer', `d9eb0e 84 1845 ${buffer} 02 04`],
    ['a negative start', `d9eb0e 84 1840 ${buffer} 20 01`],
    ['a reference to no buffer', 'd9eb00 82 80 d9eb0e 84 1840 d9eb0101 00 00'],
    ['a reference to itself', 'd9eb00 d9eb0e 84 1840 d9eb0100 00 00'],
  ];

  test.each(cases)('%s', (_name, bytes) => {
    refusal(() => decodeValue(hex(bytes)));
  });

  test('and whole ones are not', () => {
    deepStrictEqual(
      decodeValue(hex(`d9eb0e 84 1845 ${buffer} 02 03`)),
      new Uint16Array(counted(8), 2, 3),
    );
  });
});
