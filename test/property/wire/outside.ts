/** Values outside of the grammar that travels. */
import { ok, strictEqual } from 'node:assert/strict';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { SerializationError } from '../../../src/errors.ts';
import { text, tree } from './arbitraries.ts';
import { fromEntries } from './properties.ts';

/** One step into a value: how to build it around the rest, and how an error names it. */
interface Step {
  readonly name: string;
  readonly around: (inner: unknown) => unknown;
}

const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.array(tree, { maxLength: 3 }).map((before): Step => {
    return { name: `[${before.length}]`, around: (inner) => [...before, inner, 1] };
  }),
  fc.tuple(text, fc.dictionary(fc.stringMatching(/^other[a-z]$/), tree)).map(([key, others]) => {
    const name = identifier.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
    const around = (inner: unknown) => fromEntries({ ...others }, [[key, inner]]);
    return { name, around };
  }),
  text.map((key): Step => {
    const around = (inner: unknown) =>
      new Map<unknown, unknown>([
        [1, 'x'],
        [key, inner],
      ]);
    return { name: `.get(${JSON.stringify(key)})`, around };
  }),
  fc.constant<Step>({ name: '.values()[1]', around: (inner) => new Set(['first', inner]) }),
  fc.constant<Step>({
    name: '.keys()[1]',
    around: (inner) =>
      new Map([
        [0, 1],
        [inner, 2],
      ] as never),
  }),
);

const unsupported: fc.Arbitrary<unknown> = fc
  .constantFrom<(() => unknown)[]>(
    () => () => {},
    () => Symbol('s'),
    () => Promise.resolve(),
    () => new WeakMap(),
    () => new WeakRef({}),
    () => new (class Thing {})(),
    () => Object(Symbol('s')),
    () => new SharedArrayBuffer(1),
    () => new Uint8Array(new SharedArrayBuffer(1)),
    () => new Blob(['x']),
    () => [1].values(),
    () => Object.create({ x: 1 }),
    () => Math,
    () => runInNewContext('new (class extends Map {})()') as unknown,
    () => new Proxy({}, { ownKeys: () => ['x', 'x'] }),
  )
  .map((make) => make());

/** A value, and the path of the part of it that can't travel. */
export interface Outside {
  readonly value: unknown;
  readonly path: string;
}

export const outside: fc.Arbitrary<Outside> = fc
  .tuple(unsupported, fc.array(step, { maxLength: 8 }))
  .map(([part, steps]) => ({
    value: steps.reduceRight((inner, { around }) => around(inner), part),
    path: steps.map(({ name }) => name).join(''),
  }));

/** Of a longer path the middle is left out. */
const LONGEST = 240;

/** @throws when the error does not name the place */
export function checkRefusal(error: unknown, path: string): void {
  ok(error instanceof SerializationError, String(error));
  const half = LONGEST / 2;
  const shown = path.length <= LONGEST ? path : `${path.slice(0, half)}…${path.slice(-half)}`;
  strictEqual(error.path, shown);
  ok(error.message.startsWith(`${shown}: `));
}
