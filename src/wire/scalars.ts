/** Objects with no other values inside: Date, RegExp. */

import { DATE, regExpCost } from './cost.ts';
import { flagsOf, getTime, sourceOf } from './intrinsics.ts';
import { type Kind, kind } from './kinds.ts';
import { damaged, numberFrom } from './reader.ts';
import { Refusal } from './refusal.ts';
import { TAG_EPOCH_MILLISECONDS, TAG_EPOCH_SECONDS, TAG_OBJECT } from './tags.ts';
import { refuseProperties } from './unsupported.ts';
import { MAJOR } from './writer.ts';

const date = kind<Date>({
  prototypes: [Date.prototype],
  cost: DATE,
  write(sink, value) {
    refuseProperties(value, 'a Date');
    const time = getTime.call(value);
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
  cost: 0,
  write(sink, value) {
    refuseProperties(value, 'a RegExp');
    const { lastIndex } = value;
    const source = sourceOf.call(value);
    const flags = flagsOf.call(value);
    if (typeof lastIndex !== 'number') {
      throw new Refusal('a RegExp whose lastIndex is no number', 'set it to one');
    }
    sink.charge(regExpCost(source, flags));
    sink.tag(TAG_OBJECT);
    sink.head(MAJOR.array, lastIndex === 0 ? 3 : 4);
    sink.text('RegExp');
    sink.text(source);
    sink.text(flags);
    if (lastIndex !== 0) sink.number(lastIndex);
  },
  readTypes: {
    RegExp(source, count) {
      if (count < 2 || count > 3) throw damaged('a RegExp without its parts');
      const pattern = source.text();
      const flags = source.text();
      source.charge(regExpCost(pattern, flags));
      const value = new RegExp(pattern, flags);
      if (count === 3) value.lastIndex = numberFrom(source.read());
      return value;
    },
  },
});

/** All kinds of this file. */
export const scalarKinds: readonly Kind[] = [date, regExp];
