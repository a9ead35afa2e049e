/** What the workers do. They import this module, and not the main program. */
import { readFile } from 'node:fs/promises';
import { currentTask, routine } from 'skein';
import { describe } from './errors.ts';
import { countWords } from './words.ts';

/** What came of one file. */
export interface FileResult {
  readonly path: string;
  /** The process that read it. */
  readonly pid: number;
  readonly bytes: number;
  readonly words: ReadonlyMap<string, number>;
  /** Why it could not be read; then there are no words. */
  readonly problem: string | undefined;
}

/** Yields the words of each file as soon as they are counted. */
export const countFiles = routine(async function* (
  paths: readonly string[],
): AsyncGenerator<FileResult, void> {
  const { pid } = process;
  const signal = currentTask()?.signal;
  for (const path of paths) {
    let result: FileResult;
    try {
      const content = await readFile(path, { signal });
      const words = countWords(content.toString('utf8'));
      result = { path, pid, bytes: content.length, words, problem: undefined };
    } catch (error) {
      signal?.throwIfAborted();
      result = { path, pid, bytes: 0, words: new Map(), problem: describe(error) };
    }
    yield result;
  }
});
