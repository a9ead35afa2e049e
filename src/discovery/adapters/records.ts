/**
 * Records of workers: small files whose names say all that a listing of their folder must tell.
 * `UID.REVISION.json` never changes once it is there. A change is a new revision; a worker that goes has
 * its record renamed to `UID.REVISION.gone`, so that those who look a moment later learn of it, too.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnnouncedWorker } from '../discovery.ts';
import { parseAnnounced } from '../metadata.ts';

/** Largest record, in bytes. */
export const MAX_RECORD_BYTES = 64 * 1024;

const NAME = /^(?<uid>[A-Za-z0-9_-]{1,64})\.(?<revision>[1-9]\d{0,15})\.(?<kind>json|gone)$/;

export interface RecordName {
  readonly name: string;
  readonly uid: string;
  readonly revision: number;
  readonly gone: boolean;
}

export interface WorkerRecord {
  readonly worker: AnnouncedWorker;
  /** See `processStart`. */
  readonly start: string;
}

/** What is wrong with a record, in words that repeat nothing of it. */
export class BadRecord extends Error {}

/** What the file is; undefined when it is not ours. */
export function parseName(name: string): RecordName | undefined {
  const { uid, revision, kind } = NAME.exec(name)?.groups ?? {};
  if (uid === undefined || !Number.isSafeInteger(Number(revision))) return undefined;
  return { name, uid, revision: Number(revision), gone: kind === 'gone' };
}

export function recordName(uid: string, revision: number): RecordName {
  return { name: `${uid}.${revision}.json`, uid, revision, gone: false };
}

/** The name of the same record once its worker is gone. */
export function goneName({ uid, revision }: RecordName): string {
  return `${uid}.${revision}.gone`;
}

/** Whether it was to become a record. */
export function isUnfinished(name: string): boolean {
  return name.startsWith('.new-');
}

/** @throws TypeError when the metadata takes too many bytes */
export function encodeRecord(record: WorkerRecord): string {
  const text = `${JSON.stringify({ format: 1, ...record })}\n`;
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_RECORD_BYTES) return text;
  throw new TypeError(
    `the metadata of a worker may take ${MAX_RECORD_BYTES} bytes, and this takes ${bytes}`,
  );
}

/** @param unique what no other file that is written now is named */
export async function writeRecord(
  folder: string,
  { name }: RecordName,
  text: string,
  unique: string,
): Promise<void> {
  const unfinished = join(folder, `.new-${unique}`);
  await writeFile(unfinished, text, { flag: 'wx', mode: 0o600 });
  await rename(unfinished, join(folder, name));
}

/**
 * The record; undefined when there is none of that name any more.
 *
 * @throws BadRecord when it can't be read, or is not one
 */
export async function readRecord(
  folder: string,
  { name, uid }: RecordName,
): Promise<WorkerRecord | undefined> {
  const text = await readText(join(folder, name));
  if (text === undefined) return undefined;
  let record: Record<string, unknown> | null;
  try {
    record = JSON.parse(text);
  } catch {
    throw new BadRecord('it is not JSON, or not all of it');
  }
  const { format, start, worker } = record ?? {};
  if (format !== 1) throw new BadRecord('it is not of format 1');
  if (typeof start !== 'string') throw new BadRecord('start must be a text');
  try {
    const announced = parseAnnounced(worker);
    if (announced.uid === uid) return { worker: announced, start };
  } catch (error) {
    throw new BadRecord((error as Error).message);
  }
  throw new BadRecord('its uid is not that of its name');
}

/** Not what links lead to, and without waiting for anybody to write to a pipe. */
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

async function readText(path: string): Promise<string | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, FLAGS);
    const stats = await file.stat();
    if (!stats.isFile()) throw new BadRecord('it is not a file');
    if (stats.size > MAX_RECORD_BYTES) throw new BadRecord(`it has over ${MAX_RECORD_BYTES} bytes`);
    return await file.readFile('utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    // The fault of this process, which may have files to spare later.
    if (error instanceof BadRecord || code === 'EMFILE' || code === 'ENFILE') throw error;
    throw new BadRecord(`it can't be read (${code})`);
  } finally {
    await file?.close();
  }
}

/** The worker of the record is gone. Others may have found that out, too. */
export async function bury(folder: string, record: RecordName): Promise<void> {
  // The time of the trace tells how long it has been gone.
  if (!(await touch(folder, record))) return;
  await there(() => rename(join(folder, record.name), join(folder, goneName(record))));
}

/** Makes the record look new. Whether it is there at all. */
export async function touch(folder: string, { name }: RecordName): Promise<boolean> {
  const now = new Date();
  return await there(() => utimes(join(folder, name), now, now));
}

export async function remove(folder: string, name: string): Promise<void> {
  await there(() => unlink(join(folder, name)));
}

/** Whether the file was there to do it with. */
async function there(action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** The same for each, with so many at a time that there are files to spare. */
export async function forEach<T, R>(
  items: readonly T[],
  action: (item: T) => Promise<R>,
): Promise<R[]> {
  const AT_A_TIME = 16;
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_A_TIME) {
    results.push(...(await Promise.all(items.slice(at, at + AT_A_TIME).map(action))));
  }
  return results;
}
