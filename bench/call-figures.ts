/** What the suites that measure calls tell of each contender. */
import type { Samples } from './contestants.ts';
import { quantile, summarize } from './measure.ts';
import type { Figure } from './suite.ts';

/** Calls in flight at which each contender is measured. */
export const LEVELS = [1, 64, 512, 4096];

/** Calls per second and latency; what was not measured is left out. */
export function callFigures(samples: Samples, contenders: readonly string[]): Figure[] {
  return LEVELS.flatMap((inFlight) =>
    contenders.flatMap((of) => {
      const rates = samples.of('rate', of, inFlight);
      if (rates.length === 0) return [];
      return [
        {
          what: `add(1, 2), ${inFlight} in flight`,
          of,
          unit: 'calls/s',
          ...summarize(rates),
          more: {
            'p50 µs': quantile(samples.of('p50', of, inFlight), 0.5),
            'p99 µs': quantile(samples.of('p99', of, inFlight), 0.5),
          },
        },
      ];
    }),
  );
}
