import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { Temporal } from 'temporal-polyfill/full';
import { install } from 'temporal-polyfill/full/shim';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodeValue, encodeArgs, encodeValue } from '../../../src/wire/value.ts';
import { assertArrived, hex, refusal, roundTrip, single } from './helpers.ts';

beforeAll(() => install());

const {
  Duration,
  Instant,
  PlainDate,
  PlainDateTime,
  PlainMonthDay,
  PlainTime,
  PlainYearMonth,
  ZonedDateTime,
} = Temporal;

describe('arrives equal', () => {
  const values: [name: string, value: object][] = [
    ['an Instant', Instant.fromEpochMilliseconds(-1).add({ nanoseconds: 1 })],
    ['the first Instant', new Instant(-(864n * 10n ** 19n))],
    ['a PlainDate', PlainDate.from('2026-02-28')],
    ['a PlainDate far away', new PlainDate(-271821, 4, 19)],
    ['a PlainDate of a calendar', PlainDate.from('2026-02-28[u-ca=hebrew]')],
    ['a PlainTime', PlainTime.from('23:59:59.123456789')],
    ['a PlainDateTime', PlainDateTime.from('2026-02-28T01:02:03.000000004[u-ca=japanese]')],
    ['a PlainYearMonth', PlainYearMonth.from('2026-02')],
    ['a PlainYearMonth of a calendar', PlainYearMonth.from('2026-02-28[u-ca=hebrew]')],
    ['a PlainYearMonth with a reference day', new PlainYearMonth(2026, 2, 'iso8601', 15)],
    ['the first PlainYearMonth', new PlainYearMonth(-271821, 4)],
    ['a PlainMonthDay', PlainMonthDay.from('02-29')],
    ['a PlainMonthDay of a calendar', PlainMonthDay.from('2026-02-28[u-ca=hebrew]')],
    ['a PlainMonthDay with a reference year', new PlainMonthDay(2, 28, 'iso8601', 2026)],
    ['a ZonedDateTime', ZonedDateTime.from('2026-10-25T02:30:00+01:00[Europe/Berlin]')],
    ['the same time an hour before', ZonedDateTime.from('2026-10-25T02:30+02:00[Europe/Berlin]')],
    ['a zone with seconds in its offset', new ZonedDateTime(-(3n * 10n ** 18n), 'Europe/Paris')],
    ['a zone that is an offset', ZonedDateTime.from('2026-01-01T00:00+05:30[+05:30]')],
    ['a ZonedDateTime of a calendar', new ZonedDateTime(1n, 'UTC', 'hebrew')],
    ['a Duration', Duration.from({ years: 1, days: 40, milliseconds: 1_500, nanoseconds: 7 })],
    ['a negative Duration', Duration.from({ hours: -30, seconds: -90 })],
    ['an empty Duration', new Duration()],
    ['a Duration beyond 2^53', Duration.from({ nanoseconds: 2 ** 60 })],
  ];

  test.each(values)('%s', (_name, value) => {
    assertArrived(roundTrip(value), value);
    const arrived = roundTrip([value, { value }]) as [object, { value: object }];
    strictEqual(arrived[0], arrived[1].value);
  });

  test('as text, where the text tells all', () => {
    const bytes = single(encodeValue(PlainDate.from('2026-02-28')));
    deepStrictEqual(
      Buffer.from(bytes).toString('latin1'),
      '\xd8\x1b\x82\x72Temporal.PlainDate\x6a2026-02-28',
    );
  });
});

describe('refused', () => {
  test('subclasses, properties, and what only has the prototype', () => {
    class Birthday extends PlainDate {}
    const named = Object.assign(new Duration(), { x: 1 });
    const false_ = Object.create(PlainDate.prototype);
    expect(refusal(() => encodeArgs([new Birthday(2000, 1, 1)])).message).toMatch(/of Birthday/);
    expect(refusal(() => encodeArgs([named])).message).toMatch(/Temporal\.Duration with prop/);
    expect(refusal(() => encodeArgs([false_])).message).toMatch(/reading it failed/);
  });

  test('what an engine has that follows a draft', () => {
    const draft = { ZonedDateTime: class ZonedDateTime {} };
    Object.defineProperty(draft.ZonedDateTime.prototype, Symbol.toStringTag, {
      value: 'Temporal.ZonedDateTime',
    });
    const known = Object.getOwnPropertyDescriptor(globalThis, 'Temporal')!;
    try {
      Object.defineProperty(globalThis, 'Temporal', { value: draft, configurable: true });
      const error = refusal(() => encodeArgs([new draft.ZonedDateTime()]));
      expect(error.message).toMatch(/of a draft .*polyfill/);
    } finally {
      Object.defineProperty(globalThis, 'Temporal', known);
    }
  });

  const damaged: [name: string, bytes: string][] = [
    ['no text', `81 72${name('Temporal.PlainDate')}`],
    ['no date', `82 72${name('Temporal.PlainDate')} 6161`],
    ['a month that is none', `82 77${name('Temporal.PlainYearMonth')} 6161`],
    ['half a duration', `82 71${name('Temporal.Duration')} 01`],
    ['a time without a zone', `82 76${name('Temporal.ZonedDateTime')} 01`],
    ['another class of that object', `82 6c${name('Temporal.Now')} 6161`],
  ];

  test.each(damaged)('damaged: %s', (_name, bytes) => {
    refusal(() => decodeValue(hex(`d81b ${bytes}`)));
  });
});

describe('a process without Temporal', () => {
  test('says so when a value of it arrives, and takes it once there is one', () => {
    const bytes = single(encodeValue({ due: PlainTime.from('12:00') }));
    const known = Object.getOwnPropertyDescriptor(globalThis, 'Temporal')!;
    Reflect.deleteProperty(globalThis, 'Temporal');
    try {
      expect(refusal(() => decodeValue(bytes)).message).toMatch(/this process has no Temporal/);
    } finally {
      Object.defineProperty(globalThis, 'Temporal', known);
    }
    ok((decodeValue(bytes) as { due: object }).due instanceof PlainTime);
  });
});

function name(text: string): string {
  return Buffer.from(text).toString('hex');
}
