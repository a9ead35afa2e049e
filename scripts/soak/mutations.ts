/** Tries many mutations of encoded values, in several processes. */
import {
  failedMutations,
  type MutationFailure,
  type MutationOrder,
  type MutationReport,
  runJobs,
} from './jobs.ts';

/** As many are one order: long enough that telling them takes no time, short enough for progress. */
const ORDER = 2_000;

export interface MutationOptions {
  readonly mutations: number;
  /** The seed of the first; each one after it has the next. */
  readonly seed: number;
  /** No more begin after so long. */
  readonly timeMs: number;
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** Hears how many more were tried. */
  progress(tried: number): void;
}

export interface MutationSummary {
  readonly tried: number;
  readonly firstSeed: number;
  readonly seconds: number;
  readonly failures: readonly MutationFailure[];
}

/** Ends with the first that fails. */
export async function soakMutations(options: MutationOptions): Promise<MutationSummary> {
  const { mutations, seed: first, timeMs, jobs, signal, progress } = options;
  const start = performance.now();
  const failures: MutationFailure[] = [];
  let begun = 0;
  let tried = 0;
  await runJobs<MutationOrder, MutationReport>({
    jobs: Math.min(jobs, Math.ceil(mutations / ORDER)),
    signal,
    next: () => {
      const late = performance.now() - start > timeMs;
      if (begun >= mutations || late || signal.aborted || failures.length > 0) return undefined;
      const order = { seed: first + begun, mutations: Math.min(ORDER, mutations - begun) };
      begun += order.mutations;
      return order;
    },
    failed: failedMutations,
    report: (report) => {
      tried += report.mutations;
      if (report.failure) failures.push(report.failure);
      progress(report.mutations);
    },
  });
  failures.sort((a, b) => a.seed - b.seed);
  const seconds = (performance.now() - start) / 1_000;
  return { tried, firstSeed: first, seconds, failures };
}
