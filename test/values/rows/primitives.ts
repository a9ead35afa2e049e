import type { Group } from '../row.ts';

export const primitives: Group = {
  title: 'Primitives',
  file: 'primitives.ts',
  rows: [
    {
      type: '`undefined`, `null`, booleans',
      wire: "CBOR's own",
      examples: {
        undefined: () => undefined,
        null: () => null,
        true: () => true,
        false: () => false,
      },
    },
    {
      type: 'numbers',
      wire: 'integer where it is one and safe, else float',
      examples: {
        '0': () => 0,
        '-0': () => -0,
        NaN: () => Number.NaN,
        Infinity: () => Number.POSITIVE_INFINITY,
        '-Infinity': () => Number.NEGATIVE_INFINITY,
        'a fraction': () => 0.1,
        'the smallest': () => Number.MIN_VALUE,
        'the largest': () => Number.MAX_VALUE,
        'the last safe integer': () => Number.MAX_SAFE_INTEGER,
        'the first unsafe integer': () => 2 ** 53,
        'integers of every length': () =>
          [0, 8, 16, 31, 32, 33, 52].flatMap((bits) => [2 ** bits - 1, 2 ** bits, -(2 ** bits)]),
      },
    },
    {
      type: '`bigint`',
      wire: 'tag 2 / 3 over a byte string, however small (an integer beyond 2^53 - 1 is read as one, too)',
      examples: {
        '0': () => 0n,
        '-1': () => -1n,
        '2^64': () => 2n ** 64n,
        '-2^64 - 1': () => -(2n ** 64n) - 1n,
        '2^5000': () => 2n ** 5000n,
      },
    },
    {
      type: 'boxed primitives',
      wire: "tag 27 over `['Number', 1]`; `String`, `Boolean`, `BigInt`",
      examples: {
        Number: () => [Object(1), Object(-0), Object(Number.NaN)],
        String: () => [Object(''), Object('aä€😀'), Object('\uD800')],
        Boolean: () => [Object(true), Object(false)],
        BigInt: () => Object(2n ** 64n),
      },
    },
    {
      type: 'strings',
      wire: 'text',
      examples: {
        empty: () => '',
        'text of every width': () => 'aä€😀',
        'a byte order mark': () => '\uFEFFtext',
        'a null character': () => 'a\0b',
        'composed and not': () => ['\u00e9', 'e\u0301'],
        '1 MiB': () => 'ä'.repeat(512 * 1024),
      },
    },
    {
      type: 'strings with lone surrogates',
      wire: 'tag 60163 over UTF-16LE bytes',
      examples: {
        high: () => '\uD800',
        'low, inside': () => 'a\uDC00b',
        'in the wrong order': () => '\uDC00\uD800',
        'as a key': () => ({ 'x\uD83D': 1 }),
        'at the end of long text': () => `${'ä'.repeat(100_000)}\uD83D`,
      },
    },
  ],
};
