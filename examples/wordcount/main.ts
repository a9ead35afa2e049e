/** Counts words over the text files of a folder, streamed file by file from worker processes. */
import { SingleBar } from 'cli-progress';
import { SkeinError, WorkerPool } from 'skein';
import { HELP, parseCommandLine, type Settings } from './args.ts';
import { ExitError } from './errors.ts';
import { type Found, findFiles, type TextFile } from './files.ts';
import { type Report, render, topWords } from './report.ts';
import { countFiles } from './routines.ts';
import { type CountFiles, type Tally, tallyFiles } from './tally.ts';

/** Batches that each worker has at a time: one is counted while the other waits for the disk. */
const STREAMS_PER_WORKER = 2;

async function main(args: string[]): Promise<number> {
  const settings = parseCommandLine(args);
  if (settings === undefined) {
    console.log(HELP);
    return 0;
  }
  const found = await findFiles(settings.folder, settings.extensions);
  const stop = new AbortController();
  const interrupt = () => stop.abort(new ExitError('interrupted', 130));
  process.once('SIGINT', interrupt);
  const count = settings.local ? countHere : countOnWorkers;
  const report = await count(found, settings, stop.signal);
  process.removeListener('SIGINT', interrupt);
  if (settings.json) console.log(JSON.stringify(report, null, 2));
  else console.log(render(report, process.stdout.columns ?? 80));
  return report.files > 0 ? 0 : 1;
}

async function countOnWorkers(
  found: Found,
  settings: Settings,
  signal: AbortSignal,
): Promise<Report> {
  await using pool = await WorkerPool.open({ size: settings.workers });
  const uids = new Map<number | undefined, string>();
  // The signal ends the calls, and with them what the workers do.
  const count = countFiles.with({ pool, signal });
  const streams = settings.workers * STREAMS_PER_WORKER;
  const timed = await time(found, settings, streams, count, () => {
    // Looked up as results come in: a worker that dies later is no longer listed.
    for (const { pid, uid } of pool.workers) uids.set(pid, uid);
  });
  const workers = [...timed.tally.pids].map((pid) => uids.get(pid) ?? `process ${pid}`);
  return makeReport(found, settings, timed, workers.sort());
}

async function countHere(found: Found, settings: Settings, signal: AbortSignal): Promise<Report> {
  const timed = await time(found, settings, 1, countFiles.local, () => signal.throwIfAborted());
  return makeReport(found, settings, timed, []);
}

interface Timed {
  readonly tally: Tally;
  readonly seconds: number;
}

async function time(
  { files }: Found,
  { json }: Settings,
  streams: number,
  count: CountFiles,
  onFile: () => void,
): Promise<Timed> {
  const progress = process.stdout.isTTY && !json ? showProgress(files) : undefined;
  const start = performance.now();
  try {
    const tally = await tallyFiles(files, streams, count, (file) => {
      onFile();
      progress?.advance(file);
    });
    return { tally, seconds: (performance.now() - start) / 1000 };
  } finally {
    progress?.stop();
  }
}

function showProgress(files: readonly TextFile[]) {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const bar = new SingleBar({
    format: '{bar} {percentage} %  {files} of {of} files  {eta_formatted} left',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    hideCursor: true,
    stream: process.stdout,
  });
  let done = 0;
  bar.start(total, 0, { files: 0, of: files.length });
  return {
    advance: ({ bytes }: TextFile) => {
      done += 1;
      bar.increment(bytes, { files: done });
    },
    stop: () => bar.stop(),
  };
}

function makeReport(
  found: Found,
  { top }: Settings,
  { tally, seconds }: Timed,
  workers: readonly string[],
): Report {
  let words = 0;
  for (const times of tally.words.values()) words += times;
  return {
    files: tally.files,
    bytes: tally.bytes,
    words,
    distinctWords: tally.words.size,
    seconds,
    workers,
    top: topWords(tally.words, top),
    skipped: [...found.skipped, ...tally.skipped],
  };
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof ExitError || error instanceof SkeinError)) throw error;
  console.error(error.message);
  process.exitCode = error instanceof ExitError ? error.exitCode : 1;
}
