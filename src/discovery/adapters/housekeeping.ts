/** Removes what nobody needs any more from the folder of a namespace. Any process may do it. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isElsewhere, isRunning } from './process-identity.ts';
import {
  BadRecord,
  bury,
  forEach,
  isUnfinished,
  parseName,
  type RecordName,
  readRecord,
  remove,
  type WorkerRecord,
} from './records.ts';

/** Milliseconds for which it can be seen that a worker has gone: longer than any pause of a watcher. */
export const GONE_MS = 10_000;
/** Nobody takes so long to write a record. */
const UNFINISHED_MS = 60_000;
/** Whoever announces a worker touches its record every 5 seconds. */
const UNTOUCHED_MS = 60_000;

/** Whether the process of a record runs; of one in another container, whether somebody still announces it. */
export async function isAlive(
  folder: string,
  name: string,
  { worker, start }: WorkerRecord,
): Promise<boolean> {
  if (!isElsewhere(start)) return isRunning(worker.pid, start);
  return (await ageOf(folder, name)) < UNTOUCHED_MS;
}

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
      if (record === undefined || (await isAlive(folder, name.name, record))) return;
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
  if ((await ageOf(folder, name)) > ms) await remove(folder, name);
}

/** Milliseconds since it was touched; 0 when it is not there. */
async function ageOf(folder: string, name: string): Promise<number> {
  try {
    return Date.now() - (await lstat(join(folder, name))).mtimeMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return 0;
  }
}
