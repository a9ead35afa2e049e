/** How soon local workers are found, used and given up. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Changing } from '../../children/changing.ts';
import { Samples } from '../../contestants.ts';
import { Child } from '../../ipc.ts';
import { summarize } from '../../measure.ts';
import type { Measurement, Target } from '../../suite.ts';

const run = promisify(execFile);

const wanted = {
  announce: ['a worker is announced, to the result of a call that waits for it', 300],
  kill: ['a worker is killed, until its pool knows it no more', 1_000],
  open: ['WorkerPool.open() with 8 workers that are up, to the first result', 300],
} as const;

export const local: Measurement = {
  name: 'local',
  about: 'how soon workers on this machine are used, and given up',
  async run({ built, quick, progress }) {
    const rounds = quick ? 2 : 9;
    const samples = new Samples();
    const namespace = `bench-${process.pid}`;
    const module = new URL('children/changing.js', built);
    const pools = await Child.start<Changing>('two pools', module, [namespace]);
    const crowd = await Child.start<Changing>('a pool of 8', module, [`${namespace}-8`]);
    try {
      progress('8 workers come up');
      await crowd.call('spawn', [8]);
      const found = fileURLToPath(new URL('children/found.js', built));
      for (let round = 1; round <= rounds; round++) {
        progress(`round ${round} of ${rounds}`);
        samples.add(await pools.call('announce', []), 'announce');
        samples.add(await pools.call('kill', []), 'kill');
        const { stdout } = await run(process.execPath, [found, `${namespace}-8`], {
          timeout: 30_000,
          killSignal: 'SIGKILL',
        });
        samples.add(JSON.parse(stdout), 'open');
      }
      await crowd.call('close', []);
    } finally {
      await Promise.all([pools.end(), crowd.end()]);
    }
    const results = Object.entries(wanted).map(([key, [what, most]]): Target => {
      return { what, unit: 'ms', wanted: { most }, ...summarize(samples.of(key)) };
    });
    return {
      title: 'Workers of this machine, found by LocalDiscovery',
      notes: [],
      figures: results.map(({ wanted: _, ...figure }) => ({ ...figure, of: '' })),
      targets: results,
      failures: [],
    };
  },
};
