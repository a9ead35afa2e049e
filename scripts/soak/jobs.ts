/** Runs schedules in several processes at a time. */
import { type ChildProcess, fork } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { type Counts, NO_COUNTS } from '../../src/testing/counts.ts';
import type { Failure, Kinds } from './schedule.ts';

/** What a process is told to run. */
export interface Order {
  readonly seed: number;
  readonly kinds: Kinds;
}

/** What a process says of one schedule. */
export interface Report {
  readonly seed: number;
  readonly counts: Counts;
  readonly simulatedMs: number;
  readonly failure?: Failure;
}

/** Real milliseconds after which a schedule is taken to hang. */
const HANG_MS = 120_000;

export interface JobsOptions {
  readonly jobs: number;
  readonly kinds: Kinds;
  /** Ends the processes when it aborts; the schedules that they run then are not reported. */
  readonly signal: AbortSignal;
  /** The next seed, or undefined when there is nothing more to do. */
  next(): number | undefined;
  report(report: Report): void;
}

/** Resolves when all schedules are done, those that have begun included, or the signal aborts. */
export async function runJobs(options: JobsOptions): Promise<void> {
  const { jobs, kinds, signal, next, report } = options;
  // One for each process.
  setMaxListeners(0, signal);
  await Promise.all(
    Array.from({ length: jobs }, async () => {
      let child: ChildProcess | undefined;
      for (let seed = next(); seed !== undefined; seed = next()) {
        child ??= start();
        const answer = await ask(child, { seed, kinds }, signal);
        if (signal.aborted) break;
        report(answer ?? failed(seed, child));
        // It hangs or has ended: the next seed gets a process of its own.
        if (answer === undefined) child = end(child);
      }
      end(child);
    }),
  );
}

function start(): ChildProcess {
  return fork(join(import.meta.dirname, 'job.ts'), { execArgv: ['--import', 'tsx'] });
}

function end(child: ChildProcess | undefined): undefined {
  child?.kill('SIGKILL');
}

/** What the process says of it; undefined when it ends or hangs before, or the signal aborts. */
function ask(child: ChildProcess, order: Order, signal: AbortSignal): Promise<Report | undefined> {
  return new Promise((resolve) => {
    const settle = (report: Report | undefined) => {
      clearTimeout(timer);
      child.off('message', answered).off('exit', ended);
      signal.removeEventListener('abort', ended);
      resolve(report);
    };
    const answered = (report: unknown) => settle(report as Report);
    const ended = () => settle(undefined);
    const timer = setTimeout(ended, HANG_MS);
    child.on('message', answered).on('exit', ended);
    signal.addEventListener('abort', ended);
    // It may be gone by now; 'exit' tells.
    child.send(order, () => {});
  });
}

function failed(seed: number, { exitCode, signalCode }: ChildProcess): Report {
  const how =
    exitCode === null && signalCode === null
      ? `did not end within ${HANG_MS / 1_000} s`
      : `ended its process (${signalCode ?? `exit code ${exitCode}`})`;
  const failure = { by: ['process'], texts: [`the schedule ${how}`], at: 0 };
  return { seed, counts: NO_COUNTS, simulatedMs: 0, failure };
}
