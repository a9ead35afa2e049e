/** Encoding and decoding, by Skein and by bare cbor-x. */
import type { Values } from '../../children/values.ts';
import { Contestants, type Entry, Samples } from '../../contestants.ts';
import { ratio, summarize } from '../../measure.ts';
import type { Figure, Measurement, Target } from '../../suite.ts';

const SKEIN = 'skein';
const PLAIN = 'cbor-x';
const DEFAULTS = 'cbor-x, defaults';

type Name = Parameters<Values['time']>[0];

const values: readonly Name[] = [
  '[1, 2]',
  'a small object',
  'a string',
  'ten mixed arguments',
  '100 records',
];

function entries(built: URL): Entry[] {
  const module = new URL('children/values.js', built);
  return [
    { name: SKEIN, module, args: ['skein'] },
    { name: PLAIN, module, args: ['plain'] },
    { name: DEFAULTS, module, args: ['defaults'] },
  ];
}

function figures(samples: Samples): Figure[] {
  return values.flatMap((value) =>
    [SKEIN, PLAIN, DEFAULTS].flatMap((of) =>
      (['encode', 'decode'] as const).flatMap((what) => {
        const found = samples.of(what, value, of);
        if (found.length === 0) return [];
        return [{ what: `${what}: ${value}`, of, unit: 'ns', ...summarize(found) }];
      }),
    ),
  );
}

function targets(samples: Samples): Target[] {
  return values.map((value) => ({
    what: `encode + decode, ${value}: ${SKEIN} / ${PLAIN}`,
    unit: 'x',
    wanted: { most: 1.3 },
    ...ratio(samples.of('both', value, SKEIN), samples.of('both', value, PLAIN)),
  }));
}

export const codecs: Measurement = {
  name: 'codecs',
  about: 'encode and decode arguments, against bare cbor-x',
  async run({ built, quick, progress }) {
    const rounds = quick ? 3 : 15;
    const ms = quick ? 20 : 50;
    const samples = new Samples();
    await using contestants = await Contestants.start<Values>(entries(built));
    for (let round = 0; round <= rounds; round++) {
      progress(`round ${round} of ${rounds}`);
      for (const value of values) {
        await contestants.each(round, async (child, name) => {
          // The first round warms up.
          const { encode, decode } = await child.call('time', [value, round === 0 ? 4 * ms : ms]);
          if (round === 0) return;
          samples.add(encode, 'encode', value, name);
          samples.add(decode, 'decode', value, name);
          samples.add(encode + decode, 'both', value, name);
        });
      }
    }
    return {
      title: 'Values',
      notes: [
        'Time of the processor. cbor-x: `useRecords: false`, so that objects are maps, as Skein writes',
        'them. With its defaults it writes the keys of equal objects once, under tags of its own.',
      ],
      figures: figures(samples),
      targets: targets(samples),
      failures: contestants.failures,
    };
  },
};
