/** Map, Set, and objects without a prototype. */

import { entriesCost, MAP, MAP_ENTRY, NULL_PROTOTYPE, SET, SET_ITEM } from './cost.ts';
import { type Kind, kind, type ValueSink } from './kinds.ts';
import { entry, Refusal, within } from './refusal.ts';
import { TAG_MAP, TAG_NULL_PROTOTYPE, TAG_SET } from './tags.ts';
import { refuseProperties } from './unsupported.ts';
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
    let i = 0;
    for (const [key, item] of value) {
      if (i === size) throw changing();
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
      for (let i = 0; i < count; i++) value.set(source.read(), source.read());
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
    let i = 0;
    for (const item of value) {
      if (i === size) throw changing();
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
      for (let i = 0; i < count; i++) value.add(source.read());
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
