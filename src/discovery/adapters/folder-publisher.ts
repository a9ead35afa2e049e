/** Keeps the records of this process's workers in a folder. */

import { readdir } from 'node:fs/promises';
import type { Env, Timer } from '../../env.ts';
import { DiscoveryError } from '../../errors.ts';
import type { AnnouncedWorker, DiscoveryEventType, DiscoveryPublisher } from '../discovery.ts';
import { parseAnnounced } from '../metadata.ts';
import type { Warn } from '../warning.ts';
import { buryDead, tidy } from './housekeeping.ts';
import { processStart } from './process-identity.ts';
import {
  bury,
  encodeRecord,
  parseName,
  type RecordName,
  recordName,
  remove,
  touch,
  writeRecord,
} from './records.ts';

/** How often it looks whether its records are still there, and shows that they are in use. */
const KEEP_MS = 5_000;

export interface FolderPublisherOptions {
  readonly env: Env;
  readonly path: string;
  /** Makes the folder, and checks it. */
  readonly prepare: () => Promise<unknown>;
  readonly warn: Warn;
}

interface Announced {
  readonly record: RecordName;
  readonly text: string;
}

export class FolderPublisher implements DiscoveryPublisher {
  readonly #options: FolderPublisherOptions;
  readonly #announced = new Map<string, Announced>();
  /** What is being done for each worker, one after the other. */
  readonly #queues = new Map<string, Promise<void>>();
  #revision = 0;
  #timer: Timer | undefined;
  #tidied = Number.NEGATIVE_INFINITY;

  constructor(options: FolderPublisherOptions) {
    this.#options = options;
  }

  async publish(event: DiscoveryEventType, metadata: AnnouncedWorker): Promise<void> {
    const worker = parseAnnounced(metadata);
    switch (event) {
      case 'worker-added':
      case 'worker-updated':
        return await this.#inTurn(worker.uid, () => this.#announce(worker));
      case 'worker-dropped':
        return await this.#inTurn(worker.uid, () => this.#withdraw(worker.uid));
      default:
        event satisfies never;
        throw new TypeError(`${JSON.stringify(event)} is not an event of discovery`);
    }
  }

  /** Drops all workers that were announced here. */
  async close(): Promise<void> {
    const uids = new Set([...this.#announced.keys(), ...this.#queues.keys()]);
    await Promise.all([...uids].map((uid) => this.#inTurn(uid, () => this.#withdraw(uid))));
    this.#timer?.cancel();
  }

  async #announce(worker: AnnouncedWorker): Promise<void> {
    const start = processStart(worker.pid);
    if (start === undefined) {
      throw new DiscoveryError(
        `Worker ${worker.uid} can't be announced: no process has the pid ${worker.pid}.`,
      );
    }
    const text = encodeRecord({ worker, start });
    await this.#options.prepare();
    await this.#tidy();
    await this.#write(worker.uid, text);
    this.#keepLater();
  }

  async #write(uid: string, text: string): Promise<void> {
    const { env, path } = this.#options;
    const before = this.#announced.get(uid)?.record;
    // Above those of whoever announced the same worker before, which nobody must look for.
    this.#revision = Math.max(this.#revision + 1, Math.floor(env.date()));
    const record = recordName(uid, this.#revision);
    await writeRecord(path, record, text, env.uid());
    this.#announced.set(uid, { record, text });
    if (before !== undefined) await remove(path, before.name);
  }

  async #withdraw(uid: string): Promise<void> {
    const { path, prepare } = this.#options;
    const announced = this.#announced.get(uid);
    this.#announced.delete(uid);
    if (announced !== undefined) return await bury(path, announced.record);
    // It was announced by somebody else.
    await prepare();
    for (const name of await readdir(path)) {
      const record = parseName(name);
      if (record?.uid === uid && !record.gone) await bury(path, record);
    }
  }

  async #inTurn(uid: string, action: () => Promise<void>): Promise<void> {
    const before = this.#queues.get(uid);
    const done = (async () => {
      await before?.catch(() => {});
      await action();
    })();
    this.#queues.set(uid, done);
    try {
      await done;
    } finally {
      if (this.#queues.get(uid) === done) this.#queues.delete(uid);
    }
  }

  #keepLater(): void {
    this.#timer?.cancel();
    this.#timer = this.#options.env.timer(KEEP_MS, () => void this.#keep());
  }

  /** Temporary folders are cleared of what is old, and people clear them, too. */
  async #keep(): Promise<void> {
    const { path, prepare, warn } = this.#options;
    try {
      await prepare();
      for (const [uid, { record }] of [...this.#announced]) {
        await this.#inTurn(uid, async () => {
          const announced = this.#announced.get(uid);
          if (announced?.record !== record || (await touch(path, record))) return;
          await this.#write(uid, announced.text);
        });
      }
      await this.#tidy();
    } catch (error) {
      warn('keep', `workers can't be announced in ${path} at present: ${String(error)}`);
    }
    if (this.#announced.size > 0) this.#keepLater();
  }

  /** Where nobody looks for workers, nobody else does it. */
  async #tidy(): Promise<void> {
    const { env, path } = this.#options;
    if (env.now() - this.#tidied < KEEP_MS) return;
    this.#tidied = env.now();
    await buryDead(path);
    await tidy(path);
  }
}
