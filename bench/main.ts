/**
 * `npm run bench -- [suite] [--only <measurement>] [--quick] [--json]`
 *
 * Builds the benchmark to plain JavaScript, runs one suite and prints what it found. The exit code
 * is 1 when something could not be measured; a target that is missed is only said.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { environment, printEnvironment, printJson, printResults, printTargets } from './report.ts';
import type { Measurement, Results, Suite } from './suite.ts';
import { context } from './suites/context/index.ts';
import { core } from './suites/core/index.ts';
import { discovery } from './suites/discovery/index.ts';
import { nats } from './suites/nats/index.ts';
import { security } from './suites/security/index.ts';
import { values } from './suites/values/index.ts';

const suites: readonly Suite[] = [core, values, context, discovery, nats, security];

function usage(): string {
  const lines = suites.flatMap(({ name, about, measurements }) => [
    `  ${name.padEnd(12)}${about}`,
    ...measurements.map((one) => `    ${one.name.padEnd(10)}${one.about}`),
  ]);
  return [
    'Usage: npm run bench -- [suite] [options]',
    '',
    'Suites and their measurements (default: core, all of them):',
    ...lines,
    '',
    'Options:',
    '  --only <name>  this measurement only; may be given several times',
    '  --quick        fewer and shorter rounds: to see that it works, not to quote',
    '  --json         print JSON instead of tables',
    '  --help         print this',
  ].join('\n');
}

/** The command line was wrong. */
class UsageError extends Error {}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        only: { type: 'string', multiple: true, default: [] },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function find<T extends { readonly name: string }>(
  kind: string,
  all: readonly T[],
  name: string,
): T {
  const found = all.find((one) => one.name === name);
  if (found) return found;
  throw new UsageError(`No ${kind} '${name}'; there is: ${all.map((one) => one.name).join(', ')}`);
}

/** Compiles this folder to `dist/` beside it. Types are checked elsewhere. */
function build(): URL {
  const dist = join(import.meta.dirname, 'dist');
  rmSync(dist, { recursive: true, force: true });
  const tsc = join(import.meta.dirname, '../node_modules/typescript/bin/tsc');
  const { error, status } = spawnSync(process.execPath, [tsc, '-p', import.meta.dirname], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (error) throw error;
  if (status !== 0) throw new Error('the benchmark does not compile');
  return pathToFileURL(`${dist}/`);
}

/** Progress goes to a terminal only, on one line that is wiped at the end. */
function progress(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`);
}

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = parse(args);
  if (values.help) {
    console.log(usage());
    return;
  }
  if (positionals.length > 1) throw new UsageError('One suite at a time');
  const suite = find('suite', suites, positionals[0] ?? 'core');
  const chosen: readonly Measurement[] =
    values.only.length > 0
      ? values.only.map((name) => find('measurement', suite.measurements, name))
      : suite.measurements;

  const about = environment();
  const built = build();
  if (!values.json) printEnvironment(about);
  const measured = new Map<string, Results>();
  for (const measurement of chosen) {
    const results = await measurement.run({
      quick: values.quick,
      built,
      progress: (what) => progress(`${measurement.name}: ${what}`),
    });
    progress('');
    measured.set(measurement.name, results);
    if (results.failures.length > 0) process.exitCode = 1;
    if (!values.json) printResults(results);
  }
  if (values.json) printJson(suite.name, values.quick, about, measured);
  else printTargets([...measured.values()].flatMap((results) => results.targets));
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${usage()}`);
  process.exitCode = 2;
}
