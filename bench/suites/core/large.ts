/** One large argument, and the small calls beside it. */
import type { Large } from '../../children/large.ts';
import type { Socket } from '../../contenders/contender.ts';
import { Contestants, type Entry, Samples } from '../../contestants.ts';
import { ratio, summarize } from '../../measure.ts';
import type { Figure, Measurement, Target } from '../../suite.ts';

const sockets: readonly Socket[] = ['tcp', 'unix'];
const kinds = ['skein', 'grpc, tuned', 'grpc, defaults'] as const;

function nameOf(kind: (typeof kinds)[number], socket: Socket): string {
  return `${kind}, ${socket === 'tcp' ? 'TCP' : 'Unix'}`;
}

function entries(built: URL): Entry[] {
  return sockets.flatMap((socket) =>
    kinds.map((kind) => {
      const [runtime, tuning] = kind.split(', ');
      return {
        name: nameOf(kind, socket),
        module: new URL('children/large.js', built),
        args: [runtime!, socket, tuning ?? 'tuned'],
      };
    }),
  );
}

function figures(samples: Samples): Figure[] {
  const all: Figure[] = [];
  const add = (what: string, of: string, unit: string, values: readonly number[]): void => {
    if (values.length > 0) all.push({ what, of, unit, ...summarize(values) });
  };
  const names = sockets.flatMap((socket) => kinds.map((kind) => nameOf(kind, socket)));
  for (const name of names) add('64 MiB argument', name, 'MB/s', samples.of('rate', name));
  for (const name of names) add('small call, idle link', name, 'µs', samples.of('idle', name));
  for (const name of names) add('small call, large beside', name, 'µs', samples.of('loaded', name));
  return all;
}

function targets(samples: Samples): Target[] {
  return sockets.flatMap((socket) => {
    const skein = nameOf('skein', socket);
    const bare = nameOf('grpc, tuned', socket);
    return [
      {
        what: `64 MiB argument, MB/s: ${skein} / ${bare}`,
        unit: 'x',
        wanted: { least: 0.6 },
        ...ratio(samples.of('rate', skein), samples.of('rate', bare)),
      },
      {
        what: `median of small calls, large beside / idle: ${skein}`,
        unit: 'x',
        wanted: { below: 3 },
        ...ratio(samples.of('loaded', skein), samples.of('idle', skein)),
      },
    ];
  });
}

export const large: Measurement = {
  name: 'large',
  about: 'a 64 MiB argument, and small calls while such values travel',
  async run({ built, quick, progress }) {
    const rounds = quick ? 2 : 9;
    const ms = quick ? 300 : 500;
    const samples = new Samples();
    await using contestants = await Contestants.start<Large>(entries(built));
    for (let round = 0; round <= rounds; round++) {
      progress(`round ${round} of ${rounds}`);
      await contestants.each(round, async (child, name) => {
        const rate = await child.call('send', []);
        if (round > 0) samples.add(rate, 'rate', name);
      });
      await contestants.each(round, async (child, name) => {
        const { idle, loaded } = await child.call('beside', [ms]);
        if (round === 0) return;
        samples.add(idle, 'idle', name);
        samples.add(loaded, 'loaded', name);
      });
    }
    return {
      title: 'A large value, and small calls on the same connection',
      notes: [
        'MB are MiB. grpc: 256 KiB messages on one stream; its receiver counts them and keeps none.',
        "'tuned' has skein's flow control window of 1 MiB on both sides, and is what skein is compared with.",
      ],
      figures: figures(samples),
      targets: targets(samples),
      failures: contestants.failures,
    };
  },
};
