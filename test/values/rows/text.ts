import { ok, strictEqual } from 'node:assert/strict';
import type { Group } from '../row.ts';
import { alike } from '../same.ts';

function lastIndexed(): RegExp {
  const value = /a(b)?/giu;
  value.lastIndex = 7;
  return value;
}

export const text: Group = {
  title: 'Dates and patterns',
  file: 'text.ts',
  rows: [
    {
      type: '`Date`',
      wire: 'tag 1 (seconds), or tag 60164 (milliseconds) where a float of seconds is not exact',
      examples: {
        'with milliseconds': () => new Date(1_700_000_000_123),
        'the epoch': () => new Date(0),
        'before 1970': () => new Date(-1_501),
        'the year 275760': () => new Date(8.64e15),
        'the year -271821': () => new Date(-8.64e15),
        'one millisecond off the end': () => new Date(8.64e15 - 1),
      },
    },
    {
      type: 'an invalid `Date`',
      wire: 'tag 1 over NaN',
      examples: { invalid: () => new Date(Number.NaN) },
      check(arrived, sent) {
        // Node 20 holds two invalid dates for unequal.
        alike(arrived, sent);
        ok(arrived instanceof Date);
        strictEqual(arrived.getTime(), Number.NaN);
      },
    },
    {
      type: '`RegExp`',
      arrives: 'equal, with `lastIndex`',
      wire: "tag 27 over `['RegExp', source, flags, lastIndex?]`",
      examples: {
        simple: () => /x/,
        'all flags': () => /[/\n]é\u{1F600}/dgimsuy,
        empty: () => /(?:)/,
        lastIndex: lastIndexed,
      },
    },
  ],
};
