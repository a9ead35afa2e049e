/** Objects with no other values inside: Date, RegExp. */
import { type Kind, kind } from './kinds.ts';
import { damaged, numberFrom } from './reader.ts';
import { TAG_EPOCH_MILLISECONDS, TAG_EPOCH_SECONDS, TAG_OBJECT } from './tags.ts';
import { refuseProperties } from './unsupported.ts';
import { MAJOR } from './writer.ts';

const date = kind<Date>({
  prototypes: [Date.prototype],
  write(sink, value) {
    refuseProperties(value, 'a Date');
    const time = value.getTime();
    const seconds = time / 1000;
    // Dates far from today have more milliseconds than a float of seconds can tell apart.
    const exact = Number.isNaN(time) || Math.round(seconds * 1000) === time;
    sink.tag(exact ? TAG_EPOCH_SECONDS : TAG_EPOCH_MILLISECONDS);
    sink.number(exact ? seconds : time);
  },
  read: {
    [TAG_EPOCH_SECONDS]: (source) => new Date(Math.round(numberFrom(source.read()) * 1000)),
    [TAG_EPOCH_MILLISECONDS]: (source) => new Date(numberFrom(source.read())),
  },
});

const regExp = kind<RegExp>({
  prototypes: [RegExp.prototype],
  write(sink, value) {
    refuseProperties(value, 'a RegExp');
    const { lastIndex } = value;
    sink.tag(TAG_OBJECT);
    sink.head(MAJOR.array, lastIndex === 0 ? 3 : 4);
    sink.text('RegExp');
    sink.text(value.source);
    sink.text(value.flags);
    if (lastIndex !== 0) sink.number(lastIndex);
  },
  readTypes: {
    RegExp(source, count) {
      if (count < 2 || count > 3) throw damaged('a RegExp without its parts');
      const value = new RegExp(source.text(), source.text());
      if (count === 3) value.lastIndex = numberFrom(source.read());
      return value;
    },
  },
});

/** All kinds of this file. */
export const scalarKinds: readonly Kind[] = [date, regExp];
