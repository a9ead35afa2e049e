/** Who was seen on a network, and until when it counts. */
import type { AnnouncedWorker } from '../discovery.ts';
import { sameMetadata } from '../metadata.ts';
import type { Roster } from '../roster.ts';
import type { Warn } from '../warning.ts';
import { type Announcement, labelOf } from './lan-record.ts';

/** Most workers that are known at a time, so that forged ones take no more memory than theirs. */
export const MAX_WORKERS = 4_096;
/** Most addresses from which one worker is announced. */
const MAX_PATHS = 8;
/** Questions in a row that a worker leaves unanswered before it counts as gone. */
const MAX_MISSED = 3;
/** Milliseconds for which an announcement may still be on its way when its worker has said goodbye. */
const LATE_MS = 1_000;

/** An announcement, as it came in. */
export interface Sighting extends Announcement {
  /** The address that it came from. */
  readonly source: string;
  /** The interface's address that it was heard on. */
  readonly network: string;
}

/** One way by which a worker is heard: a machine with two networks is heard on both. */
interface Path {
  readonly network: string;
  readonly revision: number;
  readonly worker: AnnouncedWorker;
  /** When it was heard last. */
  readonly heard: number;
  readonly missed: number;
}

interface Entry {
  readonly uid: string;
  /** By source, in the order in which they were first heard. */
  readonly paths: Map<string, Path>;
}

export interface SightingsOptions {
  readonly roster: Roster;
  readonly warn: Warn;
}

export class Sightings {
  readonly #options: SightingsOptions;
  readonly #entries = new Map<string, Entry>();
  /** The uids by what their services are called, whose letters have no case. */
  readonly #labels = new Map<string, string>();

  /** The last revisions of workers that have just gone. */
  readonly #gone = new Map<string, { revision: number; until: number }>();

  constructor(options: SightingsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  seen(sighting: Sighting, now: number): void {
    const { source, network, revision, worker } = sighting;
    const gone = this.#gone.get(worker.uid);
    if (gone !== undefined && revision <= gone.revision && now < gone.until) return;
    const entry = this.#entries.get(worker.uid) ?? this.#begin(worker.uid);
    if (entry === undefined || !this.#believed(entry, sighting)) return;
    entry.paths.set(source, { network, revision, worker, heard: now, missed: 0 });
    this.#tell(entry);
  }

  /** The worker's host says that it goes. */
  goodbye(label: string, source: string, now: number): void {
    const entry = this.#entries.get(this.#labels.get(label.toLowerCase()) ?? '');
    // Somebody else who took the same name and gives it up again says nothing of this one.
    if (!entry?.paths.has(source)) return;
    const revision = Math.max(...[...entry.paths.values()].map(({ revision }) => revision));
    if (this.#gone.size < MAX_WORKERS)
      this.#gone.set(entry.uid, { revision, until: now + LATE_MS });
    this.#end(entry);
  }

  /** All workers were asked on a network at that time, and had the time to answer. */
  round(network: string, asked: number, now: number): void {
    for (const [uid, { until }] of this.#gone) if (until <= now) this.#gone.delete(uid);
    for (const entry of [...this.#entries.values()]) {
      for (const [source, path] of [...entry.paths]) {
        if (path.network !== network || path.heard >= asked) continue;
        const missed = path.missed + 1;
        if (missed < MAX_MISSED) entry.paths.set(source, { ...path, missed });
        else this.#lose(entry, source);
      }
    }
  }

  /** The machine is not in that network any more. */
  left(network: string): void {
    for (const entry of [...this.#entries.values()]) {
      for (const [source, path] of [...entry.paths]) {
        if (path.network === network) this.#lose(entry, source);
      }
    }
  }

  forget(): void {
    this.#entries.clear();
    this.#labels.clear();
    this.#gone.clear();
  }

  #begin(uid: string): Entry | undefined {
    if (this.#entries.size >= MAX_WORKERS) {
      this.#options.warn(
        'many',
        `more than ${MAX_WORKERS} workers are announced on this network: those beyond are left out`,
      );
      return undefined;
    }
    const entry: Entry = { uid, paths: new Map() };
    this.#entries.set(uid, entry);
    this.#labels.set(labelOf(uid).toLowerCase(), uid);
    return entry;
  }

  /** Whether it comes from who announced the worker first, and is not older than what is known. */
  #believed({ uid, paths }: Entry, { source, revision, worker }: Sighting): boolean {
    const known = paths.get(source);
    if (known !== undefined) return revision >= known.revision;
    if (paths.size === 0) return true;
    for (const path of paths.values()) {
      if (path.revision === revision && sameBut(path.worker, worker)) return paths.size < MAX_PATHS;
    }
    this.#options.warn(
      'twice',
      `worker ${uid} is announced from ${[...paths.keys()].join(' and ')}, and differently from ` +
        `${source}: the latter is left out`,
    );
    return false;
  }

  #lose(entry: Entry, source: string): void {
    entry.paths.delete(source);
    if (entry.paths.size === 0) this.#end(entry);
    else this.#tell(entry);
  }

  #end({ uid }: Entry): void {
    this.#entries.delete(uid);
    this.#labels.delete(labelOf(uid).toLowerCase());
    this.#options.roster.drop(uid);
  }

  /** Of several paths the first counts that says the latest. */
  #tell({ paths }: Entry): void {
    let best: Path | undefined;
    for (const path of paths.values()) {
      if (best === undefined || path.revision > best.revision) best = path;
    }
    if (best !== undefined) this.#options.roster.put(best.worker);
  }
}

/** Whether two say the same, but for where the worker is reached. */
function sameBut(one: AnnouncedWorker, other: AnnouncedWorker): boolean {
  return sameMetadata({ ...one, address: '' }, { ...other, address: '' });
}
