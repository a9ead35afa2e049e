/** What a decoded value takes in memory. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ALLOWANCE } from '../../src/wire/cost.ts';
import type { Weight } from '../fixtures/cost.ts';
import { TYPESCRIPT } from './helpers.ts';

/** The collector and the engine's own tables, for which no value is to blame. */
const NOISE = 512 * 1024;

let weights: readonly Weight[];

beforeAll(() => {
  const script = join(import.meta.dirname, '../fixtures/cost.ts');
  const args = ['--expose-gc', ...TYPESCRIPT, script];
  weights = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}, 180_000);

describe('a value that arrives', () => {
  test('takes no more than ten times its bytes', () => {
    const arrived = weights.filter(({ refused }) => !refused);
    expect(arrived.length).toBeGreaterThan(70);
    const heavy = arrived.filter(({ size, memory }) => memory > 10 * size + ALLOWANCE + NOISE);
    expect(heavy).toEqual([]);
  });
});

describe('a value that claims more than it has', () => {
  test('is refused before it takes as much', () => {
    const refused = weights.filter((weight) => weight.refused);
    expect(refused.map(({ name }) => name)).toEqual([
      'arrays in arrays that claim all',
      'maps in maps that claim all',
      'Maps in Maps that claim all',
      'Sets in Sets that claim all',
      'Maps as keys of Maps that claim all',
      'errors in errors that claim all',
    ]);
    const heavy = refused.filter(({ size, memory }) => memory > 10 * size + ALLOWANCE + NOISE);
    expect(heavy).toEqual([]);
  });
});
