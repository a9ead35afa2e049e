/** What the benchmark prints. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { type Figure, met, type Results, type Target } from './suite.ts';

export interface Environment {
  readonly node: string;
  readonly cpu: string;
  readonly cpus: number;
  /** Load average of the last minute, before the benchmark began. */
  readonly load: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** The version of an installed package, also of one that does not export its package.json. */
function version(name: string): string {
  const { resolve } = createRequire(import.meta.url);
  for (let folder = dirname(resolve(name)); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const manifest: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      const { name: found, version } = manifest as { name?: string; version?: string };
      if (found === name && version) return version;
    } catch {
      // No package.json here; the one that counts is further up.
    }
  }
  return 'unknown';
}

export function environment(): Environment {
  const measured = ['@grpc/grpc-js', '@nats-io/transport-node', 'cbor-x', 'piscina'];
  return {
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: availableParallelism(),
    load: loadavg()[0] ?? 0,
    versions: Object.fromEntries(measured.map((name) => [name, version(name)])),
  };
}

/** Three digits that matter, with thousands separated. */
function number(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

type Cell = string | number;

/** Columns: words to the left, numbers to the right. */
function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const text = rows.map((row) =>
    row.map((cell) => (typeof cell === 'number' ? number(cell) : cell)),
  );
  const widths = head.map((title, i) =>
    Math.max(title.length, ...text.map((row) => row[i]!.length)),
  );
  const align = (cell: string, i: number): string =>
    typeof rows[0]?.[i] === 'number' ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!);
  return [head, widths.map((width) => '-'.repeat(width)), ...text]
    .map((row) => `  ${row.map(align).join('  ')}`.trimEnd())
    .join('\n');
}

function figureTable(figures: readonly Figure[]): string {
  const more = [...new Set(figures.flatMap((figure) => Object.keys(figure.more ?? {})))];
  return table(
    ['what', 'of', 'median', 'min', 'max', 'unit', ...more],
    figures.map((figure) => [
      figure.what,
      figure.of,
      figure.median,
      figure.min,
      figure.max,
      figure.unit,
      ...more.map((name) => figure.more?.[name] ?? Number.NaN),
    ]),
  );
}

function wantedText({ wanted }: Target): string {
  if ('least' in wanted) return `>= ${wanted.least}`;
  if ('most' in wanted) return `<= ${wanted.most}`;
  return `< ${wanted.below}`;
}

function verdict(target: Target): string {
  if (target.rounds === 0) return 'not measured';
  return met(target) ? 'met' : 'MISSED';
}

function targetTable(targets: readonly Target[]): string {
  return table(
    ['target', 'wanted', 'median', 'min', 'max', 'unit', ''],
    targets.map((target) => [
      target.what,
      wantedText(target),
      target.median,
      target.min,
      target.max,
      target.unit,
      verdict(target),
    ]),
  );
}

export function printEnvironment({ node, cpu, cpus, load, versions }: Environment): void {
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  console.log(`Node ${node}, ${cpus} CPUs (${cpu}), ${packages.join(', ')}`);
  if (load > 0.5) console.log(`The machine is busy (load ${number(load)}): expect noise.`);
}

export function printResults({ title, notes, figures, failures }: Results): void {
  console.log(`\n${title}\n`);
  if (figures.length > 0) console.log(`${figureTable(figures)}\n`);
  for (const note of notes) console.log(`  ${note}`);
  for (const { what, reason } of failures) console.log(`\n  FAILED: ${what}\n  ${reason}`);
}

export function printTargets(targets: readonly Target[]): void {
  if (targets.length === 0) return;
  console.log('\nTargets (ratios are taken round by round)\n');
  console.log(targetTable(targets));
}

export function printJson(
  suite: string,
  quick: boolean,
  environment: Environment,
  measured: ReadonlyMap<string, Results>,
): void {
  const measurements = Object.fromEntries(
    [...measured].map(([name, results]) => [
      name,
      {
        ...results,
        targets: results.targets.map((target) => ({ ...target, verdict: verdict(target) })),
      },
    ]),
  );
  console.log(JSON.stringify({ suite, quick, environment, measurements }, null, 2));
}
