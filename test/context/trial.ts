/** Scripts of the soak: each one in a simulation, held against the oracle, and one with faults. */
import fc from 'fast-check';
import { faultyRuns, simulate, simulatedScripts, simulateFaults } from './simulated.ts';

/** Milliseconds that the search for a smaller script may take. */
const SHRINK_MS = 60_000;

const properties = [
  fc.asyncProperty(simulatedScripts, async (given) => {
    await simulate(given);
  }),
  fc.asyncProperty(faultyRuns, async (given) => {
    await simulateFaults(given);
  }),
];

/** The first of `count` seeds that breaks a promise. */
export async function tryScripts(
  seed: number,
  count: number,
): Promise<{ seed: number; text: string } | undefined> {
  for (let one = seed; one < seed + count; one += 1) {
    for (const property of properties) {
      const details = await fc.check<[unknown]>(property as fc.IAsyncProperty<[unknown]>, {
        seed: one,
        numRuns: 1,
        unbiased: true,
        interruptAfterTimeLimit: SHRINK_MS,
      });
      if (details.counterexample === null) continue;
      const text = `${details.errorInstance}\n${JSON.stringify(details.counterexample)}`;
      return { seed: one, text };
    }
  }
  return undefined;
}
