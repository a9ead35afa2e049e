/** Values of the grammar that travels, for the tests of the codec. */
import fc from 'fast-check';
import { codePoint } from '../text.ts';
import { memory } from './memory.ts';
import { instanceAround, reference } from './named.ts';
import { fromEntries } from './properties.ts';
import { temporal } from './temporal.ts';

/** Keys and strings: readable ones, dangerous ones, and any code units at all. */
export const text: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: codePoint, maxLength: 40 }),
  fc.array(fc.integer({ min: 0xd700, max: 0xe000 }), { maxLength: 5 }).map(fromCodeUnits),
  fc.constantFrom('__proto__', 'constructor', 'hasOwnProperty', 'toString', 'length', '0', ''),
);

const number = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.maxSafeInteger(),
  fc.constantFrom(-0, 2 ** 32, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY),
);

const bytes = fc.uint8Array({ maxLength: 40 });

const error: fc.Arbitrary<Error> = fc
  .record({
    Class: fc.constantFrom(Error, TypeError, RangeError, URIError),
    message: text,
    code: number,
  })
  .map(({ Class, message, code }) => Object.assign(new Class(message), { code }));

const pairs = fc.array(fc.tuple(text, text), { maxLength: 4 });

/** Not by `fc.webUrl`, which needs a table of all characters: see `codePoint`. */
const url: fc.Arbitrary<URL> = fc
  .record({
    origin: fc.oneof(
      fc.constant('file://'),
      fc.tuple(fc.constantFrom('http', 'https'), fc.domain()).map((parts) => parts.join('://')),
    ),
    path: text,
    query: pairs,
    hash: text,
  })
  .map(({ origin, path, query, hash }) => {
    const value = new URL(origin);
    value.pathname = path;
    value.search = String(new URLSearchParams(query));
    value.hash = hash;
    return value;
  });

const headers: fc.Arbitrary<Headers> = fc
  .array(
    fc.tuple(
      fc.oneof(
        fc.constantFrom('Set-Cookie', 'set-cookie'),
        fc.stringMatching(/^[-!#$%&'*+.^_`|~\w]+$/),
      ),
      fc.stringMatching(/^[\t -~\x80-\xff]*$/),
    ),
  )
  .map((entries) => new Headers(entries));

const box: fc.Arbitrary<object> = fc
  .oneof(number, text, fc.boolean(), fc.bigInt())
  .map((value) => Object(value) as object);

/** Objects without other values inside. A Date here is valid: Node 20 holds invalid ones for unequal. */
const leafObject: fc.Arbitrary<object> = fc.oneof(
  fc.date({ noInvalidDate: true }),
  fc.constantFrom(/x/, /[^/]+\n/dgimsuy).map((value) => new RegExp(value)),
  bytes.map((value) => new Uint8Array(value)),
  bytes.map((value) => Buffer.from(value)),
  bytes.map((value) => value.slice().buffer),
  bytes.map((value) => new DataView(value.slice().buffer)),
  fc.int16Array({ maxLength: 10 }),
  fc.uint8ClampedArray({ maxLength: 10 }),
  fc.float32Array({ maxLength: 10 }),
  fc.float64Array({ maxLength: 10 }),
  fc.bigInt64Array({ maxLength: 10 }),
  url,
  pairs.map((entries) => new URLSearchParams(entries)),
  headers,
  box,
  temporal,
  error,
);

const leaf: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 6, arbitrary: number },
  { weight: 6, arbitrary: text },
  { weight: 2, arbitrary: fc.boolean() },
  { weight: 2, arbitrary: fc.constantFrom(undefined, null) },
  { weight: 2, arbitrary: fc.bigInt() },
  { weight: 6, arbitrary: leafObject },
  { weight: 1, arbitrary: reference },
);

/** Any value that travels, as a tree. */
export const tree: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value')),
    fc.sparseArray(tie('value'), { maxNumElements: 6, maxLength: 20 }),
    fc.array(fc.tuple(text, tie('value'))).map((entries) => fromEntries({}, entries)),
    fc.array(fc.tuple(text, tie('value'))).map(nullObject),
    fc.array(fc.tuple(tie('value'), tie('value'))).map((entries) => new Map(entries)),
    fc.array(tie('value')).map((values) => new Set(values)),
    instanceAround(text, tie('value')),
    memory,
  ),
})).value;

/** Any value that travels, with objects that occur more than once, and with cycles. */
export const graph: fc.Arbitrary<unknown> = fc
  .record({ pool: fc.array(tree, { minLength: 1, maxLength: 4 }), picks: fc.array(fc.nat(9)) })
  .map(({ pool, picks }) => {
    const root: unknown[] = [];
    const map = new Map<unknown, unknown>();
    const all = [...pool, root, map];
    for (const pick of picks) root.push(all[pick % all.length]);
    map.set('root', root).set('pool', pool);
    return root;
  });

function fromCodeUnits(units: number[]): string {
  return String.fromCharCode(...units);
}

function nullObject(entries: [string, unknown][]): object {
  return fromEntries(Object.create(null) as object, entries);
}
