/** The command line. */
import { parseArgs } from 'node:util';
import type { ChaosOptions } from './run.ts';

export const HELP = `Calls routines on a pool while its workers are killed and stopped and their connections cut, and
checks that no task ran twice and that every call ended as it should.

  npm run chaos -- [options]

  --seconds 60      how long harm is done
  --seed <number>   what is called and what is harmed, as far as real processes allow;
                    default: another one each time
  --size 4          workers
  --concurrency 48  calls in flight
  --json            print JSON instead of tables
  --help            print this

The exit code is 1 when something was violated; then the trace is kept. Ctrl-C ends the run early, and
what has happened is checked: exit code 130. A second one ends it at once.`;

/** The command line was wrong. */
export class UsageError extends Error {}

export interface CommandLine extends Omit<ChaosOptions, 'progress' | 'signal'> {
  readonly json: boolean;
}

/**
 * Returns undefined when the user asks for help.
 *
 * @throws UsageError
 */
export function parseCommandLine(args: readonly string[]): CommandLine | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  const seed = values.seed ?? String(Math.floor(Math.random() * 2 ** 32));
  return {
    seconds: whole('seconds', values.seconds, 1, 86_400),
    seed: whole('seed', seed, 0, 2 ** 32 - 1),
    size: whole('size', values.size, 1, 256),
    concurrency: whole('concurrency', values.concurrency, 1, 100_000),
    json: values.json,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        seconds: { type: 'string', default: '60' },
        seed: { type: 'string' },
        size: { type: 'string', default: '4' },
        concurrency: { type: 'string', default: '48' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new UsageError(`--${name} takes a whole number from ${least} to ${most}, not '${text}'`);
}
