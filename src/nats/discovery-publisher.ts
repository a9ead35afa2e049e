/** Announces this process's workers on the bus, and answers those who ask who is there. */
import type {
  AnnouncedWorker,
  DiscoveryEventType,
  DiscoveryPublisher,
} from '../discovery/discovery.ts';
import { parseAnnounced } from '../discovery/metadata.ts';
import type { Warn } from '../discovery/warning.ts';
import type { Env, Timer } from '../env.ts';
import { DiscoveryError } from '../errors.ts';
import type { BusMessage, DiscoveryBus } from './discovery-bus.ts';
import {
  decodeRecord,
  encodeAnnouncement,
  encodeGoodbye,
  idFor,
  isForOthers,
} from './discovery-record.ts';
import { allQuestions, announcement, askedBy, formatPlace, toCaller } from './subjects.ts';

/** Between two answers of this process, however often it is asked. */
const APART_MS = 50;
/** With more who ask at the same time, all who listen are answered at once. */
const MAX_ASKERS = 16;
/** Milliseconds after which what could not be said is tried again, though no connection has come up. */
const RETRY_MS = 250;

interface Announced {
  readonly worker: AnnouncedWorker;
  readonly revision: number;
  readonly subject: string;
  readonly bytes: Uint8Array;
  /** Ends listening to what others say of the worker. */
  readonly release: () => void;
}

export interface NatsPublisherOptions {
  readonly bus: DiscoveryBus;
  readonly env: Env;
  /** Of the discovery. */
  readonly name: string;
  /** Milliseconds between two announcements of a worker. */
  readonly intervalMs: number;
  readonly warn: Warn;
}

export class NatsPublisher implements DiscoveryPublisher {
  readonly #options: NatsPublisherOptions;
  readonly #announced = new Map<string, Announced>();
  /** Why the server let something be published no more, by the subject. */
  readonly #refused = new Map<string, string>();
  /** The subjects where the answers are heard of those who ask. */
  readonly #askers = new Set<string>();
  #answered = Number.NEGATIVE_INFINITY;
  #answering: Timer | undefined;
  /** While there is something to announce, or to withdraw. */
  #joined: Promise<void> | undefined;
  #busy = 0;
  #left: (() => void)[] = [];
  #beat: Timer | undefined;
  #waiting: (() => void)[] = [];
  #revision = 0;

  constructor(options: NatsPublisherOptions) {
    this.#options = options;
  }

  async publish(event: DiscoveryEventType, metadata: AnnouncedWorker): Promise<void> {
    const worker = parseAnnounced(metadata);
    const subject = this.#subjectOf(worker);
    switch (event) {
      case 'worker-added':
      case 'worker-updated':
        encodeAnnouncement({ revision: Number.MAX_SAFE_INTEGER, worker });
        return await this.#joining(() => this.#announce(worker, subject));
      case 'worker-dropped':
        return await this.#joining(() => this.#withdraw(worker, subject));
      default:
        event satisfies never;
        throw new TypeError(`${JSON.stringify(event)} is not an event of discovery`);
    }
  }

  /** Withdraws all workers that were announced here. */
  async close(): Promise<void> {
    const announced = [...this.#announced.values()];
    await Promise.all(announced.map(({ worker, subject }) => this.#withdraw(worker, subject)));
    if (this.#busy === 0) this.#leave();
  }

  /** @throws TypeError when others can't be told of it */
  #subjectOf(worker: AnnouncedWorker): string {
    const { cluster, identity } = this.#options.bus;
    const id = idFor(worker, { cluster, identity });
    if (id !== undefined) return announcement({ cluster, identity, id }, this.#options.name);
    const own = formatPlace({ cluster, identity, id: '...' });
    throw new TypeError(
      `the worker's address is ${worker.address}, and this discovery speaks for ${own} alone: ` +
        'give both the same cluster and identity',
    );
  }

  /** Does something while connected. The program goes on that long. */
  async #joining(run: () => Promise<void>): Promise<void> {
    const release = this.#options.bus.hold();
    this.#busy += 1;
    try {
      this.#joined ??= this.#join();
      await this.#joined;
      await run();
    } finally {
      this.#busy -= 1;
      release();
      this.#leaveIfIdle();
    }
  }

  async #join(): Promise<void> {
    const { bus, name } = this.#options;
    try {
      await bus.open();
    } catch (cause) {
      this.#joined = undefined;
      const why = (cause as Error).message;
      throw new DiscoveryError(`Workers can't be announced on NATS: ${why}`, { cause });
    }
    const refused = (subject: string, why: string) => {
      if (this.#busy > 0) this.#refused.set(subject, why);
    };
    this.#left = [
      bus.subscribe(allQuestions(bus.cluster, name), (message) => this.#asked(message)),
      bus.watch({ up: () => this.#back(), refused }),
      () => bus.close(),
    ];
    this.#beatLater();
  }

  /** While the connection is away another one like it may not come up, and what is announced then waits. */
  #leaveIfIdle(): void {
    if (this.#busy === 0 && this.#announced.size === 0 && this.#options.bus.connected)
      this.#leave();
  }

  #leave(): void {
    this.#joined = undefined;
    this.#beat?.cancel();
    this.#answering?.cancel();
    this.#answering = undefined;
    this.#askers.clear();
    this.#refused.clear();
    for (const leave of this.#left.splice(0)) leave();
  }

  async #announce(worker: AnnouncedWorker, subject: string): Promise<void> {
    const { bus } = this.#options;
    if (!isForOthers(worker.address) && !worker.alternatives?.some(isForOthers))
      this.#warnLocal(worker);
    const revision = this.#next();
    this.#announced.get(worker.uid)?.release();
    const announced: Announced = {
      worker,
      revision,
      subject,
      bytes: encodeAnnouncement({ revision, worker }),
      release: bus.subscribe(subject, (message) => this.#heard(announced, message)),
    };
    this.#announced.set(worker.uid, announced);
    this.#wake();
    await this.#deliver(announced);
  }

  async #withdraw(worker: AnnouncedWorker, subject: string): Promise<void> {
    const { bus } = this.#options;
    const { uid } = worker;
    // Without a revision: somebody else may have announced it.
    const revision = this.#announced.has(uid) ? this.#next() : undefined;
    this.#forget(uid);
    if (!bus.publish(subject, encodeGoodbye({ gone: uid, revision }))) return;
    // When the connection breaks now, the worker is missed soon.
    await bus.flush().catch(() => {});
  }

  #forget(uid: string): void {
    this.#announced.get(uid)?.release();
    this.#announced.delete(uid);
    this.#wake();
  }

  /** Above those of whoever announced the same worker before. */
  #next(): number {
    this.#revision = Math.max(this.#revision + 1, Math.floor(this.#options.env.date()));
    return this.#revision;
  }

  /**
   * Resolves when the server has it, or when it is not to be said any more. With a connection that is
   * away for long it resolves with a warning: the worker is announced once that is back.
   *
   * @throws DiscoveryError when the server does not take it from this process
   */
  async #deliver(announced: Announced): Promise<void> {
    const { bus, env, warn } = this.#options;
    const { subject, worker } = announced;
    let late = false;
    const timer = env.timer(bus.goneAfterMs, () => {
      late = true;
      this.#wake();
    });
    try {
      while (!late && this.#announced.get(worker.uid) === announced) {
        if (announced.bytes.length > bus.maxPayload) {
          this.#refuse(
            announced,
            `its metadata takes more than ${bus.maxPayload} bytes, max_payload`,
          );
        }
        this.#refused.delete(subject);
        const said = this.#say(announced, subject) && (await flushed(bus));
        const refusal = this.#refused.get(subject);
        if (refusal !== undefined) this.#refuse(announced, refusal);
        if (said) return;
        if (!late) await this.#woken();
      }
    } finally {
      timer.cancel();
    }
    if (late) {
      const which = `workers are announced on NATS (${this.#options.name})`;
      warn('late', `${which} once the connection to the server is back`);
    }
  }

