/** From a pool that opens, through the handshake, to the first result of a worker that is up. */
import { rmSync } from 'node:fs';
import type { Secure } from '../../children/secure.ts';
import { type SecureContender, secureContenders } from '../../contenders/secure-names.ts';
import { Contestants, Samples } from '../../contestants.ts';
import { summarize } from '../../measure.ts';
import type { Measurement } from '../../suite.ts';
import { makeCertificates } from './certificates.ts';

export const first: Measurement = {
  name: 'first',
  about: 'WorkerPool.open() with a worker that is up, to the first result',
  async run({ built, quick, progress }) {
    const rounds = quick ? 5 : 40;
    const samples = new Samples();
    const folder = await makeCertificates();
    const entries = secureContenders.map((name) => ({
      name,
      module: new URL('children/secure.js', built),
      args: [name, folder],
    }));
    try {
      await using workers = await Contestants.start<Secure, SecureContender>(entries);
      await using callers = await Contestants.start<Secure, SecureContender>(entries);
      const addresses = new Map<SecureContender, string>();
      await workers.each(0, async (child, name) => {
        addresses.set(name, await child.call('listen', []));
      });
      // Round 0 loads and compiles what the others use.
      for (let round = 0; round <= rounds; round++) {
        progress(`round ${round} of ${rounds}`);
        await callers.each(round, async (child, name) => {
          const ms = await child.call('first', [addresses.get(name) as string]);
          if (round > 0) samples.add(ms, name);
        });
      }
      return {
        title: 'The first result of a worker that is up, over TCP',
        notes: [
          'Caller and worker are processes that have called before; each time a new pool opens.',
        ],
        figures: secureContenders.flatMap((of) => {
          const values = samples.of(of);
          const what = 'WorkerPool.open() to the first result';
          return values.length === 0 ? [] : [{ what, of, unit: 'ms', ...summarize(values) }];
        }),
        targets: [],
        failures: [...workers.failures, ...callers.failures],
      };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
