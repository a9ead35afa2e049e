/** Calls per second and latency of a no-op over NATS, against what its client has for it. */

import { callFigures, LEVELS } from '../../call-figures.ts';
import type { NatsCalls } from '../../children/nats.ts';
import { type NatsContender, natsContenders, REQUEST, SKEIN } from '../../contenders/nats-names.ts';
import { startNatsServer } from '../../contenders/nats-server.ts';
import { Contestants, Samples } from '../../contestants.ts';
import { ratio } from '../../measure.ts';
import type { Measurement, Target } from '../../suite.ts';

function targets(samples: Samples): Target[] {
  const rate = (name: string): readonly number[] => samples.of('rate', name, 512);
  const latency = (name: string): readonly number[] => samples.of('p50', name, 1);
  return [
    {
      what: `calls/s, 512 in flight: ${SKEIN} / ${REQUEST}`,
      unit: 'x',
      wanted: { least: 2.5 },
      ...ratio(rate(SKEIN), rate(REQUEST)),
    },
    {
      what: `median latency, 1 in flight: ${SKEIN} / ${REQUEST}`,
      unit: 'x',
      wanted: { most: 1.3 },
      ...ratio(latency(SKEIN), latency(REQUEST)),
    },
  ];
}

export const calls: Measurement = {
  name: 'calls',
  about: 'calls/s and latency of a no-op at 1, 64, 512 and 4096 in flight',
  async run({ built, quick, progress }) {
    const rounds = quick ? 2 : 7;
    const ms = quick ? 150 : 300;
    const samples = new Samples();
    const server = await startNatsServer();
    try {
      await using contestants = await Contestants.start<NatsCalls, NatsContender>(
        natsContenders.map((name) => ({
          name,
          module: new URL('children/nats.js', built),
          args: [name, server.url],
        })),
      );
      // Round 0 warms up, and its figures are dropped.
      for (let round = 0; round <= rounds; round++) {
        for (const inFlight of LEVELS) {
          progress(`round ${round} of ${rounds}, ${inFlight} in flight`);
          await contestants.each(round, async (child, name) => {
            const slice = await child.call('drive', [inFlight, ms]);
            if (round === 0) return;
            samples.add(slice.callsPerSecond, 'rate', name, inFlight);
            samples.add(slice.p50, 'p50', name, inFlight);
            samples.add(slice.p99, 'p99', name, inFlight);
          });
        }
      }
      return {
        title: `A no-op add(1, 2), one worker, over ${server.version}`,
        notes: [
          'Each contender is a process with one worker process; all use one server, which no one else uses.',
          "request/reply: `request` of NATS's own client, answered by `respond`; 16 bytes, no codec, no runtime.",
          'skein, TCP: the same calls without the server, over gRPC.',
        ],
        figures: callFigures(samples, natsContenders),
        targets: targets(samples),
        failures: contestants.failures,
      };
    } finally {
      await server.stop();
    }
  },
};
