/** One schedule of the soak: what a seed stands for, run, and shrunk when it fails. */
import fc from 'fast-check';
import { scenarioOf, scenarios } from '../../src/testing/arbitraries.ts';
import { formatViolation } from '../../src/testing/checker.ts';
import { type Counts, NO_COUNTS } from '../../src/testing/counts.ts';
import type { Scenario } from '../../src/testing/scenario.ts';
import { Simulation } from '../../src/testing/simulation.ts';

export interface Failure {
  /** The checkers that found something, or `threw`. */
  readonly by: readonly string[];
  /** Each violation with its evidence. */
  readonly texts: readonly string[];
}

export interface Outcome {
  readonly seed: number;
  readonly counts: Counts;
  readonly simulatedMs: number;
  readonly failure?: Failure;
  /** The trace as text. */
  readonly text: string;
}

const THREW = 'threw';

/** Runs what a seed stands for, or another scenario on that seed. */
export async function runSchedule(seed: number, scenario = scenarioOf(seed)): Promise<Outcome> {
  try {
    const result = await Simulation.run({ seed, check: false, ...scenario });
    const { violations, counts, elapsedMs: simulatedMs } = result;
    const failure = {
      by: [...new Set(violations.map(({ checker }) => checker))],
      texts: violations.map(formatViolation),
    };
    return {
      seed,
      counts,
      simulatedMs,
      ...(violations.length > 0 && { failure }),
      get text() {
        return result.text;
      },
    };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? String(error)) : String(error);
    const failure = { by: [THREW], texts: [`the simulation itself threw: ${text}`] };
    return { seed, counts: NO_COUNTS, simulatedMs: 0, failure, text: '' };
  }
}

export interface Shrunk {
  readonly scenario: Scenario;
  readonly outcome: Outcome;
  /** Smaller scenarios that failed too. */
  readonly steps: number;
}

/** The smallest scenario on which the seed fails in the same way, as far as the time allows. */
export async function shrink(
  seed: number,
  { by: [first] }: Failure,
  limitMs: number,
): Promise<Shrunk | undefined> {
  const property = fc.asyncProperty(scenarios(), async (scenario) => {
    const { failure } = await runSchedule(seed, scenario);
    return failure === undefined || !failure.by.includes(first as string);
  });
  const details = await fc.check(property, {
    seed,
    numRuns: 1,
    unbiased: true,
    interruptAfterTimeLimit: limitMs,
  });
  const [scenario] = details.counterexample ?? [];
  if (scenario === undefined) return undefined;
  return { scenario, outcome: await runSchedule(seed, scenario), steps: details.numShrinks };
}
