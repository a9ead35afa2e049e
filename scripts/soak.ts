/**
 * `npm run soak -- [options]`; `--help` names them.
 *
 * Runs many simulations, each with the cluster, workload and faults that its seed stands for, and
 * holds their traces against what the runtime promises; then runs scripts of context variables, and
 * decodes many values that were damaged.
 * Exit code 1: a promise was broken; 130 or 143: it was interrupted, and says what it has run so far.
 */
import { availableParallelism } from 'node:os';
import { SingleBar } from 'cli-progress';
import { addCounts, type Counts, NO_COUNTS } from '../src/testing/counts.ts';
import { faultKinds } from '../src/testing/draw.ts';
import type { FaultKind } from '../src/testing/scenario.ts';
import { formatTrace } from '../src/testing/trace.ts';
import { parseOptions, UsageError, wholeNumber } from './args.ts';
import { Interruption } from './interruption.ts';
import {
  failedSchedule,
  type Report,
  runJobs,
  type ScheduleOrder,
  type TrialKind,
} from './soak/jobs.ts';
import {
  printFailure,
  printShrunk,
  printSummary,
  printTrials,
  replayLine,
  replayTrial,
  type Summary,
} from './soak/report.ts';
import { type Kinds, runSchedule, shrink } from './soak/schedule.ts';
import { soakTrials, type TrialSummary } from './soak/trials.ts';

const USAGE = `Usage: npm run soak -- [options]

Options:
  --schedules <n>   simulations to run; default: 1,000, or no limit with --time; none with
                    --scripts or --mutations alone
  --scripts <n>     scripts of context variables to run after them, held against an oracle and once
                    more with faults; default: one for each 5 schedules, from 10 on
  --mutations <n>   damaged values to decode after them; default: 100 for each schedule, from 10 on
  --seed <n>        the seed of the first; each one after it has the next; default: 1
  --time <seconds>  begins no more after so long; the last tenth is for the mutations, and two before
                    it are for the scripts
  --faults <kinds>  faults that may strike, such as crash,cut; default: all; none for no faults
  --jobs <n>        processes that run them; default: one for each processor
  --trace           prints the whole trace of the one schedule
  --json            prints the summary as JSON
  --help            prints this`;

/** Milliseconds that the search for a smaller case may take. */
const SHRINK_MS = 60_000;
/** Mutations for each schedule, where there are more than a few to be run again. */
const MUTATIONS = 100;
const FEW_SCHEDULES = 10;
/** Schedules for each script. */
const SCHEDULES_PER_SCRIPT = 5;
/** How the time is shared among those that there are. */
const SHARES = { schedules: 7, scripts: 2, mutations: 1 } as const;
/** Milliseconds between the lines of progress where there is no terminal. */
const LINE_MS = 30_000;

function parse(args: readonly string[]) {
  return parseOptions(args, {
    schedules: { type: 'string' },
    scripts: { type: 'string' },
    mutations: { type: 'string' },
    seed: { type: 'string', default: '1' },
    time: { type: 'string' },
    faults: { type: 'string' },
    jobs: { type: 'string' },
    trace: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  });
}

interface Options {
  readonly schedules: number;
  readonly scripts: number;
  readonly mutations: number;
  readonly seed: number;
  readonly timeMs: number;
  readonly kinds: Kinds;
  readonly jobs: number;
  readonly trace: boolean;
  readonly json: boolean;
}

/** Seeds are numbers of 32 bits: fast-check takes no others. */
const SEEDS = 2 ** 31 - 1;

