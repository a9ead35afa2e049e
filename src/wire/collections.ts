/** Map, Set, and objects without a prototype. */

import type { SerializationError } from '../errors.ts';
import { entriesCost, MAP, MAP_ENTRY, NULL_PROTOTYPE, SET, SET_ITEM } from './cost.ts';
import { type Kind, kind, type ValueSink, type ValueSource } from './kinds.ts';
import { damaged } from './reader.ts';
import { entry, Refusal, within } from './refusal.ts';
import { TAG_MAP, TAG_NULL_PROTOTYPE, TAG_SET } from './tags.ts';
import { refuseProperties } from './unsupported.ts';
import { MOST_ALIKE, WideKeys } from './wide-keys.ts';
import { MAJOR } from './writer.ts';

const map = kind<Map<unknown, unknown>>({
  prototypes: [Map.prototype],
  cost: MAP,
  write(sink, value) {
    refuseProperties(value, 'a Map');
    sink.tag(TAG_MAP);
    const { size } = value;
    sink.charge(entriesCost(size, MAP_ENTRY));
    sink.head(MAJOR.map, size);
    const wide = wideKeys(sink, size);
    let i = 0;
    for (const [key, item] of value) {
      if (i === size) throw changing();
      if (typeof key === 'bigint' && wide?.add(key) === false) refuseWide('a Map', 'keys');
      writeStep(sink, key, `.keys()[${i}]`);
      writeEntry(sink, key, item, i);
      i++;
    }
    unchanged(i, size, value.size);
  },
  read: {
    [TAG_MAP](source, claim) {
      const value = new Map<unknown, unknown>();
      claim(value);
      const count = source.count(MAJOR.map);
      source.charge(entriesCost(count, MAP_ENTRY));
      const wide = wideKeys(source, count);
      for (let i = 0; i < count; i++) {
        const key = source.read();
        if (typeof key === 'bigint' && wide?.add(key) === false) throw tooWide();
        value.set(key, source.read());
      }
      return value;
    },
  },
});

const set = kind<Set<unknown>>({
  prototypes: [Set.prototype],
  cost: SET,
  write(sink, value) {
    refuseProperties(value, 'a Set');
    sink.tag(TAG_SET);
    const { size } = value;
    sink.charge(entriesCost(size, SET_ITEM));
    sink.head(MAJOR.array, size);
    const wide = wideKeys(sink, size);
    let i = 0;
    for (const item of value) {
      if (i === size) throw changing();
      if (typeof item === 'bigint' && wide?.add(item) === false) refuseWide('a Set', 'items');
      writeStep(sink, item, `.values()[${i}]`);
      i++;
    }
    unchanged(i, size, value.size);
  },
  read: {
    [TAG_SET](source, claim) {
      const value = new Set<unknown>();
      claim(value);
      const count = source.count(MAJOR.array);
      source.charge(entriesCost(count, SET_ITEM));
      const wide = wideKeys(source, count);
      for (let i = 0; i < count; i++) {
        const item = source.read();
        if (typeof item === 'bigint' && wide?.add(item) === false) throw tooWide();
        value.add(item);
      }
      return value;
    },
  },
});

const nullPrototype = kind<object>({
  prototypes: [null],
  cost: NULL_PROTOTYPE,
  write(sink, value) {
    sink.tag(TAG_NULL_PROTOTYPE);
    sink.properties(value);
  },
  read: {
    [TAG_NULL_PROTOTYPE](source, claim) {
      const value = Object.create(null) as object;
      claim(value);
      source.properties(value);
      return value;
    },
  },
});

/** All kinds of this file. */
export const collectionKinds: readonly Kind[] = [map, set, nullPrototype];

/** What looks at the bigints of a collection, where it has many entries. */
function wideKeys(to: ValueSink | ValueSource, size: number): WideKeys | undefined {
  return size > MOST_ALIKE ? new WideKeys((bytes) => to.charge(bytes)) : undefined;
}

function refuseWide(what: string, part: string): never {
  throw new Refusal(
    `${what} with more than ${MOST_ALIKE} bigint ${part} of the same low 64 bits`,
    'use their texts, `String(n)`',
  );
}

function tooWide(): SerializationError {
  return damaged('a Map or a Set of bigints that take long to tell apart');
}

function writeStep(sink: ValueSink, value: unknown, step: string): void {
  try {
    sink.write(value);
  } catch (error) {
    throw within(error, step);
  }
}

function writeEntry(sink: ValueSink, key: unknown, value: unknown, index: number): void {
  try {
    sink.write(value);
  } catch (error) {
    throw within(error, entry(key, index));
  }
}

/** A getter inside may change the collection, and then its size was written wrong. */
function unchanged(written: number, size: number, now: number): void {
  if (written !== size || now !== size) throw changing();
}

function changing(): Refusal {
  return new Refusal('a collection that changes while it is read', 'pass a copy');
}
