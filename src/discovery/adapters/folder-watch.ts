/** Keeps a roster equal to the records in a folder. */
import { type FSWatcher, watch } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Env, Timer } from '../../env.ts';
import { workerKey } from '../discovery.ts';
import type { Roster } from '../roster.ts';
import type { Warn } from '../warning.ts';
import { GONE_MS, isAlive, tidy } from './housekeeping.ts';
import { exists, isElsewhere, isRunning } from './process-identity.ts';
import {
  BadRecord,
  bury,
  forEach,
  goneName,
  parseName,
  type RecordName,
  readRecord,
  type WorkerRecord,
} from './records.ts';

/** Processes whose start is compared in each round; of the others only the pid is looked for. */
const COMPARED = 32;
const TIDY_MS = 5_000;

export interface FolderWatchOptions {
  readonly env: Env;
  readonly path: string;
  /** Makes the folder, checks it, and says which it is. */
  readonly prepare: () => Promise<number>;
  readonly pollMs: number;
  readonly roster: Roster;
  readonly warn: Warn;
}

interface Known extends WorkerRecord {
  readonly record: RecordName;
}

export class FolderWatch {
  readonly #options: FolderWatchOptions;
  readonly #known = new Map<string, Known>();
  /** Names of records that say nothing, so that they are not read each time. */
  #bad = new Set<string>();
  /** Traces of workers that have gone and are no news, and when each was there last. */
  readonly #gone = new Map<string, number>();
  /** Workers that were not listed. A listing during a change may leave out what is there. */
  #missed = new Set<string>();
  /** What was there before somebody listened is no news. */
  #first = true;
  #looking: Promise<void> | undefined;
  #ticking: Promise<void> | undefined;
  #busy = false;
  #again = false;
  #stopped = false;
  #timer: Timer | undefined;
  #watcher: FSWatcher | undefined;
  /** The folder that is watched. */
  #folder: number | undefined;
  #compared = 0;
  #tidied: number;

  constructor(options: FolderWatchOptions) {
    this.#options = options;
    this.#tidied = options.env.now();
  }

  start(): void {
    this.#look();
    this.#tickLater();
  }

  /** Resolves when it does nothing any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#watcher?.close();
    await Promise.all([this.#looking, this.#ticking]);
  }

  /** Looks at the folder, and again if something has changed meanwhile. */
  #look(): void {
    this.#again = true;
    if (this.#busy || this.#stopped) return;
    this.#busy = true;
    this.#looking = this.#lookWhileChanging();
  }

