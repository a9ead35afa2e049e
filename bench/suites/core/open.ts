/** From nothing to the first result. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Opening } from '../../children/open.ts';
import { Samples } from '../../contestants.ts';
import { Child } from '../../ipc.ts';
import { summarize } from '../../measure.ts';
import type { Failure, Figure, Measurement } from '../../suite.ts';

const run = promisify(execFile);
const steps = {
  'an empty child process, until its first message': 'empty',
  "import 'skein'": 'import',
  'WorkerPool.open({ size: 1 }) to the first result': 'open',
  'pool.close()': 'close',
  'the whole program, from its start to its end': 'program',
} as const;

async function program(built: URL, samples: Samples): Promise<void> {
  const started = performance.now();
  const { stdout } = await run(
    process.execPath,
    [fileURLToPath(new URL('children/open.js', built))],
    { timeout: 30_000, killSignal: 'SIGKILL' },
  );
  samples.add(performance.now() - started, 'program');
  const opening: Opening = JSON.parse(stdout);
  for (const [step, ms] of Object.entries(opening)) samples.add(ms, step);
}

async function empty(built: URL, samples: Samples): Promise<void> {
  const started = performance.now();
  const child = await Child.start('an empty process', new URL('children/empty.js', built));
  samples.add(performance.now() - started, 'empty');
  await child.end();
}

export const open: Measurement = {
  name: 'open',
  about: 'WorkerPool.open({ size: 1 }) to the first result, in a new process',
  async run({ built, quick, progress }) {
    const rounds = quick ? 3 : 7;
    const samples = new Samples();
    const failures: Failure[] = [];
    for (let round = 1; round <= rounds && failures.length === 0; round++) {
      progress(`round ${round} of ${rounds}`);
      await empty(built, samples);
      await program(built, samples).catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        failures.push({ what: 'a program with one call', reason });
      });
    }
    const figures: Figure[] = [];
    for (const [what, step] of Object.entries(steps)) {
      const values = samples.of(step);
      if (values.length > 0) figures.push({ what, of: '', unit: 'ms', ...summarize(values) });
    }
    return {
      title: 'A new program',
      notes: [],
      figures,
      targets: [
        {
          what: 'WorkerPool.open({ size: 1 }) to the first result',
          unit: 'ms',
          wanted: { below: 400 },
          ...summarize(samples.of('open')),
        },
      ],
      failures,
    };
  },
};
