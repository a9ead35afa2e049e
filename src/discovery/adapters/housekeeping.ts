/** Removes what nobody needs any more from the folder of a namespace. Any process may do it. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isRunning } from './process-identity.ts';
import {
  BadRecord,
  bury,
  forEach,
  isUnfinished,
  parseName,
  type RecordName,
  readRecord,
  remove,
} from './records.ts';

/** Milliseconds for which it can be seen that a worker has gone: longer than any pause of a watcher. */
export const GONE_MS = 10_000;
/** Nobody takes so long to write a record. */
const UNFINISHED_MS = 60_000;

/** Removes old traces of workers that have gone, and what writers that died have left. */
export async function tidy(folder: string): Promise<void> {
  const names = await readdir(folder);
  const newest = new Map<string, number>();
  for (const record of records(names)) {
    newest.set(record.uid, Math.max(record.revision, newest.get(record.uid) ?? 0));
  }
  await forEach(names, async (name) => {
    const record = parseName(name);
    if (isUnfinished(name)) await removeOld(folder, name, UNFINISHED_MS);
    else if (record?.gone) await removeOld(folder, name, GONE_MS);
    else if (record !== undefined && record.revision < (newest.get(record.uid) ?? 0)) {
      await removeOld(folder, name, GONE_MS);
    }
  });
}

/** Buries the workers whose processes have ended. */
export async function buryDead(folder: string): Promise<void> {
  await forEach([...records(await readdir(folder))], async (name) => {
    try {
      const record = await readRecord(folder, name);
      if (record === undefined || isRunning(record.worker.pid, record.start)) return;
      await bury(folder, name);
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error;
    }
  });
}

function* records(names: readonly string[]): Iterable<RecordName> {
  for (const name of names) {
    const record = parseName(name);
    if (record !== undefined && !record.gone) yield record;
  }
}

async function removeOld(folder: string, name: string, ms: number): Promise<void> {
  let age = 0;
  try {
    age = Date.now() - (await lstat(join(folder, name))).mtimeMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  if (age > ms) await remove(folder, name);
}
