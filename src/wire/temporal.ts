/**
 * Temporal, where a process has it. It travels as text, but for what the text would round: a duration
 * and a time with its zone travel as the arguments of their constructors.
 */
import { SerializationError } from '../errors.ts';
import { TEMPORAL } from './cost.ts';
import { globalClass } from './globals.ts';
import { type Kind, kind, type ReadType, type ValueSink } from './kinds.ts';
import { damaged, numberFrom } from './reader.ts';
import { Refusal } from './refusal.ts';
import { TAG_OBJECT } from './tags.ts';
import { refuseProperties } from './unsupported.ts';
import { MAJOR } from './writer.ts';

/** What is used of any class of Temporal. */
interface TemporalClass {
  from(text: string): object;
  new (...args: unknown[]): object;
}

interface ZonedDateTime {
  readonly epochNanoseconds: bigint;
  readonly timeZoneId: string;
  readonly calendarId: string;
}

const units = [
  'years',
  'months',
  'weeks',
  'days',
  'hours',
  'minutes',
  'seconds',
  'milliseconds',
  'microseconds',
  'nanoseconds',
] as const;

type Duration = Readonly<Record<(typeof units)[number], number>>;

const duration = temporal<Duration>(
  'Duration',
  (value) => units.map((unit) => value[unit]),
  (source, count) => {
    if (count !== units.length) throw damaged('a duration without its parts');
    return make('Duration', ...units.map(() => numberFrom(source.read())));
  },
);

const zonedDateTime = temporal<ZonedDateTime>(
  'ZonedDateTime',
  ({ epochNanoseconds, timeZoneId, calendarId }) => {
    // Node.js 24 has one behind a flag that still makes objects of zones and calendars.
    if (typeof timeZoneId !== 'string' || typeof calendarId !== 'string') {
      throw new Refusal('a Temporal.ZonedDateTime of a draft', 'load a polyfill of the standard');
    }
    return [epochNanoseconds, timeZoneId, calendarId];
  },
  (source, count) => {
    if (count !== 3) throw damaged('a time with a zone without its parts');
    return make('ZonedDateTime', source.read(), source.text(), source.text());
  },
);

const isoDate = /^([+-]?\d+)-(\d\d)-(\d\d)\[u-ca=(.+)\]$/;

/** All kinds of this file. */
export const temporalKinds: readonly Kind[] = [
  asText('Instant'),
  asText('PlainDate'),
  asText('PlainTime'),
  asText('PlainDateTime'),
  asReferenceDate('PlainYearMonth', (year, month, day, calendar) => [year, month, calendar, day]),
  asReferenceDate('PlainMonthDay', (year, month, day, calendar) => [month, day, calendar, year]),
  zonedDateTime,
  duration,
];

function asText(name: string): Kind {
  return temporal<object>(
    name,
    (value) => [value.toString()],
    (source, count) => {
      if (count !== 1) throw damaged(`a ${name} without its text`);
      return classOf(name).from(source.text());
    },
  );
}

/** These hold a full date, which `from` would not keep. */
function asReferenceDate(
  name: string,
  args: (year: number, month: number, day: number, calendar: string) => unknown[],
): Kind {
  return temporal<{ toString(options: object): string }>(
    name,
    (value) => [value.toString({ calendarName: 'always' })],
    (source, count) => {
      const match = count === 1 ? isoDate.exec(source.text()) : null;
      if (match === null) throw damaged(`a ${name} without its date`);
      const [, year, month, day, calendar] = match;
      return make(name, ...args(Number(year), Number(month), Number(day), calendar!));
    },
  );
}

function temporal<T extends object>(
  name: string,
  args: (value: T) => readonly unknown[],
  read: ReadType,
): Kind {
  const type = `Temporal.${name}`;
  return kind<T>({
    prototypes: [],
    lateClasses: [type],
    cost: TEMPORAL,
    write(sink, value) {
      refuseProperties(value, `a ${type}`);
      writeType(sink, type, args(value));
    },
    readTypes: { [type]: read },
  });
}

function writeType(sink: ValueSink, type: string, args: readonly unknown[]): void {
  sink.tag(TAG_OBJECT);
  sink.head(MAJOR.array, args.length + 1);
  sink.text(type);
  for (const arg of args) sink.write(arg);
}

function make(name: string, ...args: unknown[]): object {
  return new (classOf(name))(...args);
}

function classOf(name: string): TemporalClass {
  const type = `Temporal.${name}`;
  const Class = globalClass(type) as TemporalClass | undefined;
  if (Class) return Class;
  throw new SerializationError(
    `a ${type} cannot arrive here: this process has no Temporal; use a version of Node.js that has it, or load a polyfill`,
  );
}