  #refuse({ worker }: Announced, why: string): never {
    this.#forget(worker.uid);
    throw new DiscoveryError(`Worker ${worker.uid} can't be announced on NATS: ${why}`);
  }

  /** Resolves when something has changed that `deliver` waits for. */
  #woken(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.env.timer(RETRY_MS, resolve);
      this.#waiting.push(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** The connection is back: what was said meanwhile was lost. */
  #back(): void {
    this.#sayAll();
    this.#wake();
    this.#leaveIfIdle();
  }

  #beatLater(): void {
    const { env, intervalMs } = this.#options;
    // Not when all others speak who lost the connection at the same time.
    this.#beat = env.timer(intervalMs * (1 - env.random() / 10), () => {
      this.#sayAll();
      this.#beatLater();
    });
  }

  #sayAll(): void {
    for (const announced of this.#announced.values()) this.#say(announced, announced.subject);
  }

  /** @returns whether it is on its way */
  #say({ worker, bytes }: Announced, subject: string): boolean {
    try {
      return this.#options.bus.publish(subject, bytes);
    } catch (error) {
      const why = (error as Error).message;
      this.#options.warn('say', `worker ${worker.uid} can't be announced on NATS: ${why}`);
      return false;
    }
  }

  /** Another instance may say that a worker goes which was announced here. */
  #heard(announced: Announced, { data }: BusMessage): void {
    if (Buffer.compare(data, announced.bytes) === 0) return;
    try {
      const record = decodeRecord(data);
      if (!('gone' in record) || record.gone !== announced.worker.uid) return;
      const { revision = Number.POSITIVE_INFINITY } = record;
      if (revision <= announced.revision) return;
    } catch {
      // Those who look for workers warn of it.
      return;
    }
    this.#forget(announced.worker.uid);
    this.#leaveIfIdle();
  }

  #asked({ subject }: BusMessage): void {
    const { bus, env } = this.#options;
    const asker = askedBy(subject);
    if (asker === undefined || this.#askers.size > MAX_ASKERS) return;
    this.#askers.add(toCaller(bus, asker));
    if (this.#answering !== undefined) return;
    const wait = this.#answered + APART_MS - env.now();
    if (wait <= 0) this.#answer();
    else this.#answering = env.timer(wait, () => this.#answer());
  }

  #answer(): void {
    const { env } = this.#options;
    this.#answering = undefined;
    this.#answered = env.now();
    const askers = [...this.#askers];
    this.#askers.clear();
    if (askers.length > MAX_ASKERS) return this.#sayAll();
    for (const asker of askers) {
      for (const announced of this.#announced.values()) this.#say(announced, asker);
    }
  }

  #warnLocal({ uid, address }: AnnouncedWorker): void {
    this.#options.warn(
      'local',
      `worker ${uid} is announced on NATS at ${address}, where this machine alone can reach it: give it ` +
        "transport: natsTransport(...), or a host that is this machine's address in the network",
    );
  }
}

async function flushed(bus: DiscoveryBus): Promise<boolean> {
  try {
    await bus.flush();
    return true;
  } catch {
    return false;
  }
}
