/** One schedule of the soak: what a seed stands for, run, and shrunk when it fails. */
import fc from 'fast-check';
import { scenarioOf, scenarios } from '../../src/testing/arbitraries.ts';
import { formatViolation } from '../../src/testing/checker.ts';
import { type Counts, count } from '../../src/testing/counts.ts';
import { SimulationFailure } from '../../src/testing/failure.ts';
import type { FaultKind, Scenario } from '../../src/testing/scenario.ts';
import { Simulation } from '../../src/testing/simulation.ts';
import type { Trace } from '../../src/testing/trace.ts';

/** The kinds of faults that may strike; undefined for all. */
export type Kinds = readonly FaultKind[] | undefined;

export interface Failure {
  /** The checkers that found something, or what the simulation said. */
  readonly by: readonly string[];
  /** What was wrong, and each violation with its evidence. */
  readonly texts: readonly string[];
  /** Simulated milliseconds of the last violation. */
  readonly at: number;
}

/** Simulated milliseconds in which everything must come to rest: nobody waits longer for a sign of life. */
const GRACE_MS = 15_000;
/** Simulated milliseconds that the callers may take. */
const LIMIT_MS = 600_000;

export interface Outcome {
  readonly seed: number;
  readonly counts: Counts;
  readonly simulatedMs: number;
  readonly failure?: Failure;
  readonly trace: Trace;
}

/** Runs what a seed stands for, or another scenario on that seed. */
export async function runSchedule(
  seed: number,
  kinds: Kinds,
  scenario = scenarioOf(seed, kinds && { kinds }),
): Promise<Outcome> {
  try {
    const { trace, counts, elapsedMs } = await Simulation.run({
      seed,
      graceMs: GRACE_MS,
      limitMs: LIMIT_MS,
      ...scenario,
    });
    return { seed, simulatedMs: elapsedMs, counts, trace };
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error;
    const { trace, violations, message } = error;
    const [what = ''] = message.split('\n');
    const by = [...new Set(violations.map(({ checker }) => checker))];
    const failure = {
      by: by.length > 0 ? by : [what],
      texts: [what, ...violations.map(formatViolation)],
      at: violations.at(-1)?.at ?? Number.POSITIVE_INFINITY,
    };
    const simulatedMs = trace.at(-1)?.at ?? 0;
    return { seed, counts: count(trace), simulatedMs, failure, trace };
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
  kinds: Kinds,
  { by: [first] }: Failure,
  limitMs: number,
): Promise<Shrunk | undefined> {
  const property = fc.asyncProperty(scenarios(kinds && { kinds }), async (scenario) => {
    const { failure } = await runSchedule(seed, kinds, scenario);
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
  return { scenario, outcome: await runSchedule(seed, kinds, scenario), steps: details.numShrinks };
}
