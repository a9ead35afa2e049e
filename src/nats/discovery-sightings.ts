/** Which workers are announced on the bus, and until when they count. */
import type { AnnouncedWorker } from '../discovery/discovery.ts';
import type { Roster } from '../discovery/roster.ts';
import type { Warn } from '../discovery/warning.ts';
import type { Announcement, Goodbye } from './discovery-record.ts';

/** Most workers that are known at a time, so that forged ones take no more memory than theirs. */
export const MAX_WORKERS = 4_096;
/** Milliseconds for which an announcement may still be on its way when its worker has said goodbye. */
const LATE_MS = 10_000;

interface Entry {
  /** That of who announces it. */
  readonly identity: string;
  revision: number;
  /** How long this side had listened when it was last announced. */
  heard: number;
}

export interface SightingsOptions {
  readonly roster: Roster;
  /** Milliseconds of listening in which a worker must be announced again. */
  readonly goneAfterMs: number;
  readonly warn: Warn;
}

/**
 * Its time is that in which this side was surely able to hear announcements: while its own connection is
 * away, nobody is missed.
 */
export class Sightings {
  readonly #options: SightingsOptions;
  readonly #entries = new Map<string, Entry>();
  /** How many each identity has of them. */
  readonly #counts = new Map<string, number>();
  /** Workers that have just gone, by who said so and their uid. */
  readonly #gone = new Map<string, { revision: number; until: number }>();
  #listened = 0;

  constructor(options: SightingsOptions) {
    this.#options = options;
  }

  /** @param worker as it can be reached from here */
  seen(identity: string, { revision, worker }: Announcement): void {
    const gone = this.#gone.get(`${identity} ${worker.uid}`);
    if (gone !== undefined && revision <= gone.revision && this.#listened < gone.until) return;
    const entry = this.#entries.get(worker.uid);
    if (entry === undefined) return this.#begin(identity, revision, worker);
    if (entry.identity !== identity) return this.#warnTwice(worker, entry.identity, identity);
    if (revision < entry.revision) return;
    entry.revision = revision;
    entry.heard = this.#listened;
    this.#options.roster.put(worker);
  }

  /** Somebody of this identity says that a worker goes. */
  goodbye(identity: string, { gone, revision }: Goodbye): void {
    const entry = this.#entries.get(gone);
    if (entry !== undefined && entry.identity !== identity) return;
    if (revision !== undefined && entry !== undefined && revision < entry.revision) return;
    const key = `${identity} ${gone}`;
    const known = this.#gone.get(key);
    const last = Math.max(revision ?? 0, entry?.revision ?? 0, known?.revision ?? 0);
    if (known !== undefined || this.#gone.size < MAX_WORKERS) {
      this.#gone.set(key, { revision: last, until: this.#listened + LATE_MS });
    }
    this.#end(gone);
  }

  /** So much more time has passed in which all that was announced has been heard. */
  listened(ms: number): void {
    this.#listened += ms;
    for (const [key, { until }] of this.#gone) if (until <= this.#listened) this.#gone.delete(key);
    const { goneAfterMs } = this.#options;
    for (const [uid, { heard }] of [...this.#entries]) {
      if (this.#listened - heard > goneAfterMs) this.#end(uid);
    }
  }

  /** The workers may have been away themselves: each has its full time once more. */
  excuse(): void {
    for (const entry of this.#entries.values()) entry.heard = this.#listened;
  }

  forget(): void {
    this.#entries.clear();
    this.#counts.clear();
    this.#gone.clear();
  }

  #begin(identity: string, revision: number, worker: AnnouncedWorker): void {
    if (this.#entries.size >= MAX_WORKERS) {
      this.#options.warn(
        'many',
        `more than ${MAX_WORKERS} workers are announced on NATS: those beyond are left out`,
      );
      if (!this.#makeRoom(identity)) return;
    }
    this.#entries.set(worker.uid, { identity, revision, heard: this.#listened });
    this.#count(identity, 1);
    this.#options.roster.put(worker);
  }

  /** The last worker of whoever has the most goes, so that one who announces many keeps nobody else out. */
  #makeRoom(identity: string): boolean {
    const [greatest] = [...this.#counts].sort(([, a], [, b]) => b - a);
    if (greatest === undefined || greatest[1] <= (this.#counts.get(identity) ?? 0) + 1)
      return false;
    const [last] = [...this.#entries]
      .filter((entry) => entry[1].identity === greatest[0])
      .slice(-1);
    if (last !== undefined) this.#end(last[0]);
    return true;
  }

  #end(uid: string): void {
    const entry = this.#entries.get(uid);
    if (entry === undefined) return;
    this.#entries.delete(uid);
    this.#count(entry.identity, -1);
    this.#options.roster.drop(uid);
  }

  #count(identity: string, change: number): void {
    const count = (this.#counts.get(identity) ?? 0) + change;
    if (count > 0) this.#counts.set(identity, count);
    else this.#counts.delete(identity);
  }

  #warnTwice({ uid }: AnnouncedWorker, first: string, second: string): void {
    this.#options.warn(
      'twice',
      `worker ${uid} is announced by the identity ${first}, and by ${second}, too: the latter is left out`,
    );
  }
}
