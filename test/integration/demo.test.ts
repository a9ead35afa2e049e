/** The word count of examples/, as its user runs it. `npm test` has built the package by then. */
import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Report } from '../../examples/wordcount/report.ts';
import { countFiles } from '../../examples/wordcount/routines.ts';
import { tallyFiles } from '../../examples/wordcount/tally.ts';
import { countWords } from '../../examples/wordcount/words.ts';
import { ROOT, scratchFolder, TYPESCRIPT } from './helpers.ts';

const main = join(ROOT, 'examples/wordcount/main.ts');
const folder = scratchFolder();
const texts = join(folder, 'texts');
const empty = join(folder, 'empty');

beforeAll(() => {
  mkdirSync(join(texts, 'deep/er'), { recursive: true });
  mkdirSync(empty);
  const words = ['the', 'The', 'Ärger', 'naïve', "don't", 'слово', 'λόγος', 'x1', '42', '--', 'é'];
  for (let i = 0; i < 90; i += 1) {
    const parts = Array.from({ length: 40 + i }, (_, k) => words[(k * (i + 1)) % words.length]);
    const place = ['.', 'deep', 'deep/er'][i % 3] as string;
    writeFileSync(join(texts, place, `${i}.${i % 10 === 0 ? 'TXT' : 'md'}`), parts.join(' '));
  }
  writeFileSync(join(texts, 'nothing.md'), '');
  symlinkSync(join(texts, 'gone'), join(texts, 'link.md'));
});

interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function demo(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    const argv = [...TYPESCRIPT, main, ...args];
    const child = execFile(process.execPath, argv, { cwd: ROOT }, (_error, out, err) =>
      resolve({ code: child.exitCode, out, err }),
    );
  });
}

async function report(...args: string[]): Promise<Report> {
  const { code, out, err } = await demo(texts, '--ext', 'md,.txt', '--json', ...args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out);
}

describe('the word count', () => {
  test('gives the same counts on two workers as in one process', async () => {
    const [remote, local] = await Promise.all([
      report('--top', '1000'),
      report('--top', '1000', '--local'),
    ]);
    const { seconds: _, workers, ...counts } = remote;
    expect(workers).toHaveLength(2);
    expect(local).toEqual({ ...counts, workers: [], seconds: expect.any(Number) });
    expect(counts.files).toBe(91);
    expect(counts.distinctWords).toBe(counts.top.length);
    expect(counts.skipped).toEqual([{ path: join(texts, 'link.md'), why: 'is a symbolic link' }]);
  });

  test('draws a chart, and no progress bar where there is no terminal', async () => {
    const { code, out } = await demo(texts, '--top', '3');
    expect(code).toBe(0);
    const lines = out.split('\n');
    expect(lines.filter((line) => line.includes('█'))).toHaveLength(3);
    expect(lines[0]).toMatch(/^ *the +[\d,]+ █{20,}/);
    expect(out).toContain('1 not counted:');
    expect(out).not.toContain('\r');
    expect(out).not.toContain('\u001b');
  });

  test('names the files that are gone when it comes to them', async () => {
    const file = join(texts, '3.md');
    const gone = join(texts, 'gone.md');
    const files = [gone, file].map((path) => ({ path, bytes: 1 }));
    const { skipped, files: counted } = await tallyFiles(files, 1, countFiles.local, () => {});
    expect(skipped).toEqual([{ path: gone, why: 'is gone' }]);
    expect(counted).toBe(1);
  });

  test.for([
    ['a missing folder', [join(folder, 'missing')], 1, 'no folder'],
    ['a file', [main], 1, 'not a folder'],
    ['an empty folder', [empty], 1, 'no .md files'],
    ['no matching files', [texts, '--ext', 'rst'], 1, 'no .rst files'],
    ['no workers', [texts, '--workers', '0'], 2, '--workers takes a whole number'],
    ['an unknown option', ['--fast'], 2, '--fast'],
    ['two folders', [texts, empty], 2, 'one folder at a time'],
  ] as const)('refuses %s', async ([, args, expected, message]) => {
    const { code, out, err } = await demo(...args);
    expect({ code, out }).toEqual({ code: expected, out: '' });
    expect(err).toContain(message);
    expect(err).not.toMatch(/^\s+at /m);
  });
});

test('words are letters of any language, in lower case, with what belongs to them', () => {
  const counts = countWords(
    "Don't STOP! stop, e\u0301t\u00e9 \u00c9T\u00c9 42 v2 日本語 --x-- 'q'",
  );
  expect(Object.fromEntries(counts)).toEqual({
    "don't": 1,
    stop: 2,
    été: 2,
    v2: 1,
    日本語: 1,
    x: 1,
    q: 1,
  });
});
