/** Reads many files at a time through generators, and adds up what they yield. */
import { WorkerLost } from 'skein';
import type { Skipped, TextFile } from './files.ts';
import type { FileResult } from './routines.ts';

export interface Tally {
  readonly words: Map<string, number>;
  readonly skipped: Skipped[];
  /** The processes that read files. */
  readonly pids: Set<number>;
  files: number;
  bytes: number;
}

/** `countFiles`, on a pool or here. */
export type CountFiles = (paths: readonly string[]) => AsyncIterable<FileResult>;

const BATCH_FILES = 32;
const BATCH_BYTES = 1024 * 1024;

/** Files in groups that are worth a call each. */
function* batches(files: readonly TextFile[]): Generator<TextFile[]> {
  let batch: TextFile[] = [];
  let bytes = 0;
  for (const file of files) {
    batch.push(file);
    bytes += file.bytes;
    if (batch.length < BATCH_FILES && bytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

/**
 * Counts all files, `streams` batches at a time.
 *
 * @param onFile told of every file that is done
 */
export async function tallyFiles(
  files: readonly TextFile[],
  streams: number,
  count: CountFiles,
  onFile: (file: TextFile, result: FileResult) => void,
): Promise<Tally> {
  const tally: Tally = { words: new Map(), skipped: [], pids: new Set(), files: 0, bytes: 0 };
  const queue = batches(files);
  const drain = async () => {
    // The streams share the queue, so that whoever is done first takes the next batch.
    for (let next = queue.next(); !next.done; next = queue.next()) {
      await tallyBatch(next.value, count, (file, result) => {
        add(tally, result);
        onFile(file, result);
      });
    }
  };
  await Promise.all(Array.from({ length: streams }, drain));
  return tally;
}

/** Counting a file twice does no harm, so what a lost worker did not yield is asked for again, once. */
async function tallyBatch(
  batch: readonly TextFile[],
  count: CountFiles,
  done: (file: TextFile, result: FileResult) => void,
): Promise<void> {
  let next = 0;
  let suspect = -1;
  while (next < batch.length) {
    try {
      for await (const result of count(batch.slice(next).map(({ path }) => path))) {
        done(batch[next] as TextFile, result);
        next += 1;
      }
    } catch (error) {
      if (!(error instanceof WorkerLost)) throw error;
      const file = batch[next] as TextFile;
      if (suspect === next) {
        const problem = 'its worker died twice';
        done(file, { path: file.path, pid: 0, bytes: 0, words: new Map(), problem });
        next += 1;
      }
      suspect = next;
    }
  }
}

function add(tally: Tally, { path, pid, bytes, words, problem }: FileResult): void {
  if (problem !== undefined) {
    tally.skipped.push({ path, why: problem });
    return;
  }
  tally.files += 1;
  tally.bytes += bytes;
  tally.pids.add(pid);
  for (const [word, times] of words) tally.words.set(word, (tally.words.get(word) ?? 0) + times);
}
