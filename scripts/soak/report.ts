/** What the soak prints. */
import { inspect } from 'node:util';
import type { Counts, CountsByName } from '../../src/testing/counts.ts';
import type { Scenario } from '../../src/testing/scenario.ts';
import { formatTrace, type TraceEvent } from '../../src/testing/trace.ts';
import type { Report, TrialFailure, TrialKind } from './jobs.ts';
import type { Kinds, Shrunk } from './schedule.ts';
import type { TrialSummary } from './trials.ts';

/** So many events of a failing trace are shown. */
const TAIL_EVENTS = 60;
/** What happens so long after a violation, in simulated milliseconds, is shown too. */
const AFTER_MS = 5;
/** So many violations of one schedule are shown. */
const MOST_VIOLATIONS = 10;

export interface Summary {
  readonly schedules: number;
  readonly firstSeed: number;
  /** Fewer schedules were run than should be. */
  readonly interrupted: boolean;
  readonly seconds: number;
  readonly simulatedSeconds: number;
  readonly counts: Counts;
  readonly failures: readonly Report[];
}

export function printSummary(summary: Summary): void {
  const { schedules, firstSeed, seconds, simulatedSeconds, counts } = summary;
  const { nestedCalls, retriedAttempts, aborts, duplicates, crashes, restarts } = counts;
  const rate = number(schedules / Math.max(seconds, 0.001));
  const rows: readonly (readonly [string, string])[] = [
    [
      'schedules',
      `${number(schedules)} from seed ${firstSeed} in ${seconds.toFixed(1)} s, ${rate}/s`,
    ],
    ['simulated', `${number(simulatedSeconds / 3_600)} hours, ${number(counts.events)} events`],
    ['faults', table(counts.faults)],
    ['processes', `${number(crashes)} crashed, ${number(restarts)} came up in place of others`],
    ['connections', `${number(counts.links)}, ${number(counts.packets)} packets`],
    ['calls', `${number(counts.calls)}, ${number(nestedCalls)} of them nested`],
    ['executions', `${number(counts.executions)}, ${number(retriedAttempts)} of them tried again`],
    ['told to stop', number(aborts)],
    ['values', `${number(counts.values)} of generators`],
    ['duplicates', `${number(duplicates)} packets arrived again, and were dropped`],
    ['nacks', table(counts.nacks)],
    ['results', number(counts.results)],
    ['errors', table(counts.errors)],
    ['losses', table(counts.losses)],
  ];
  for (const [name, text] of rows) console.log(`${name.padEnd(14)}${text}`);
}

/** What one of them is that fails. */
const TRIALS: Readonly<Record<TrialKind, string>> = {
  mutations: 'The damaged value',
  scripts: 'The script of context variables',
};

export function printTrials(kind: TrialKind, summary: TrialSummary): void {
  const { tried, firstSeed, seconds, failures } = summary;
  const rate = number(tried / Math.max(seconds, 0.001));
  const text = `${number(tried)} from seed ${firstSeed} in ${seconds.toFixed(1)} s, ${rate}/s`;
  console.log(`${kind.padEnd(14)}${text}`);
  const [failure] = failures;
  if (failure === undefined) return;
  console.log(`\n${TRIALS[kind]} of seed ${failure.seed} breaks what is promised:\n`);
  console.log(`${failure.text}\n\nReplay it: ${replayTrial(failure)}`);
}

/** What tries again what failed. */
export function replayTrial({ kind, seed, count }: Omit<TrialFailure, 'text'>): string {
  return `npm run soak -- --seed ${seed} --${kind} ${count}`;
}

export function printFailure({ seed, failure }: Report, kinds: Kinds): void {
  const texts = failure?.texts ?? [];
  console.log(`\nSeed ${seed} breaks what is promised:\n`);
  for (const text of texts.slice(0, MOST_VIOLATIONS)) console.log(`${text}\n`);
  if (texts.length > MOST_VIOLATIONS) {
    console.log(`and ${texts.length - MOST_VIOLATIONS} more of this schedule\n`);
  }
  console.log(`Replay it: ${replayLine(seed, kinds)}`);
}

export function replayLine(seed: number, kinds: Kinds): string {
  const only = kinds === undefined ? '' : ` --faults ${kinds.join(',') || 'none'}`;
  return `npm run soak -- --seed ${seed} --schedules 1${only}`;
}

export function printShrunk(seed: number, { scenario, outcome, steps }: Shrunk): void {
  console.log(`\nShrunk in ${steps} steps, to:\n`);
  console.log(`await Simulation.run({ seed: ${seed}, ...${printable(scenario)} });\n`);
  const { texts = [], at = 0 } = outcome.failure ?? {};
  for (const text of texts.slice(0, MOST_VIOLATIONS)) console.log(`${text}\n`);
  const events = outcome.trace.filter((event) => event.at <= at + AFTER_MS && !isBeat(event));
  const shown = events.slice(-TAIL_EVENTS);
  const what = shown.length < events.length ? `The last ${shown.length} events` : 'All events';
  console.log(`${what} until then, without pings:\n\n${formatTrace(shown)}`);
}

function isBeat(event: TraceEvent): boolean {
  return event.type === 'packet' && /^(p[io]ng\+?)+$/.test(event.frames);
}

/** As data that can be pasted into a test. */
function printable(scenario: Scenario): string {
  const plain: unknown = JSON.parse(JSON.stringify(scenario));
  return inspect(plain, { depth: null, breakLength: 100, maxArrayLength: null, compact: 3 });
}

function table(counts: CountsByName): string {
  const entries = Object.entries(counts).map(([name, count]) => `${name} ${number(count)}`);
  return entries.length === 0 ? 'none' : entries.join(', ');
}

function number(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 1 });
}
