/** What the property tests say of the codec, through a real worker. */
import { strictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { graph } from '../property/wire/arbitraries.ts';
import { checkRefusal, outside } from '../property/wire/outside.ts';
import { argumentsOf, compared, identity, refused } from '../values/any.ts';
import { same } from '../values/same.ts';
import { rejection } from './helpers.ts';
import { WorkerPool } from './runtime.ts';

let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 1 });
});
afterAll(() => pool.close());

const seed = fc.noShrink(fc.nat(2 ** 31 - 1));

describe('any arguments', () => {
  test('come back equal, with prototypes and all that they share', async () => {
    const property = fc.asyncProperty(graph, async (args) => {
      same(await identity(...(args as unknown[])), [...(args as unknown[])]);
    });
    await fc.assert(property, { numRuns: 150 });
  });

  test('are on the worker what they are here, and so are results', async () => {
    const count = 25;
    const property = fc.asyncProperty(seed, async (seed) => {
      const values = argumentsOf(seed, count);
      const calls = values.map(async (args, i) => {
        same(await compared(seed, count, i, ...args), args);
      });
      await Promise.all(calls);
    });
    await fc.assert(property, { numRuns: 10, endOnFailure: true });
  });
});

describe('a value that cannot travel', () => {
  test('is refused as an argument, with the path to it', async () => {
    const property = fc.asyncProperty(outside, async ({ value, path }) => {
      checkRefusal(await rejection(identity(1, value)), `args[1]${path}`);
    });
    await fc.assert(property, { numRuns: 100 });
  });

  test('is refused as a result, with the path to it, and the worker lives on', async () => {
    const [worker] = pool.workers;
    const property = fc.asyncProperty(seed, async (seed) => {
      const [one] = fc.sample(outside, { seed, numRuns: 1 });
      checkRefusal(await rejection(refused(seed)), `result[0]${one?.path}`);
    });
    await fc.assert(property, { numRuns: 100, endOnFailure: true });
    strictEqual(pool.workers[0]?.pid, worker?.pid);
    strictEqual(pool.stats.calls, 0);
  });
});
