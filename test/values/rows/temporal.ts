import type { Group } from '../row.ts';
import { here } from '../temporal.ts';

export const temporal: Group = {
  title: 'Temporal',
  file: 'temporal.ts',
  rows: [
    {
      type: '`Temporal.Instant`, `.PlainDate`, `.PlainTime`, `.PlainDateTime`',
      arrives: 'equal, where both sides have Temporal',
      wire: "tag 27 over `['Temporal.Instant', text]` and so on; text as in RFC 9557",
      examples: {
        Instant: () => new here.Instant(-(864n * 10n ** 19n)),
        PlainDate: () => new here.PlainDate(2024, 2, 29),
        'of another calendar': () => new here.PlainDate(2024, 2, 29, 'hebrew'),
        PlainTime: () => new here.PlainTime(23, 59, 59, 999, 999, 999),
        PlainDateTime: () => new here.PlainDateTime(-1, 1, 1, 0, 0, 0, 0, 0, 1),
      },
    },
    {
      type: '`Temporal.PlainYearMonth`, `.PlainMonthDay`',
      arrives: 'equal, with the date that they refer to',
      wire: 'tag 27 over the name and the reference date, with the calendar: `2026-02-01[u-ca=iso8601]`',
      examples: {
        PlainYearMonth: () => new here.PlainYearMonth(2026, 2, 'iso8601', 7),
        PlainMonthDay: () => new here.PlainMonthDay(2, 29, 'hebrew', 1972),
      },
    },
    {
      type: '`Temporal.ZonedDateTime`',
      wire: 'tag 27 over the name, nanoseconds since the epoch (a bigint), time zone, calendar',
      examples: {
        'the second of two equal times': () =>
          new here.ZonedDateTime(1_730_000_000_123_456_789n, 'Europe/Paris', 'gregory'),
        'with an offset for a zone': () => new here.ZonedDateTime(0n, '+05:30'),
      },
    },
    {
      type: '`Temporal.Duration`',
      wire: 'tag 27 over the name and ten numbers, from years to nanoseconds',
      examples: {
        'all parts': () => new here.Duration(1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
        'more than its text could tell': () =>
          new here.Duration(0, 0, 0, 0, 0, 0, 0, 0, 0, 2 ** 53),
        empty: () => new here.Duration(),
      },
    },
  ],
};
