/** Runs schedules, mutations or scripts in several processes at a time. */
import { type ChildProcess, fork } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { type Counts, NO_COUNTS } from '../../src/testing/counts.ts';
import type { Failure, Kinds } from './schedule.ts';

/** A schedule that a process is told to run. */
export interface ScheduleOrder {
  readonly seed: number;
  readonly kinds: Kinds;
}

/** Values that were damaged, or scripts of context variables. */
export type TrialKind = 'mutations' | 'scripts';

/** What a process is told to try: so many, from a seed on. */
export interface TrialOrder {
  readonly kind: TrialKind;
  readonly seed: number;
  readonly count: number;
}

export type Order = ScheduleOrder | TrialOrder;

/** What a process says of one schedule. */
export interface Report {
  readonly seed: number;
  readonly counts: Counts;
  readonly simulatedMs: number;
  readonly failure?: Failure;
}

/** What a process says of what it tried. */
export interface TrialReport {
  readonly tried: number;
  readonly failure?: TrialFailure;
}

export interface TrialFailure {
  readonly kind: TrialKind;
  /** The first of those that may be to blame, and how many they are. */
  readonly seed: number;
  readonly count: number;
  readonly text: string;
}

/** Real milliseconds after which an order is taken to hang. */
const HANG_MS = 120_000;

export interface JobsOptions<O extends Order, R> {
  readonly jobs: number;
  /** Ends the processes when it aborts; what they run then is not reported. */
  readonly signal: AbortSignal;
  /** What to run next, or undefined when there is nothing more to do. */
  next(): O | undefined;
  /** What to report of an order whose process hangs or has ended. */
  failed(order: O, how: string): R;
  report(report: R): void;
}

/** Resolves when all orders are done, those that have begun included, or the signal aborts. */
export async function runJobs<O extends Order, R>(options: JobsOptions<O, R>): Promise<void> {
  const { jobs, signal, next, report } = options;
  // One for each process.
  setMaxListeners(0, signal);
  await Promise.all(
    Array.from({ length: jobs }, async () => {
      let child: ChildProcess | undefined;
      for (let order = next(); order !== undefined; order = next()) {
        child ??= start();
        const answer = await ask<R>(child, order, signal);
        if (signal.aborted) break;
        report(answer ?? options.failed(order, endOf(child)));
        // It hangs or has ended: the next order gets a process of its own.
        if (answer === undefined) child = end(child);
      }
      end(child);
    }),
  );
}

function start(): ChildProcess {
  return fork(join(import.meta.dirname, 'job.ts'));
}

function end(child: ChildProcess | undefined): undefined {
  child?.kill('SIGKILL');
}

/** What the process says of it; undefined when it ends or hangs before, or the signal aborts. */
function ask<R>(child: ChildProcess, order: Order, signal: AbortSignal): Promise<R | undefined> {
  return new Promise((resolve) => {
    const settle = (report: R | undefined) => {
      clearTimeout(timer);
      child.off('message', answered).off('exit', ended);
      signal.removeEventListener('abort', ended);
      resolve(report);
    };
    const answered = (report: unknown) => settle(report as R);
    const ended = () => settle(undefined);
    const timer = setTimeout(ended, HANG_MS);
    child.on('message', answered).on('exit', ended);
    signal.addEventListener('abort', ended);
    // It may be gone by now; 'exit' tells.
    child.send(order, () => {});
  });
}

/** How a process failed that gave no answer. */
function endOf({ exitCode, signalCode }: ChildProcess): string {
  return exitCode === null && signalCode === null
    ? `did not end within ${HANG_MS / 1_000} s`
    : `ended its process (${signalCode ?? `exit code ${exitCode}`})`;
}

/** What there is to say of a schedule whose process failed. */
export function failedSchedule({ seed }: ScheduleOrder, how: string): Report {
  const failure = { by: ['process'], texts: [`the schedule ${how}`], at: 0 };
  return { seed, counts: NO_COUNTS, simulatedMs: 0, failure };
}

/** What there is to say of an order whose process failed. */
export function failedTrials(order: TrialOrder, how: string): TrialReport {
  return { tried: order.count, failure: { ...order, text: `one of them ${how}` } };
}
