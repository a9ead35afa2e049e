/** What a call in flight holds, and what stays behind when it is gone. */
import type { Memory, Weight } from '../../children/memory.ts';
import { Contestants, Samples } from '../../contestants.ts';
import { summarize } from '../../measure.ts';
import type { Measurement, Target } from '../../suite.ts';

const ends: readonly (keyof Weight)[] = ['caller', 'worker'];

export const memory: Measurement = {
  name: 'memory',
  about: 'bytes held per call in flight, and after 2,000,000 calls',
  async run({ built, quick, progress }) {
    const parked = quick ? 10_000 : 100_000;
    const rounds = quick ? 1 : 3;
    const many = quick ? 200_000 : 2_000_000;
    const samples = new Samples();
    await using contestants = await Contestants.start<Memory>([
      { name: 'skein', module: new URL('children/memory.js', built), args: [] },
    ]);
    await contestants.each(0, async (child) => {
      progress('warm-up');
      await child.call('weighAfter', [many / 10]);
      await child.call('park', [parked]);
      for (let round = 1; round <= rounds; round++) {
        progress(`${parked} calls in flight, round ${round} of ${rounds}`);
        const { before, during } = await child.call('park', [parked]);
        for (const end of ends) samples.add((during[end] - before[end]) / parked, 'parked', end);
      }
      const before = await child.call('weighAfter', [many / 10]);
      progress(`${many} calls`);
      const after = await child.call('weighAfter', [many], 600_000);
      for (const end of ends) samples.add((after[end] - before[end]) / many, 'left', end);
    });
    const targets: Target[] = ends.flatMap((end) => [
      {
        what: `memory per call in flight: ${end}`,
        unit: 'bytes',
        wanted: { below: 2_048 },
        ...summarize(samples.of('parked', end)),
      },
      {
        what: `left behind per call, after ${many.toLocaleString('en')}: ${end}`,
        unit: 'bytes',
        // One forgotten pointer per call would be 8.
        wanted: { below: 1 },
        ...summarize(samples.of('left', end)),
      },
    ]);
    return {
      title: 'Memory',
      notes: [
        `heapUsed + external after a collection, ${parked.toLocaleString('en')} calls that wait in the routine, Unix socket.`,
        "The caller's promise and the routine's own frame count too.",
      ],
      figures: [],
      targets,
      failures: contestants.failures,
    };
  },
};
