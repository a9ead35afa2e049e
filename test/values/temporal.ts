/** Temporal, in a process that may have none, and how two of its values are compared. */
import type { Temporal } from 'temporal-polyfill/full';
import { install } from 'temporal-polyfill/full/shim';
import { compareBy } from './same.ts';

// Where the process has Temporal of its own, that is used.
install();
export const here = (globalThis as unknown as { Temporal: typeof Temporal }).Temporal;

compareBy(here.Instant, (value) => [value.epochNanoseconds]);
compareBy(here.Duration, (value) => [value.years, value.nanoseconds, value.toString()]);
compareBy(here.PlainTime, (value) => [value.toString()]);
for (const Class of [
  here.PlainDate,
  here.PlainDateTime,
  here.PlainYearMonth,
  here.PlainMonthDay,
  here.ZonedDateTime,
]) {
  compareBy<{ toString(options: { calendarName: 'always' }): string }>(Class, (value) => [
    value.toString({ calendarName: 'always' }),
  ]);
}
