/** All rows, in the order of the page. */
import { type Group, nameOf, type Placed, type Row } from '../row.ts';
import { bytes } from './bytes.ts';
import { changed } from './changed.ts';
import { collections } from './collections.ts';
import { errors } from './errors.ts';
import { names } from './names.ts';
import { primitives } from './primitives.ts';
import { refused } from './refused.ts';
import { temporal } from './temporal.ts';
import { text } from './text.ts';
import { web } from './web.ts';

/** What travels. */
export const groups: readonly Group[] = [
  primitives,
  collections,
  bytes,
  text,
  web,
  temporal,
  names,
  errors,
  changed,
];

export { refused };

const rows = byName(groups.flatMap((group) => group.rows));
const refusedRows = byName(refused.rows);

/** @throws when there is no row of this name */
export function row(name: string): Row {
  return found(rows, name);
}

/** Makes an example of a row. */
export function make(name: string, example: string): unknown {
  return found(new Map(Object.entries(row(name).examples)), example)();
}

/** An example that is refused, and the path of its part that can't travel. */
export function refusedExample(name: string, example: string): Placed {
  const one = found(new Map(Object.entries(found(refusedRows, name).examples)), example);
  return typeof one === 'function' ? [one, ''] : one;
}

export function makeRefused(name: string, example: string): unknown {
  return refusedExample(name, example)[0]();
}

function byName<R extends { readonly type: string }>(all: readonly R[]): ReadonlyMap<string, R> {
  const map = new Map<string, R>();
  for (const one of all) {
    if (map.has(nameOf(one))) throw new Error(`two rows are called '${nameOf(one)}'`);
    map.set(nameOf(one), one);
  }
  return map;
}

function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const one = map.get(name);
  if (one === undefined) throw new Error(`there is no '${name}'`);
  return one;
}
