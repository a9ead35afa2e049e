import { describe, expect, test } from 'vitest';
import { Lines } from '../../src/worker/lines.ts';

/** The lines of what comes in these pieces. */
function linesOf(...pieces: (string | Buffer)[]): string[] {
  const lines: string[] = [];
  const cutter = new Lines((line) => lines.push(line));
  for (const piece of pieces) cutter.push(Buffer.from(piece));
  cutter.end();
  return lines;
}

describe('output in lines', () => {
  test.each([
    ['several at once', ['a\nb\n'], ['a', 'b']],
    ['one in pieces', ['a', 'b', '\nc\n'], ['ab', 'c']],
    ['empty ones', ['\n\na\n'], ['', '', 'a']],
    ['a last one without an end', ['a\nb'], ['a', 'b']],
    ['nothing', [], []],
    [
      'control characters as they are',
      ['\x1b[31mred\x1b[0m\r\n\x00\n'],
      ['\x1b[31mred\x1b[0m\r', '\0'],
    ],
  ])('%s', (_what, pieces, lines) => {
    expect(linesOf(...pieces)).toEqual(lines);
  });

  test('a character that comes in two pieces is whole', () => {
    const bytes = Buffer.from('ä€😀\n');
    for (let i = 1; i < bytes.length; i += 1) {
      expect(linesOf(bytes.subarray(0, i), bytes.subarray(i))).toEqual(['ä€😀']);
    }
  });

  test('half a character at the end is told as such', () => {
    expect(linesOf(Buffer.from('ä').subarray(0, 1))).toEqual(['\ufffd']);
  });

  test('very long lines are cut, and no character is', () => {
    const long = `x${'😀'.repeat(50_000)}`;
    const pieces = linesOf(`${long}\nshort\n`);
    expect(pieces.map(({ length }) => length)).toEqual([65_535, 34_466, 5]);
    expect(pieces.slice(0, 2).join('')).toBe(long);
  });

  test('one of just that length is not cut', () => {
    const full = 'x'.repeat(65_536);
    expect(linesOf(full, '\n')).toEqual([full]);
    expect(linesOf(full, 'y\n')).toEqual([full, 'y']);
  });
});
