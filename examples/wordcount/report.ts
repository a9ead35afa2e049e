/** What is shown at the end. */
import type { Skipped } from './files.ts';

export interface Report {
  readonly files: number;
  readonly bytes: number;
  readonly words: number;
  readonly distinctWords: number;
  readonly seconds: number;
  /** Uids of the workers that counted; empty when this process did. */
  readonly workers: readonly string[];
  /** The most frequent words, those of the same number in the order of their letters. */
  readonly top: readonly (readonly [word: string, times: number])[];
  readonly skipped: readonly Skipped[];
}

export function topWords(
  words: ReadonlyMap<string, number>,
  top: number,
): [word: string, times: number][] {
  const sorted = [...words].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return sorted.slice(0, top);
}

/** @param columns width of the terminal */
export function render(report: Report, columns: number): string {
  return [...chart(report.top, columns), '', ...summary(report), ...warnings(report)].join('\n');
}

const MAX_LABEL = 24;
const MAX_BAR = 60;
/** From one to eight eighths of a block. */
const EIGHTHS = '▏▎▍▌▋▊▉█';

function chart(top: Report['top'], columns: number): string[] {
  const most = top[0]?.[1] ?? 0;
  const rows = top.map(([word, times]) => ({ label: shorten(word), times, figure: number(times) }));
  const labels = Math.max(0, ...rows.map(({ label }) => label.length));
  const figures = Math.max(0, ...rows.map(({ figure }) => figure.length));
  const room = Math.max(8, Math.min(MAX_BAR, columns - labels - figures - 4));
  return rows.map(({ label, times, figure }) => {
    return `${label.padStart(labels)}  ${figure.padStart(figures)} ${bar(times / most, room)}`;
  });
}

function shorten(word: string): string {
  return word.length > MAX_LABEL ? `${word.slice(0, MAX_LABEL - 1)}…` : word;
}

function bar(share: number, room: number): string {
  const eighths = Math.max(1, Math.round(share * room * 8));
  const rest = eighths % 8;
  return '█'.repeat(Math.floor(eighths / 8)) + (rest > 0 ? EIGHTHS[rest - 1] : '');
}

function summary(report: Report): string[] {
  const { files, bytes, words, distinctWords, seconds, workers } = report;
  const by = workers.length > 0 ? `workers ${workers.join(', ')}` : 'this process';
  return [
    `${number(files)} files, ${number(bytes)} bytes`,
    `${number(words)} words, ${number(distinctWords)} different ones`,
    `${seconds.toFixed(2)} s, counted by ${by}`,
  ];
}

function warnings({ skipped }: Report): string[] {
  if (skipped.length === 0) return [];
  const lines = skipped.map(({ path, why }) => `  ${path}: ${why}`);
  return ['', `${number(skipped.length)} not counted:`, ...lines];
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}
