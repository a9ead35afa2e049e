import { deepStrictEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { SerializationError } from '../../../src/errors.ts';
import { encodeError } from '../../../src/wire/error.ts';
import { decodeValue, encodeValue } from '../../../src/wire/value.ts';
import { assertArrived } from '../../unit/wire/helpers.ts';
import { graph, tree } from './arbitraries.ts';

/** What happens to bytes on the way, by accident or by design. */
type Mutation = (bytes: Uint8Array) => Uint8Array;

const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

/** Heads that claim more than is there, open what is never closed, or mean something special. */
const heads = [
  '9affffffff',
  'baffffffff',
  '5affffffff',
  '7affffffff',
  '9b001fffffffffffff',
  '98ff',
  'd90103b9ffff',
  'd9010299ffff',
  'd9eb00',
  'd9eb0100',
  'd9eb0200',
  'd9eb0983',
  'd9eb0e841840',
  'd81b82',
  'c25affffffff',
  'bf',
  'ff',
  'e0',
  'd81b',
].map((head) => Buffer.from(head, 'hex'));

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(position, fc.nat(7)).map(
    ([at, bit]): Mutation =>
      (bytes) => {
        const index = Math.floor(at * bytes.length);
        return bytes.map((byte, i) => (i === index ? byte ^ (1 << bit) : byte));
      },
  ),
  fc.tuple(position, fc.nat(255)).map(
    ([at, value]): Mutation =>
      (bytes) => {
        const index = Math.floor(at * bytes.length);
        return bytes.map((byte, i) => (i === index ? value : byte));
      },
  ),
  position.map(
    (at): Mutation =>
      (bytes) =>
        bytes.slice(0, Math.floor(at * bytes.length)),
  ),
  fc.tuple(position, position, position).map(
    ([from, to, at]): Mutation =>
      (bytes) => {
        const part = bytes.slice(Math.floor(from * bytes.length), Math.floor(to * bytes.length));
        return splice(bytes, at, part);
      },
  ),
  fc.tuple(position, fc.constantFrom(...heads)).map(
    ([at, head]): Mutation =>
      (bytes) => {
        return splice(bytes, at, head);
      },
  ),
  fc.tuple(position, fc.constantFrom(...heads), fc.nat(2_000)).map(([at, head, n]): Mutation => {
    return (bytes) => splice(bytes, at, Buffer.concat(new Array<Buffer>(n % 50).fill(head)));
  }),
);

const original: fc.Arbitrary<Uint8Array> = fc.oneof(
  tree.map((value) => encodeValue(value) as Uint8Array),
  graph.map((value) => encodeValue(value) as Uint8Array),
  tree.map((value) => encodeError(new TypeError('x', { cause: value }))),
);

function splice(bytes: Uint8Array, at: number, part: Uint8Array): Uint8Array {
  const index = Math.floor(at * bytes.length);
  return Buffer.concat([bytes.subarray(0, index), part, bytes.subarray(index)]);
}

/** Decodes, and allows no other failure than the one that is promised. */
function decodesOrRefuses(bytes: Uint8Array): void {
  const { stackTraceLimit } = Error;
  try {
    decodeValue(bytes, []);
  } catch (error) {
    ok(error instanceof SerializationError, `not a SerializationError: ${String(error)}`);
  }
  ok(Error.stackTraceLimit === stackTraceLimit);
}

const builtIns = [Object, Array, Map, Set, Error, Function].map((Class) => Class.prototype);

function snapshot(): unknown[] {
  return builtIns.map((prototype) => Reflect.ownKeys(prototype));
}

test('mutated bytes decode to a value or are refused', () => {
  const before = snapshot();
  fc.assert(
    fc.property(original, fc.array(mutation, { minLength: 1, maxLength: 4 }), (bytes, steps) => {
      decodesOrRefuses(steps.reduce((mutated, step) => step(mutated), bytes));
    }),
    { numRuns: 3_000 },
  );
  deepStrictEqual(snapshot(), before);
});

test('bytes of chance too', () => {
  const before = snapshot();
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), decodesOrRefuses), { numRuns: 5_000 });
  deepStrictEqual(snapshot(), before);
});

test('and the next value is not affected', () => {
  fc.assert(
    fc.property(original, mutation, tree, (bytes, mutate, value) => {
      decodesOrRefuses(mutate(bytes));
      assertArrived(decodeValue(encodeValue(value) as Uint8Array), value);
    }),
    { numRuns: 500 },
  );
});
