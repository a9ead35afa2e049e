/** What context variables add to a call, in time of the processor. */
import type { Context } from '../../children/context.ts';
import { Contestants, Samples } from '../../contestants.ts';
import { difference, quantile, ratio, summarize } from '../../measure.ts';
import type { Figure, Measurement, Target } from '../../suite.ts';
import { NONE, READ_ALL, READ_ONE, type Setting, STEPS, settings, TEN } from './settings.ts';

const levels = [1, 512];

const isStep = (setting: Setting): boolean => setting.startsWith('steps');

function figures(samples: Samples): Figure[] {
  return levels.flatMap((inFlight) =>
    settings.flatMap((of) => {
      const both = samples.of('both', of, inFlight);
      if (both.length === 0) return [];
      const base = samples.of('both', isStep(of) ? STEPS : NONE, inFlight);
      const median = (what: string): number => quantile(samples.of(what, of, inFlight), 0.5);
      return [
        {
          what: `${isStep(of) ? 'a step' : 'a call'}, ${inFlight} in flight`,
          of,
          unit: 'µs',
          ...summarize(both),
          more: {
            caller: median('caller'),
            worker: median('worker'),
            'calls/s': median('rate'),
            more: difference(both, base).median,
            ratio: ratio(both, base).median,
          },
        },
      ];
    }),
  );
}

function targets(samples: Samples): Target[] {
  return levels.flatMap((inFlight) =>
    [TEN, READ_ONE, READ_ALL].map((of) => ({
      what: `more for each call, ${inFlight} in flight: ${of}`,
      unit: 'µs',
      wanted: { most: 10 },
      ...difference(samples.of('both', of, inFlight), samples.of('both', NONE, inFlight)),
    })),
  );
}

export const variables: Measurement = {
  name: 'variables',
  about: 'what variables of 100 bytes add to a call and to a step',
  async run({ built, quick, progress }) {
    const rounds = quick ? 2 : 9;
    const ms = quick ? 150 : 300;
    // Until what runs is compiled.
    const warmUpMs = quick ? 500 : 2_000;
    const samples = new Samples();
    const module = new URL('children/context.js', built);
    await using contestants = await Contestants.start<Context, Setting>(
      settings.map((name) => ({ name, module, args: [name] })),
    );
    // Round 0 warms up, and its figures are dropped.
    for (let round = 0; round <= rounds; round++) {
      for (const inFlight of levels) {
        progress(`round ${round} of ${rounds}, ${inFlight} in flight`);
        await contestants.each(round, async (child, name) => {
          const { caller, worker, callsPerSecond } = await child.call('drive', [
            inFlight,
            round === 0 ? warmUpMs : ms,
          ]);
          if (round === 0) return;
          samples.add(caller + worker, 'both', name, inFlight);
          samples.add(caller, 'caller', name, inFlight);
          samples.add(worker, 'worker', name, inFlight);
          samples.add(callsPerSecond, 'rate', name, inFlight);
        });
      }
    }
    return {
      title: 'Context variables of 100 bytes, one worker',
      notes: [
        'Time of the processor, caller and worker together. more, ratio: beside the same without variables.',
        'With 512 in flight the calls overlap, and each goes out with a chain of its own; with 1, each goes',
        'on with the chain of the one before.',
      ],
      figures: figures(samples),
      targets: targets(samples),
      failures: contestants.failures,
    };
  },
};
