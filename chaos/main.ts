/** `npm run chaos -- [options]`; see `HELP`. */
import { SingleBar } from 'cli-progress';
import { UsageError } from '../scripts/args.ts';
import { Interruption } from '../scripts/interruption.ts';
import { HELP, parseCommandLine } from './args.ts';
import { count } from './figures.ts';
import { json, render } from './report.ts';
import { type Progress, runChaos } from './run.ts';

async function main(args: readonly string[]): Promise<number> {
  const command = parseCommandLine(args);
  if (command === undefined) {
    console.log(HELP);
    return 0;
  }
  const { seconds, seed, size, concurrency, transport } = command;
  if (!command.json) {
    console.log(
      `${seconds} s of chaos: ${size} workers over ${transport}, ${concurrency} calls in flight, --seed ${seed}\n`,
    );
  }
  const interruption = new Interruption();
  const progress = process.stderr.isTTY ? showProgress(seconds) : undefined;
  const { signal } = interruption;
  const run = runChaos({ ...command, signal, ...(progress && { progress: progress.show }) });
  const result = await run
    .catch((error) => {
      if (!signal.aborted) throw error;
      // Those that are just starting have ended by the same Ctrl-C.
      console.error('Interrupted before the workers were up.');
      return undefined;
    })
    .finally(() => progress?.stop());
  if (result === undefined) return interruption.exitCode;
  const figures = count(result);
  console.log(command.json ? json(result, figures) : render(result, figures));
  return result.violations.length > 0 ? 1 : interruption.exitCode;
}

function showProgress(seconds: number) {
  const bar = new SingleBar({
    format: '{bar} {value} of {total} s  {calls} calls  {faults} faults',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    hideCursor: true,
    stream: process.stderr,
  });
  bar.start(seconds, 0, { calls: 0, faults: 0 });
  const stop = () => bar.stop();
  // It hides the cursor.
  process.once('exit', stop);
  return {
    show: ({ ms, calls, faults }: Progress) => {
      bar.update(Math.min(seconds, Math.floor(ms / 1000)), { calls, faults: faults.length });
    },
    stop: () => {
      process.off('exit', stop);
      stop();
    },
  };
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${HELP}`);
  process.exitCode = 2;
}
