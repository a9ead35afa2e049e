/** The command line. */
import { parseArgs } from 'node:util';
import { ExitError } from './errors.ts';

export const HELP = `Counts the words in the text files of a folder and the folders below it.

  npm run demo -- [folder] [options]

  folder              where to look (default: node_modules)
  --ext md,txt        endings of the files to read (default: md)
  --workers 2         worker processes that count
  --local             count in this process, without workers
  --top 15            how many words to show
  --json              print the result as JSON
  --help              print this

Symbolic links are not followed.`;

export interface Settings {
  readonly folder: string;
  /** Endings, in lower case and without the dot. */
  readonly extensions: readonly string[];
  readonly workers: number;
  readonly local: boolean;
  readonly top: number;
  readonly json: boolean;
}

/**
 * Returns undefined when the user asks for help.
 *
 * @throws ExitError when an argument is wrong
 */
export function parseCommandLine(args: string[]): Settings | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  if (positionals.length > 1) throw wrong(`one folder at a time, not ${positionals.join(', ')}`);
  const extensions = values.ext
    .split(',')
    .map((ending) => ending.trim().replace(/^\./, '').toLowerCase());
  if (extensions.includes('')) {
    throw wrong(`--ext takes endings such as md,txt, not '${values.ext}'`);
  }
  return {
    folder: positionals[0] ?? 'node_modules',
    extensions,
    workers: whole('--workers', values.workers, 64),
    local: values.local,
    top: whole('--top', values.top, 1_000_000),
    json: values.json,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        ext: { type: 'string', default: 'md' },
        workers: { type: 'string', default: '2' },
        top: { type: 'string', default: '15' },
        local: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw wrong((error as Error).message);
  }
}

function whole(option: string, text: string, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
  throw wrong(`${option} takes a whole number from 1 to ${most}, not '${text}'`);
}

function wrong(message: string): ExitError {
  return new ExitError(`${message}\nTry --help.`, 2);
}
