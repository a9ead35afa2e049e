/** Calls per second and latency of a no-op by mutual TLS, against plain text. */
import { rmSync } from 'node:fs';
import { callFigures, LEVELS } from '../../call-figures.ts';
import type { Secure } from '../../children/secure.ts';
import {
  MTLS,
  PLAIN,
  type SecureContender,
  secureContenders,
} from '../../contenders/secure-names.ts';
import { Contestants, Samples } from '../../contestants.ts';
import { ratio } from '../../measure.ts';
import type { Measurement, Target } from '../../suite.ts';
import { makeCertificates } from './certificates.ts';

function targets(samples: Samples): Target[] {
  const rate = (name: SecureContender): readonly number[] => samples.of('rate', name, 512);
  return [
    {
      what: `calls/s, 512 in flight: ${MTLS} / ${PLAIN}`,
      unit: 'x',
      wanted: { least: 0.85 },
      ...ratio(rate(MTLS), rate(PLAIN)),
    },
  ];
}

export const calls: Measurement = {
  name: 'calls',
  about: 'calls/s and latency of a no-op at 1, 64, 512 and 4096 in flight',
  async run({ built, quick, progress }) {
    const rounds = quick ? 2 : 9;
    const ms = quick ? 150 : 400;
    const samples = new Samples();
    const folder = await makeCertificates();
    try {
      await using contestants = await Contestants.start<Secure, SecureContender>(
        secureContenders.map((name) => ({
          name,
          module: new URL('children/secure.js', built),
          args: [name, folder],
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
        title: 'A no-op add(1, 2), one worker, over TCP',
        notes: ['Each contender is a process with one worker process, on 127.0.0.1.'],
        figures: callFigures(samples, secureContenders),
        targets: targets(samples),
        failures: contestants.failures,
      };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
