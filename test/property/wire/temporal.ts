/** Any value of Temporal. Loading this gives the process Temporal where it has none. */
import fc from 'fast-check';
import { Temporal } from 'temporal-polyfill/full';
import { install } from 'temporal-polyfill/full/shim';

install();

const LAST = 864n * 10n ** 19n;

const instant = fc.bigInt({ min: -LAST, max: LAST }).map((value) => new Temporal.Instant(value));

const zone = fc.constantFrom('UTC', '+05:30', 'Europe/Paris', 'America/New_York', 'Asia/Kolkata');
const calendar = fc.constantFrom('iso8601', 'hebrew', 'japanese', 'gregory');

/** Within the years that every calendar can tell. */
const zoned = fc
  .tuple(fc.bigInt({ min: -6n * 10n ** 18n, max: 6n * 10n ** 18n }), zone, calendar)
  .map((args) => new Temporal.ZonedDateTime(...args));

const duration = fc
  .tuple(fc.array(fc.nat(2 ** 31 - 1), { minLength: 10, maxLength: 10 }), fc.boolean())
  .map(([parts, past]) => new Temporal.Duration(...parts.map((part) => (past ? -part : part))));

const referenceDate = fc.tuple(
  fc.integer({ min: 1800, max: 2200 }),
  fc.integer({ min: 1, max: 12 }),
);

export const temporal: fc.Arbitrary<object> = fc.oneof(
  instant,
  zoned,
  zoned.map((value) => value.toPlainDate()),
  zoned.map((value) => value.toPlainTime()),
  zoned.map((value) => value.toPlainDateTime()),
  zoned.map((value) => value.toPlainDate().toPlainYearMonth()),
  zoned.map((value) => value.toPlainDate().toPlainMonthDay()),
  fc
    .tuple(referenceDate, calendar, fc.integer({ min: 1, max: 28 }))
    .map(([[year, month], id, day]) => new Temporal.PlainYearMonth(year, month, id, day)),
  fc
    .tuple(referenceDate, calendar, fc.integer({ min: 1, max: 28 }))
    .map(([[year, month], id, day]) => new Temporal.PlainMonthDay(month, day, id, year)),
  duration,
);
