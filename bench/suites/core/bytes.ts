/** Large typed arrays in both directions: how fast, and how much memory each end takes for it. */
import type { Bytes } from '../../children/bytes.ts';
import { Contestants, Samples } from '../../contestants.ts';
import { summarize } from '../../measure.ts';
import type { Figure, Measurement, Target } from '../../suite.ts';

const sizes = [1, 16, 64, 256];
const directions = ['argument', 'result'] as const;

export const bytes: Measurement = {
  name: 'bytes',
  about: 'typed arrays of 1 to 256 MiB in both directions: MB/s, and memory at its peak',
  async run({ built, quick, progress }) {
    const rounds = quick ? 1 : 7;
    const samples = new Samples();
    await using contestants = await Contestants.start<Bytes>([
      { name: 'skein', module: new URL('children/bytes.js', built), args: [] },
    ]);
    await contestants.each(0, async (child) => {
      for (let round = 0; round <= rounds; round++) {
        for (const mib of quick ? sizes.slice(0, 3) : sizes) {
          for (const direction of directions) {
            progress(`${mib} MiB as ${direction}, round ${round} of ${rounds}`);
            const passage = await child.call(direction, [mib]);
            if (round === 0) continue;
            samples.add(passage.rate, 'rate', mib, direction);
            samples.add(passage.caller, 'caller', mib, direction);
            samples.add(passage.worker, 'worker', mib, direction);
          }
        }
      }
    });
    const figures: Figure[] = [];
    const targets: Target[] = [];
    for (const direction of directions) {
      for (const mib of sizes) {
        const of = `${mib} MiB ${direction}`;
        const rates = samples.of('rate', mib, direction);
        if (rates.length === 0) continue;
        figures.push({ what: 'rate', of, unit: 'MB/s', ...summarize(rates) });
        for (const end of ['caller', 'worker'] as const) {
          const peak = summarize(samples.of(end, mib, direction));
          figures.push({ what: `peak of memory / payload: ${end}`, of, unit: 'x', ...peak });
          // In less, what the process needs anyway counts for more than the value.
          if (mib < 64) continue;
          const what = `${of}, peak of memory / payload: ${end}`;
          const sends = (end === 'caller') === (direction === 'argument');
          targets.push({ what, unit: 'x', wanted: { most: sends ? 0.5 : 1.5 }, ...peak });
        }
      }
    }
    return {
      title: 'Large typed arrays',
      notes: [
        'MB are MiB. A Float64Array over a Unix socket.',
        'Peak: the most resident memory while the value travels, above the level before, when its sender had it already.',
      ],
      figures,
      targets,
      failures: contestants.failures,
    };
  },
};
