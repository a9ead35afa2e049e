/** The command line. */
import { parseOptions, UsageError, wholeNumber } from '../scripts/args.ts';
import type { ChaosOptions } from './run.ts';

export const HELP = `Calls routines on a pool while its workers are killed and stopped and their connections cut, and
checks that no task ran twice and that every call ended as it should.

  npm run chaos -- [options]

  --seconds 60      how long harm is done
  --seed <number>   what is called and what is harmed, as far as real processes allow;
                    default: another one each time
  --size 4          workers
  --concurrency 48  calls in flight
  --transport tcp   how the workers are reached: tcp, or nats, whose server is harmed, too
  --json            print JSON instead of tables
  --help            print this

The exit code is 1 when something was violated; then the trace is kept. Ctrl-C ends the run early, and
what has happened is checked: exit code 130. A second one ends it at once.`;

export interface CommandLine extends Omit<ChaosOptions, 'progress' | 'signal'> {
  readonly json: boolean;
}

/**
 * Returns undefined when the user asks for help.
 *
 * @throws UsageError
 */
export function parseCommandLine(args: readonly string[]): CommandLine | undefined {
  const values = parseOptions(args, {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    size: { type: 'string', default: '4' },
    concurrency: { type: 'string', default: '48' },
    transport: { type: 'string', default: 'tcp' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  });
  if (values.help) return undefined;
  const { transport } = values;
  if (transport !== 'tcp' && transport !== 'nats') {
    throw new UsageError(`--transport takes tcp or nats, not ${transport}`);
  }
  const seed = values.seed ?? String(Math.floor(Math.random() * 2 ** 32));
  return {
    seconds: wholeNumber('seconds', values.seconds, 1, 86_400),
    seed: wholeNumber('seed', seed, 0, 2 ** 32 - 1),
    size: wholeNumber('size', values.size, 1, 256),
    concurrency: wholeNumber('concurrency', values.concurrency, 1, 100_000),
    transport,
    json: values.json,
  };
}
