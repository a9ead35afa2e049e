/** Calls per second and latency of a no-op, against what else Node has for it. */

import { callFigures, LEVELS } from '../../call-figures.ts';
import type { Calls } from '../../children/calls.ts';
import {
  type ContenderName,
  contenderNames,
  type Socket,
  skeinOver,
  streamOver,
  unaryOver,
} from '../../contenders/contender.ts';
import { Contestants, Samples } from '../../contestants.ts';
import { ratio } from '../../measure.ts';
import type { Measurement, Target } from '../../suite.ts';

const sockets: readonly Socket[] = ['tcp', 'unix'];

/**
 * grpc-js unary over a Unix socket stalls for ever with thousands of calls in flight: both processes
 * stop reading while they wait to write. Seen on Node 20 and 24, at 4096, more often than not.
 */
function stalls(name: ContenderName, inFlight: number): boolean {
  return name === unaryOver('unix') && inFlight > 512;
}

function targets(samples: Samples): Target[] {
  return sockets.flatMap((socket) => {
    const skein = skeinOver(socket);
    const rate = (name: string): readonly number[] => samples.of('rate', name, 512);
    const latency = (name: string): readonly number[] => samples.of('p50', name, 1);
    return [
      {
        what: `calls/s, 512 in flight: ${skein} / ${unaryOver(socket)}`,
        unit: 'x',
        wanted: { least: 12 },
        ...ratio(rate(skein), rate(unaryOver(socket))),
      },
      {
        what: `calls/s, 512 in flight: ${skein} / piscina (aim: 1.5)`,
        unit: 'x',
        wanted: { least: 1 },
        ...ratio(rate(skein), rate('piscina')),
      },
      {
        what: `median latency, 1 in flight: ${skein} / ${streamOver(socket)}`,
        unit: 'x',
        wanted: { most: 1.25 },
        ...ratio(latency(skein), latency(streamOver(socket))),
      },
    ];
  });
}

export const calls: Measurement = {
  name: 'calls',
  about: 'calls/s and latency of a no-op at 1, 64, 512 and 4096 in flight',
  async run({ built, quick, progress }) {
    const rounds = quick ? 2 : 7;
    const ms = quick ? 150 : 300;
    const samples = new Samples();
    await using contestants = await Contestants.start<Calls, ContenderName>(
      contenderNames.map((name) => ({
        name,
        module: new URL('children/calls.js', built),
        args: [name],
      })),
    );
    // Round 0 warms up, and its figures are dropped.
    for (let round = 0; round <= rounds; round++) {
      for (const inFlight of LEVELS) {
        progress(`round ${round} of ${rounds}, ${inFlight} in flight`);
        await contestants.each(round, async (child, name) => {
          if (stalls(name, inFlight)) return;
          const slice = await child.call('drive', [inFlight, ms]);
          if (round === 0) return;
          samples.add(slice.callsPerSecond, 'rate', name, inFlight);
          samples.add(slice.p50, 'p50', name, inFlight);
          samples.add(slice.p99, 'p99', name, inFlight);
        });
      }
    }
    return {
      title: 'A no-op add(1, 2), one worker',
      notes: [
        'Each contender is a process with one worker process; piscina has a thread instead.',
        "piscina: concurrentTasksPerWorker 4096, recordTiming false; 'defaults' is without these.",
        'grpc stream: one message of 16 bytes per call on one stream, no codec, no runtime.',
        'grpc unary over a Unix socket is not driven at 4096: it stalls there for ever.',
        'Both grpc contenders have the channel options of skein.',
      ],
      figures: callFigures(samples, contenderNames),
      targets: targets(samples),
      failures: contestants.failures,
    };
  },
};