function read(values: ReturnType<typeof parse>): Options {
  const { trace, json } = values;
  const timeMs =
    values.time === undefined ? Number.POSITIVE_INFINITY : seconds(values.time) * 1_000;
  const seed = wholeNumber('seed', values.seed, -SEEDS, SEEDS);
  const most = SEEDS - seed + 1;
  const schedules = Math.min(readSchedules(values, timeMs), most);
  const scripts = Math.min(readScripts(values, schedules), most);
  const mutations = Math.min(readMutations(values, schedules), most);
  const jobs = wholeNumber('jobs', values.jobs ?? String(availableParallelism()), 1, 256);
  if (trace && schedules !== 1) throw new UsageError('--trace needs --schedules 1');
  if (trace && json) throw new UsageError('--trace and --json exclude each other');
  const kinds = values.faults === undefined ? undefined : readKinds(values.faults);
  return { schedules, scripts, mutations, seed, timeMs, kinds, jobs, trace, json };
}

function readSchedules(values: ReturnType<typeof parse>, timeMs: number): number {
  if (values.schedules !== undefined) return wholeNumber('schedules', values.schedules, 1, SEEDS);
  if (Number.isFinite(timeMs)) return SEEDS;
  return values.mutations === undefined && values.scripts === undefined ? 1_000 : 0;
}

function readScripts({ scripts }: ReturnType<typeof parse>, schedules: number): number {
  if (scripts !== undefined) return wholeNumber('scripts', scripts, 0, SEEDS);
  return schedules < FEW_SCHEDULES ? 0 : Math.ceil(schedules / SCHEDULES_PER_SCRIPT);
}

function readMutations({ mutations }: ReturnType<typeof parse>, schedules: number): number {
  if (mutations !== undefined) return wholeNumber('mutations', mutations, 0, SEEDS);
  return schedules < FEW_SCHEDULES ? 0 : schedules * MUTATIONS;
}

function readKinds(text: string): readonly FaultKind[] {
  if (text === 'none') return [];
  return text.split(',').map((name) => {
    const kind = faultKinds.find((one) => one === name.trim());
    if (kind !== undefined) return kind;
    throw new UsageError(`No fault '${name.trim()}'; there is: ${faultKinds.join(', ')}`);
  });
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0)) {
    throw new UsageError(`--time must be a number of seconds above 0, not '${text}'`);
  }
  return value;
}

/** A bar on a terminal; elsewhere a line now and then. */
class Progress {
  readonly #total: number;
  readonly #what: string;
  readonly #bar: SingleBar | undefined;
  #done = 0;
  #said = Number.NEGATIVE_INFINITY;

  constructor(total: number, what: string, quiet: boolean) {
    this.#total = total;
    this.#what = what;
    if (!process.stderr.isTTY || quiet) return;
    const format = ` {bar} {value}/{total} ${what}{more} | {duration_formatted}`;
    this.#bar = new SingleBar({ format, hideCursor: true, clearOnComplete: true });
    this.#bar.start(total, 0, { more: '' });
  }

