/** What a run prints. */
import { FAULTS, type Figures, OUTCOMES } from './figures.ts';
import type { Violation } from './oracle.ts';
import type { ChaosResult } from './run.ts';

type Cell = string | number;

const number = (value: number) => value.toLocaleString('en', { maximumFractionDigits: 1 });

/** Columns: words to the left, numbers to the right. */
function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const text = rows.map((row) =>
    row.map((cell) => (typeof cell === 'number' ? number(cell) : cell)),
  );
  const widths = head.map((title, i) =>
    Math.max(title.length, ...text.map((row) => row[i]!.length)),
  );
  const align = (cell: string, i: number) =>
    typeof rows[0]?.[i] === 'number' ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!);
  return [head, widths.map((width) => '-'.repeat(width)), ...text]
    .map((row) => `  ${row.map(align).join('  ')}`.trimEnd())
    .join('\n');
}

function callTable({ byKind, outcomes }: Figures): string {
  const shown = OUTCOMES.filter((name) => outcomes[name] > 0);
  const row = (kind: string, of: Figures['outcomes']): Cell[] => [
    kind,
    OUTCOMES.reduce((sum, name) => sum + of[name], 0),
    ...shown.map((name) => of[name]),
  ];
  const kinds = Object.entries(byKind).map(([kind, of]) => row(kind, of));
  return table(['call', 'made', ...shown], [...kinds, row('all', outcomes)]);
}

const FAULT_NAMES: Readonly<Record<(typeof FAULTS)[number], string>> = {
  kill: 'killed (SIGKILL)',
  term: 'told to end (SIGTERM)',
  stop: 'stopped and continued',
  stall: 'stopped for good',
  reset: 'connection reset',
  end: 'connection ended',
  hold: 'connection half-open for a time',
  sever: 'connection half-open for good',
  partition: 'out of reach for a time',
  delay: 'connection delayed',
  throttle: 'connection slowed down',
  cut: 'connection to the server cut',
  restart: 'server killed and started again',
  freeze: 'server stopped and continued',
  outage: 'server away for long',
};

function faultTable({ faults }: Figures): string {
  return table(
    ['worker', 'times'],
    FAULTS.map((kind) => [FAULT_NAMES[kind], faults[kind]]),
  );
}

function summary(figures: Figures): string {
  return table(
    ['in all', '', ''],
    [
      ['calls', figures.calls, ''],
      ['executions', figures.executions, ''],
      ['tried again', figures.retriedAttempts, 'of them'],
      ['time', figures.seconds, 's'],
      ['throughput', figures.callsPerSecond, 'calls/s'],
      ['worker restarts', figures.restarts, ''],
      ['last call ended after the faults', figures.settleMs, 'ms'],
    ],
  );
}

/** Violations that are shown in full; the others are in the folder. */
const MAX_SHOWN = 20;

function evidence(violations: readonly Violation[], kept: string | undefined): string {
  if (violations.length === 0) return 'Nothing was violated.';
  const lines = violations
    .slice(0, MAX_SHOWN)
    .map(({ rule, subject, evidence }) => `  ${rule}: ${subject}: ${evidence}`);
  const more = violations.length - lines.length;
  if (more > 0) lines.push(`  and ${number(more)} more`);
  return `VIOLATED ${number(violations.length)} times; all that is known is in ${kept}\n\n${lines.join('\n')}`;
}

export function render(
  { options, history, violations, kept }: ChaosResult,
  figures: Figures,
): string {
  const { interruptedAt } = history;
  return [
    callTable(figures),
    faultTable(figures),
    summary(figures),
    ...(interruptedAt === undefined
      ? []
      : [`Interrupted after ${number(interruptedAt / 1000)} of ${options.seconds} s.`]),
    evidence(violations, kept),
  ].join('\n\n');
}

export function json(
  { options, history, violations, kept }: ChaosResult,
  figures: Figures,
): string {
  const { seconds, seed, size, concurrency } = options;
  const asked = { seconds, seed, size, concurrency };
  const interrupted = history.interruptedAt !== undefined;
  return JSON.stringify({ options: asked, interrupted, figures, violations, kept }, undefined, 2);
}
