/** What the command prints: colours and tables on a terminal, plain lines elsewhere. */
import { styleText } from 'node:util';
import Table from 'cli-table3';
import { plain } from '../wire/plain.ts';

type Stream = NodeJS.WriteStream;
type Style = Parameters<typeof styleText>[0];

let gone = false;

/** Has the command go on when the reader of what it prints goes away, as `head` does. */
export function surviveClosedPipes(): void {
  process.stdout.on('error', () => {
    gone = true;
  });
  process.stderr.on('error', () => {});
}

/** Whether nobody reads standard output any more. */
export function isUnread(): boolean {
  return gone;
}

/** Prints a line on standard output; resolves when more can be written. */
export async function print(line: string): Promise<void> {
  if (gone || process.stdout.write(`${line}\n`)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      process.stdout.off('drain', done);
      process.stdout.off('close', done);
      resolve();
    };
    process.stdout.on('drain', done);
    process.stdout.on('close', done);
  });
}

/** Where a program is told what to write, the option that does it. */
export function inWordsOfCommand(text: string): string {
  return text
    .replaceAll('give `transport: natsTransport(...)`, of skein/nats', 'give --nats URL')
    .replaceAll('give credentials here, too', 'give --ca, --cert and --key')
    .replaceAll('credentials.as({ identity })', '--tls-identity');
}

/** Says something about what goes on, beside the output. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

export function warn(message: string): void {
  say(`${paint('yellow', 'warning:', process.stderr)} ${message}`);
}

/** Whether a stream is a terminal that shows colours. */
export function isColoured(stream: Stream): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
}

export function paint(style: Style, text: string, stream: Stream = process.stdout): string {
  return isColoured(stream) ? styleText(style, text) : text;
}

/** A table on a terminal; elsewhere lines with tabs between the cells. */
export function tableOf(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  isTerminal = process.stdout.isTTY,
): string {
  if (!isTerminal) {
    return [head, ...rows].map((row) => row.map((cell) => plain(cell)).join('\t')).join('\n');
  }
  const table = new Table({
    head: head.map((name) => paint('bold', name)),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    chars: {
      ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
      ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
      ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '' },
      middle: '',
    },
  });
  for (const row of rows) table.push(row.map((cell) => plain(cell)));
  return table.toString();
}

/** Milliseconds for people: `350 ms`, `12 s`, `3 min 20 s`, `5 h 2 min`, `2 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const units = [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
    ['s', 1],
  ] as const;
  const seconds = Math.floor(ms / 1_000);
  const first = units.findIndex(([, size]) => seconds >= size);
  const [unit, size] = units[first] as (typeof units)[number];
  const next = units[first + 1];
  const head = `${Math.floor(seconds / size)} ${unit}`;
  const rest = next && Math.floor((seconds % size) / next[1]);
  return rest ? `${head} ${rest} ${next[0]}` : head;
}