  add(done: number, more = ''): void {
    this.#done += done;
    this.#bar?.update(this.#done, { more });
    if (this.#bar || performance.now() - this.#said < LINE_MS) return;
    this.#said = performance.now();
    console.error(`${this.#done} of ${this.#total} ${this.#what}${more}`);
  }

  end(): void {
    this.#bar?.stop();
  }
}

async function runSchedules(options: Options, signal: AbortSignal): Promise<Summary> {
  const { schedules, seed: first, kinds, jobs, json } = options;
  const timeMs = timeFor('schedules', options);
  const start = performance.now();
  const progress = new Progress(schedules, 'schedules', json);
  const failures: Report[] = [];
  let counts: Counts = NO_COUNTS;
  let simulatedMs = 0;
  let begun = 0;
  let done = 0;
  await runJobs<ScheduleOrder, Report>({
    jobs: Math.min(jobs, schedules),
    signal,
    next: () => {
      const late = performance.now() - start > timeMs;
      const over = begun === schedules || late || signal.aborted;
      if (over || failures.length > 0) return undefined;
      begun += 1;
      return { seed: first + begun - 1, kinds };
    },
    failed: failedSchedule,
    report: (report) => {
      done += 1;
      counts = addCounts(counts, report.counts);
      simulatedMs += report.simulatedMs;
      if (report.failure) failures.push(report);
      progress.add(1, `, ${counts.calls} calls`);
    },
  });
  progress.end();
  failures.sort((a, b) => a.seed - b.seed);
  return {
    schedules: done,
    firstSeed: first,
    interrupted: signal.aborted,
    seconds: (performance.now() - start) / 1_000,
    simulatedSeconds: simulatedMs / 1_000,
    counts,
    failures,
  };
}

function timeFor(what: keyof typeof SHARES, options: Options): number {
  let sum = 0;
  for (const name of ['schedules', 'scripts', 'mutations'] as const) {
    if (options[name] > 0) sum += SHARES[name];
  }
  return (options.timeMs * SHARES[what]) / sum;
}

async function runTrials(
  kind: TrialKind,
  options: Options,
  signal: AbortSignal,
): Promise<TrialSummary> {
  const count = options[kind];
  const progress = new Progress(count, kind, options.json);
  const summary = await soakTrials({
    ...options,
    kind,
    count,
    timeMs: timeFor(kind, options),
    signal,
    progress: (tried) => progress.add(tried),
  });
  progress.end();
  return summary;
}

async function soak(options: Options): Promise<void> {
  const { kinds, json } = options;
  const interruption = new Interruption();
  const { signal } = interruption;
  const schedules = options.schedules > 0 ? await runSchedules(options, signal) : undefined;
  const [failed] = schedules?.failures ?? [];
  const trials: Partial<Record<TrialKind, TrialSummary>> = {};
  let broken = failed !== undefined;
  for (const kind of ['scripts', 'mutations'] as const) {
    if (broken || signal.aborted || options[kind] === 0) continue;
    const summary = await runTrials(kind, options, signal);
    trials[kind] = summary;
    broken = summary.failures.length > 0;
  }
  // From here on a signal ends it at once: a simulation in this process may let none through.
  if (!signal.aborted) interruption[Symbol.dispose]();
  process.exitCode = broken ? 1 : interruption.exitCode;
  if (json) {
    printJson(schedules, trials, kinds);
    return;
  }
  if (signal.aborted) console.log('Interrupted. What was run so far:\n');
  if (schedules) printSummary(schedules);
  if (trials.scripts) printTrials('scripts', trials.scripts);
  if (trials.mutations) printTrials('mutations', trials.mutations);
  if (!broken) console.log('\nNo promise was broken.');
  if (failed === undefined) return;
  printFailure(failed, kinds);
  if (!signal.aborted) await showShrunk(failed, kinds);
}

function printJson(
  schedules: Summary | undefined,
  trials: Partial<Record<TrialKind, TrialSummary>>,
  kinds: Kinds,
): void {
  const replay = [
    ...(schedules?.failures ?? []).map(({ seed }) => replayLine(seed, kinds)),
    ...Object.values(trials).flatMap(({ failures }) => failures.map(replayTrial)),
  ];
  console.log(JSON.stringify({ ...schedules, ...trials, replay }, null, 2));
}

async function showShrunk(report: Report, kinds: Kinds): Promise<void> {
  // What ended or held up its process would do the same to this one.
  if (report.failure === undefined || report.failure.by.includes('process')) return;
  const shrunk = await shrink(report.seed, kinds, report.failure, SHRINK_MS);
  if (shrunk) printShrunk(report.seed, shrunk);
}

/** One schedule, with its trace. */
async function showTrace({ seed, kinds }: Options): Promise<void> {
  const { trace, failure } = await runSchedule(seed, kinds);
  process.stdout.write(formatTrace(trace));
  if (failure === undefined) return;
  process.exitCode = 1;
  for (const one of failure.texts) console.error(`\n${one}`);
}

async function main(args: readonly string[]): Promise<void> {
  const values = parse(args);
  if (values.help) return console.log(USAGE);
  const options = read(values);
  await (options.trace ? showTrace(options) : soak(options));
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
