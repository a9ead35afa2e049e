import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { runInNewContext } from 'node:vm';
import type { Group } from '../row.ts';
import { same } from '../same.ts';

/** Arrives as `expected`, whatever the example was. */
const as = (expected: () => unknown) => (arrived: unknown) => same(arrived, expected());

const plain = () => ({ a: 1, b: 2 });

export const changed: Group = {
  title: 'Arrives otherwise',
  file: 'changed.ts',
  rows: [
    {
      type: 'properties that are not enumerable, with a symbol for a key or not',
      arrives:
        'left out; of an error, `name`, `message`, `stack`, `cause` and `errors` arrive all the same',
      wire: 'nothing',
      examples: {
        'of an object': () => Object.defineProperty(plain(), 'hidden', { value: 1 }),
        'with a symbol': () => Object.defineProperty(plain(), Symbol('hidden'), { value: 1 }),
      },
      check: as(plain),
    },
    {
      type: 'getters and setters',
      arrives: 'an ordinary property with the value that was read; a setter alone as `undefined`',
      wire: 'the value',
      examples: {
        'of an object': () => ({
          a: 1,
          get b() {
            return 2;
          },
          set c(value: unknown) {
            throw value;
          },
        }),
      },
      check(arrived) {
        same(arrived, { a: 1, b: 2, c: undefined });
        deepStrictEqual(Object.getOwnPropertyDescriptor(arrived, 'b'), {
          value: 2,
          writable: true,
          enumerable: true,
          configurable: true,
        });
      },
    },
    {
      type: 'frozen and sealed objects, read-only properties',
      arrives: 'equal, and open to change',
      wire: 'as others',
      examples: {
        frozen: () => Object.freeze(plain()),
        sealed: () => Object.seal(plain()),
        'not extensible': () => Object.preventExtensions(plain()),
        'a read-only property': () => Object.defineProperty(plain(), 'a', { writable: false }),
      },
      check(arrived) {
        same(arrived, plain());
        ok(Object.isExtensible(arrived));
        for (const { writable, configurable } of Object.values(
          Object.getOwnPropertyDescriptors(arrived),
        )) {
          ok(writable && configurable);
        }
      },
    },
    {
      type: 'properties that were added to a typed array or a `Buffer`',
      arrives: 'left out',
      wire: 'nothing',
      examples: {
        'a Uint8Array': () => Object.assign(Uint8Array.of(1), { x: 1 }),
        'a Float64Array': () => Object.assign(Float64Array.of(1), { x: 1 }),
        'a Buffer': () => Object.assign(Buffer.of(1), { x: 1 }),
        'a length that is a lie': () =>
          Object.defineProperty(Uint8Array.of(1), 'byteLength', { value: 1e9 }),
      },
      check(arrived) {
        deepStrictEqual(Object.keys(arrived as object), ['0']);
        strictEqual((arrived as Uint8Array)[0], 1);
      },
    },
    {
      type: 'objects of another realm (`node:vm`)',
      arrives: "this realm's: a `Map` of there as a `Map`",
      wire: 'as others',
      examples: {
        'of every kind': () =>
          runInNewContext(
            "({ map: new Map([['a', [1]]]), date: new Date(5), bytes: Uint8Array.of(1) })",
          ),
      },
      check: as(() => ({ map: new Map([['a', [1]]]), date: new Date(5), bytes: Uint8Array.of(1) })),
    },
    {
      type: 'the `searchParams` of a `URL`, beside it',
      arrives: 'equal, and apart from it',
      wire: 'both',
      examples: {
        'in an array': () => {
          const url = new URL('https://example.test/?a=1');
          return [url, url.searchParams];
        },
      },
      check(arrived, sent) {
        same(arrived, sent);
        const [url, params] = arrived as [URL, URLSearchParams];
        params.append('b', '2');
        strictEqual(url.search, '?a=1');
      },
    },
    {
      type: 'views on one buffer that do not overlap',
      arrives: 'equal, each with a buffer of its own and no more than it shows',
      wire: 'byte strings',
      examples: {
        'two views': () => {
          const { buffer } = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]);
          return [new Uint8Array(buffer, 0, 4), new DataView(buffer, 4, 2)];
        },
        'a part of the pool of buffers': () => [
          Buffer.from('abc'),
          Buffer.from('d').subarray(0, 1),
        ],
      },
      check(arrived, sent) {
        same(arrived, sent);
        const buffers = (arrived as ArrayBufferView[]).map(({ buffer, byteOffset, byteLength }) => {
          strictEqual(byteOffset, 0);
          strictEqual(buffer.byteLength, byteLength);
          return buffer;
        });
        strictEqual(new Set(buffers).size, 2);
      },
    },
  ],
};
