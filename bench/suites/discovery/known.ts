/** Whether a call costs more when its pool knows a thousand workers. */
import type { Crowd } from '../../children/crowd.ts';
import type { Knowing } from '../../children/knowing.ts';
import { Contestants, Samples } from '../../contestants.ts';
import { Child } from '../../ipc.ts';
import { ratio, summarize } from '../../measure.ts';
import type { Figure, Measurement, Target } from '../../suite.ts';

const FEW = 2;
const MANY = 1_000;
const policies = ['stickyByTag', 'roundRobin', 'leastLoaded'] as const;
const levels = [1, 64];
const sizes = [FEW, MANY];

const nameOf = (policy: string, size: number): string => `${policy}, ${size} workers`;

function figures(samples: Samples): Figure[] {
  return levels.flatMap((inFlight) =>
    policies.flatMap((policy) =>
      sizes.flatMap((size) => {
        const of = nameOf(policy, size);
        const values = samples.of(of, inFlight);
        if (values.length === 0) return [];
        const figure = {
          what: `${inFlight} in flight`,
          of,
          unit: 'µs a call',
          ...summarize(values),
        };
        const few = samples.of(nameOf(policy, FEW), inFlight);
        return [{ ...figure, more: { ratio: ratio(values, few).median } }];
      }),
    ),
  );
}

function targets(samples: Samples): Target[] {
  const against = (policy: string, inFlight: number): Target => ({
    what: `${MANY} known workers against ${FEW}: ${policy}, ${inFlight} in flight`,
    unit: 'x',
    wanted: { most: 1.2 },
    ...ratio(samples.of(nameOf(policy, MANY), inFlight), samples.of(nameOf(policy, FEW), inFlight)),
  });
  return [against('stickyByTag', 1), against('stickyByTag', 64), against('roundRobin', 1)];
}

export const known: Measurement = {
  name: 'known',
  about: `a call of a pool that knows ${MANY} workers, against one that knows ${FEW}`,
  async run({ built, quick, progress }) {
    const rounds = quick ? 2 : 7;
    const ms = quick ? 150 : 400;
    const samples = new Samples();
    progress(`${MANY} workers come up`);
    const crowd = await Child.start<Crowd>('crowd', new URL('children/crowd.js', built));
    try {
      const workers = await crowd.call('listen', [MANY]);
      const module = new URL('children/knowing.js', built);
      const entries = policies.flatMap((policy) =>
        sizes.map((size) => ({
          name: nameOf(policy, size),
          module,
          args: [policy, JSON.stringify(workers.slice(0, size))],
        })),
      );
      await using contestants = await Contestants.start<Knowing>(entries);
      for (let round = 0; round <= rounds; round++) {
        for (const inFlight of levels) {
          progress(`round ${round} of ${rounds}, ${inFlight} in flight`);
          await contestants.each(round, async (child, name) => {
            const { callsPerSecond } = await child.call('drive', [inFlight, ms]);
            if (round > 0) samples.add(1e6 / callsPerSecond, name, inFlight);
          });
        }
      }
      return {
        title: `A pool that knows ${MANY} workers`,
        notes: [
          'All workers are in one process. With stickyByTag all calls go to one of them: what is left is the',
          'price of knowing the others. The other policies spread the calls over all of them: with 64 in flight',
          `each call of ${MANY} workers goes out in a packet of its own, and those of ${FEW} share theirs.`,
        ],
        figures: figures(samples),
        targets: targets(samples),
        failures: contestants.failures,
      };
    } finally {
      await crowd.end();
    }
  },
};
