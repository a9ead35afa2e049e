/** The worker's side of the property tests: a seed makes the same values in every process. */
import fc from 'fast-check';
import { routine } from '../../src/index.ts';
import { graph } from '../property/wire/arbitraries.ts';
import { Bag, Fault, Wrapped } from '../property/wire/named.ts';
import { outside } from '../property/wire/outside.ts';
import { compareBy, same } from './same.ts';
import './temporal.ts';

compareBy(Bag, () => []);
compareBy(Wrapped, () => []);
compareBy(Fault, ({ name, message }) => [name, message]);

/** Arguments for calls; what occurs in several of them is one object. */
export type Arguments = readonly unknown[];

/** As many lists of arguments as are asked for. */
export function argumentsOf(seed: number, count: number): Arguments[] {
  return fc.sample(graph, { seed, numRuns: count }) as Arguments[];
}

let made: { seed: number; values: readonly Arguments[] } = { seed: Number.NaN, values: [] };

/** Made once for all calls of a batch. */
function onceMade(seed: number, count: number): readonly Arguments[] {
  if (made.seed !== seed) made = { seed, values: argumentsOf(seed, count) };
  return made.values;
}

export const identity = routine((...args: unknown[]): unknown => args);

/** Compares its arguments with what the seed makes here, and gives the latter back. */
export const compared = routine((seed: number, count: number, i: number, ...args: unknown[]) => {
  const expected = onceMade(seed, count)[i];
  same(args, [...(expected ?? [])]);
  return expected as unknown;
});

/** Gives what can't travel. Inside an array, since a promise alone would be awaited. */
export const refused = routine((seed: number): unknown => {
  const [one] = fc.sample(outside, { seed, numRuns: 1 });
  return [one?.value];
});
