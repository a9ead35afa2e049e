import type { Group } from '../row.ts';

const shared = () => ({ n: 1 });

/** A value of each container, in a circle, and all of them in one. */
function circle(): object {
  const array: unknown[] = [];
  const object: Record<string, unknown> = { array };
  const map = new Map<unknown, unknown>([['object', object]]);
  const set = new Set<unknown>([map]);
  const bare = Object.assign(Object.create(null), { set }) as object;
  map.set(map, map);
  set.add(set);
  array.push(array, object, bare);
  return object;
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i += 1) value = i % 2 === 0 ? [value] : { value };
  return value;
}

/** What data from outside may hold, and what an assignment would not make a property. */
function withProto(value: unknown): object {
  return Object.defineProperty({ a: 1 }, '__proto__', {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
}

export const collections: Group = {
  title: 'Collections',
  file: 'collections.ts',
  rows: [
    {
      type: 'arrays',
      wire: 'array',
      examples: {
        empty: () => [],
        'of anything': () => [1, 'a', null, undefined, [], [[]], {}],
        long: () => Array.from({ length: 10_000 }, (_, i) => i - 5_000),
        'nested 900 deep': () => nested(900),
      },
    },
    {
      type: 'sparse arrays',
      arrives: 'equal; with up to 1,000,000 empty places',
      wire: 'array; simple value 0 in an empty place',
      examples: {
        // biome-ignore lint/suspicious/noSparseArray: what is tested
        'empty places and undefined': () => [1, , undefined, , 'x'],
        'empty at both ends': () => {
          const value = new Array<unknown>(4);
          value[1] = undefined;
          return value;
        },
        'nothing but empty places': () => new Array(5),
        '10,000 empty places': () => new Array(10_000),
      },
    },
    {
      type: 'plain objects',
      wire: 'map with text keys; of indefinite length from 24 keys on',
      examples: {
        empty: () => ({}),
        'in the order of its keys': () => ({ z: 1, a: { b: [undefined] }, 'not-a-name': 2, '': 3 }),
        'keys like numbers': () => ({ 2: 'b', 1: 'a', '-1': 'c', '01': 'd', 4294967295: 'e' }),
        'keys that others stumble over': () => ({ constructor: 1, toString: 2, length: 3 }),
        '23 and 24 keys': () =>
          [23, 24].map((n) =>
            Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, i])),
          ),
        '1,000 keys': () =>
          Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, i])),
        'a key that is a method': () => ({ toJSON: 'x', valueOf: null }),
      },
    },
    {
      type: 'objects with an own key `__proto__`',
      arrives: 'equal; no prototype is touched',
      wire: 'as any key',
      examples: {
        'an object': () => withProto({ polluted: true }),
        null: () => withProto(null),
        'from JSON': () => JSON.parse('{"__proto__": {"__proto__": {"polluted": true}}}'),
        'in an object without a prototype': () =>
          Object.assign(Object.create(null), { ['__proto__']: { polluted: true } }),
      },
    },
    {
      type: 'objects without a prototype',
      wire: 'tag 60165 over a map',
      examples: {
        empty: () => Object.create(null),
        'with properties': () => Object.assign(Object.create(null), { a: { b: 1 }, toString: 2 }),
      },
    },
    {
      type: '`Map`',
      wire: 'tag 259 over a map',
      examples: {
        empty: () => new Map(),
        'in the order of its entries': () =>
          new Map<unknown, unknown>([
            ['b', 1],
            ['a', 2],
            [{ key: 1 }, new Map()],
            [Number.NaN, -0],
            [undefined, null],
            [1, 'number'],
            ['1', 'text'],
          ]),
      },
    },
    {
      type: '`Set`',
      wire: 'tag 258 over an array',
      examples: {
        empty: () => new Set(),
        'in the order of its values': () =>
          new Set<unknown>(['b', 'a', undefined, Number.NaN, new Set([null]), 1, '1']),
      },
    },
    {
      type: 'the same object more than once',
      arrives: 'as one object, across all arguments of a call, too',
      wire: 'tag 60160 around the whole value; tag 60161 over n is its n-th object again',
      examples: {
        'in an array': () => {
          const one = shared();
          return [one, one, shared()];
        },
        'in every container': () => {
          const one = shared();
          return { a: one, b: [one], c: new Map([[one, new Set([one])]]) };
        },
        'of every kind': () => {
          const all = [[], new Map(), new Set(), new Date(0), /x/, new Uint8Array(1), new Error()];
          return [all, ...all];
        },
        '5,000 objects, each twice': () => {
          const all = Array.from({ length: 5_000 }, () => []);
          return [all, all.toReversed()];
        },
      },
    },
    {
      type: 'very many tiny objects',
      arrives: 'equal',
      wire: 'tag 60170 around the whole value, see [below](#what-a-value-may-take-in-memory)',
      examples: {
        'empty arrays': () => Array.from({ length: 20_000 }, () => []),
        'empty objects': () => new Set(Array.from({ length: 10_000 }, () => ({}))),
      },
    },
    {
      type: 'cycles',
      arrives: 'equal',
      wire: 'the same tags',
      examples: {
        'an array in itself': () => {
          const value: unknown[] = [1];
          value.push(value);
          return value;
        },
        'parent and child': () => {
          const parent = { children: [] as unknown[] };
          parent.children.push({ parent }, { parent });
          return parent;
        },
        'through every container': circle,
      },
    },
  ],
};
