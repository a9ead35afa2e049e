/** Tries many things of one kind, each made from a seed, in several processes. */
import {
  failedTrials,
  runJobs,
  type TrialFailure,
  type TrialKind,
  type TrialOrder,
  type TrialReport,
} from './jobs.ts';

/** As many are one order: long enough that telling them takes no time, short enough for progress. */
const ORDERS: Readonly<Record<TrialKind, number>> = { mutations: 2_000, scripts: 20 };

export interface TrialOptions {
  readonly kind: TrialKind;
  readonly count: number;
  /** The seed of the first; each one after it has the next. */
  readonly seed: number;
  /** No more begin after so long. */
  readonly timeMs: number;
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** Hears how many more were tried. */
  progress(tried: number): void;
}

export interface TrialSummary {
  readonly tried: number;
  readonly firstSeed: number;
  readonly seconds: number;
  readonly failures: readonly TrialFailure[];
}

/** Ends with the first that fails. */
export async function soakTrials(options: TrialOptions): Promise<TrialSummary> {
  const { kind, count, seed: first, timeMs, jobs, signal, progress } = options;
  const most = ORDERS[kind];
  const start = performance.now();
  const failures: TrialFailure[] = [];
  let begun = 0;
  let tried = 0;
  await runJobs<TrialOrder, TrialReport>({
    jobs: Math.min(jobs, Math.ceil(count / most)),
    signal,
    next: () => {
      const late = performance.now() - start > timeMs;
      if (begun >= count || late || signal.aborted || failures.length > 0) return undefined;
      const order = { kind, seed: first + begun, count: Math.min(most, count - begun) };
      begun += order.count;
      return order;
    },
    failed: failedTrials,
    report: (report) => {
      tried += report.tried;
      if (report.failure) failures.push(report.failure);
      progress(report.tried);
    },
  });
  failures.sort((a, b) => a.seed - b.seed);
  const seconds = (performance.now() - start) / 1_000;
  return { tried, firstSeed: first, seconds, failures };
}
