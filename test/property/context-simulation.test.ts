/** Context variables in a simulation: as the oracle says, and with faults no token is used twice. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addCounts, type Counts, NO_COUNTS } from '../../src/testing/counts.ts';
import { ROWS } from '../context/rows.ts';
import { faultyRuns, simulate, simulatedScripts, simulateFaults } from '../context/simulated.ts';

const SCRIPTS = 100;

test.each(ROWS)('$what', async ({ script }) => {
  await simulate({ seed: 1, workers: 2, script });
});

test(`${SCRIPTS} random scripts do what the oracle says`, async () => {
  const property = fc.asyncProperty(simulatedScripts, async (given) => {
    await simulate(given);
  });
  await fc.assert(property, { numRuns: SCRIPTS });
});

test('Token single use: over any script with any number of processes, no token is accepted twice, also with overlapping calls and with links lost in between', async () => {
  let counts: Counts = NO_COUNTS;
  let used = 0;
  const property = fc.asyncProperty(faultyRuns, async (given) => {
    const result = await simulateFaults(given);
    counts = addCounts(counts, result.counts);
    used += result.accepted;
  });
  await fc.assert(property, { numRuns: SCRIPTS });
  expect(used).toBeGreaterThan(SCRIPTS / 4);
  expect(counts.losses.running).toBeGreaterThan(SCRIPTS / 20);
  expect(counts.retriedAttempts).toBeGreaterThan(0);
});
