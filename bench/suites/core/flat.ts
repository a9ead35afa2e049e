/** What a call costs when very many are in flight. */
import type { Calls } from '../../children/calls.ts';
import { skeinOver } from '../../contenders/contender.ts';
import { Contestants, Samples } from '../../contestants.ts';
import { quantile, ratio, summarize } from '../../measure.ts';
import type { Figure, Measurement, Target } from '../../suite.ts';

const levels = [1_000, 10_000, 100_000];
const names = [skeinOver('tcp'), skeinOver('unix')];

export const flat: Measurement = {
  name: 'flat',
  about: 'cost of a call at 1,000, 10,000 and 100,000 in flight',
  async run({ built, quick, progress }) {
    const rounds = quick ? 1 : 5;
    const ms = quick ? 200 : 1000;
    const samples = new Samples();
    await using contestants = await Contestants.start<Calls>(
      names.map((name) => ({ name, module: new URL('children/calls.js', built), args: [name] })),
    );
    for (let round = 0; round <= rounds; round++) {
      for (const inFlight of levels) {
        progress(`round ${round} of ${rounds}, ${inFlight} in flight`);
        await contestants.each(round, async (child, name) => {
          const slice = await child.call('drive', [inFlight, ms]);
          if (round > 0) samples.add(1e6 / slice.callsPerSecond, name, inFlight);
        });
      }
    }
    const figures: Figure[] = [];
    const targets: Target[] = [];
    for (const name of names) {
      for (const inFlight of levels) {
        const values = samples.of(name, inFlight);
        if (values.length === 0) continue;
        figures.push({
          what: `${inFlight.toLocaleString('en')} in flight`,
          of: name,
          unit: 'µs/call',
          ...summarize(values),
        });
      }
      const costs = levels.map((inFlight) => quantile(samples.of(name, inFlight), 0.5));
      const dearest = levels[costs.indexOf(Math.max(...costs))] ?? levels[0]!;
      const cheapest = levels[costs.indexOf(Math.min(...costs))] ?? levels[0]!;
      targets.push({
        what: `cost of a call, 1,000 to 100,000 in flight, dearest / cheapest: ${name}`,
        unit: 'x',
        wanted: { most: 1.5 },
        ...ratio(samples.of(name, dearest), samples.of(name, cheapest)),
      });
    }
    return {
      title: 'Very many calls in flight',
      notes: ['Time per call while that many are kept in flight.'],
      figures,
      targets,
      failures: contestants.failures,
    };
  },
};