  async #lookWhileChanging(): Promise<void> {
    const { roster, warn, path } = this.#options;
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false;
        await this.#list();
      }
    } catch (error) {
      if (this.#stopped) return;
      // Where nothing could be found yet, somebody must be told; later, what is known still holds.
      if (this.#first) roster.fail(error);
      else warn('folder', `workers can't be looked for in ${path} at present: ${String(error)}`);
    } finally {
      this.#busy = false;
    }
  }

  #tickLater(): void {
    const { env, pollMs } = this.#options;
    this.#timer = env.timer(pollMs, () => {
      this.#ticking = this.#tick();
    });
  }

  async #tick(): Promise<void> {
    const { env, path } = this.#options;
    if (this.#watcher === undefined) this.#bad.clear();
    try {
      await this.#checkProcesses();
      if (env.now() - this.#tidied > TIDY_MS) {
        this.#tidied = env.now();
        await tidy(path);
      }
    } catch {
      // The folder can't be used; the next look says so.
    }
    if (this.#stopped) return;
    this.#look();
    this.#tickLater();
  }

  async #list(): Promise<void> {
    const { path, prepare } = this.#options;
    this.#watch(await prepare());
    const names = await readdir(path);
    if (this.#stopped) return;
    const listed = names.map(parseName).filter((record) => record !== undefined);
    const latest = newest(listed.filter(({ gone }) => !gone));
    await this.#takeGone(listed, latest);
    await this.#takeRecords(latest);
    this.#dropMissed(latest);
    this.#bad = new Set(names.filter((name) => this.#bad.has(name)));
    if (!this.#again) this.#first = false;
  }

  async #takeGone(listed: readonly RecordName[], latest: Map<string, RecordName>): Promise<void> {
    const gone = listed.filter((record) => record.gone);
    const fresh = gone.filter(({ name }) => !this.#gone.has(name));
    this.#remember(gone.map(({ name }) => name));
    for (const record of fresh.sort((a, b) => a.revision - b.revision)) {
      const known = this.#known.get(record.uid);
      if (known === undefined) {
        if (!this.#first) await this.#tellOfPast(record);
      } else if (known.record.revision <= record.revision) {
        this.#drop(record.uid);
      }
      // Both names of one record are listed when it was renamed meanwhile.
      const last = latest.get(record.uid);
      if (last !== undefined && last.revision <= record.revision) latest.delete(record.uid);
    }
  }

  #remember(gone: readonly string[]): void {
    const now = this.#options.env.now();
    for (const name of gone) this.#gone.set(name, now);
    for (const [name, time] of this.#gone) if (now - time > GONE_MS) this.#gone.delete(name);
  }

  /** It came and went since the last look. */
  async #tellOfPast(record: RecordName): Promise<void> {
    const past = await this.#read(record);
    if (past === undefined || this.#stopped) return;
    this.#options.roster.put(past.worker);
    this.#options.roster.drop(workerKey(past.worker));
  }

  async #takeRecords(latest: Map<string, RecordName>): Promise<void> {
    const { path, roster } = this.#options;
    const fresh = [...latest.values()].filter(({ uid, revision, name }) => {
      return revision > (this.#known.get(uid)?.record.revision ?? 0) && !this.#bad.has(name);
    });
    await forEach(fresh, async (record) => {
      const read = await this.#read(record);
      if (read === undefined || this.#stopped) return;
      if (await isAlive(path, record.name, read)) {
        if (this.#stopped) return;
        this.#known.set(record.uid, { ...read, record });
        roster.put(read.worker);
      } else {
        this.#drop(record.uid);
        this.#remember([goneName(record)]);
        await bury(path, record);
      }
    });
  }

  async #read(record: RecordName): Promise<WorkerRecord | undefined> {
    const { path, warn } = this.#options;
    try {
      const read = await readRecord(path, record);
      // It has another name by now.
      if (read === undefined) this.#again = true;
      return read;
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error;
      this.#bad.add(record.name);
      const { message } = error;
      warn(
        message,
        `a record of a worker, ${join(path, record.name)}, was skipped, and others like it are: ${message}`,
      );
      return undefined;
    }
  }

  #dropMissed(latest: ReadonlyMap<string, RecordName>): void {
    const missed = [...this.#known.keys()].filter((uid) => !latest.has(uid));
    for (const uid of missed) if (this.#missed.has(uid)) this.#drop(uid);
    this.#missed = new Set(missed.filter((uid) => this.#known.has(uid)));
    if (this.#missed.size > 0) this.#again = true;
  }

  #drop(uid: string): void {
    if (!this.#stopped && this.#known.delete(uid)) this.#options.roster.drop(uid);
  }

  async #checkProcesses(): Promise<void> {
    const all = [...this.#known.values()];
    const from = this.#compared % Math.max(1, all.length);
    this.#compared = from + COMPARED;
    const suspects = all.filter(({ worker, start }, index) => {
      const compare = (index - from + all.length) % all.length < COMPARED;
      if (isElsewhere(start)) return compare;
      return !(compare ? isRunning(worker.pid, start) : exists(worker.pid));
    });
    const { path } = this.#options;
    const dead = await filter(suspects, async (known) => {
      return !(await isAlive(path, known.record.name, known));
    });
    for (const { worker } of dead) this.#drop(worker.uid);
    await forEach(dead, async ({ record }) => {
      this.#remember([goneName(record)]);
      await bury(path, record);
    });
  }

  #watch(folder: number): void {
    if (this.#stopped || (this.#watcher !== undefined && this.#folder === folder)) return;
    this.#watcher?.close();
    this.#watcher = undefined;
    try {
      const watcher = watch(this.#options.path, { persistent: false }, (_type, name) => {
        if (name !== null && parseName(name) === undefined) return;
        if (name !== null) this.#bad.delete(name);
        this.#look();
      });
      // The folder has gone, say; the next look tells.
      watcher.on('error', () => {
        watcher.close();
        if (this.#watcher === watcher) this.#watcher = undefined;
      });
      this.#watcher = watcher;
      this.#folder = folder;
    } catch {
      // The system watches no more folders: it is looked at all the same.
    }
  }
}

async function filter<T>(items: readonly T[], test: (item: T) => Promise<boolean>): Promise<T[]> {
  return (await forEach(items, async (item) => ((await test(item)) ? [item] : []))).flat();
}

/** The highest revision of each. */
function newest(records: readonly RecordName[]): Map<string, RecordName> {
  const latest = new Map<string, RecordName>();
  for (const record of records) {
    const other = latest.get(record.uid);
    if (other === undefined || other.revision < record.revision) latest.set(record.uid, record);
  }
  return latest;
}
