/** Finds the workers that are announced on the bus, while somebody listens. */
import type { Roster } from '../discovery/roster.ts';
import type { Warn } from '../discovery/warning.ts';
import type { Env, Timer } from '../env.ts';
import { DiscoveryError } from '../errors.ts';
import type { BusMessage, DiscoveryBus } from './discovery-bus.ts';
import { asSeenFrom, decodeRecord, idFor } from './discovery-record.ts';
import { Sightings } from './discovery-sightings.ts';
import { allAnnouncements, announcedBy, answeredBy, anyToCaller, question } from './subjects.ts';

/** Announcements that a worker may leave out before it counts as gone. */
const MAX_MISSED = 3;

export interface NatsBrowserOptions {
  readonly bus: DiscoveryBus;
  readonly env: Env;
  /** Of the discovery. */
  readonly name: string;
  /** Milliseconds between two announcements of a worker. */
  readonly intervalMs: number;
  /** The name of this machine. */
  readonly host: string;
  readonly roster: Roster;
  readonly warn: Warn;
}

export class NatsBrowser {
  readonly #options: NatsBrowserOptions;
  readonly #sightings: Sightings;
  readonly #channel: string;
  #left: (() => void)[] = [];
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: NatsBrowserOptions) {
    const { roster, warn, intervalMs, env } = options;
    this.#options = options;
    this.#sightings = new Sightings({ roster, warn, goneAfterMs: MAX_MISSED * intervalMs });
    this.#channel = env.uid();
  }

  /** @throws DiscoveryError when there is no server that can be used */
  async start(): Promise<void> {
    const { bus, name, roster } = this.#options;
    try {
      await bus.open();
    } catch (cause) {
      const why = (cause as Error).message;
      throw new DiscoveryError(`Workers can't be looked for on NATS: ${why}`, { cause });
    }
    if (this.#stopped) return bus.close();
    const { cluster, identity: caller } = bus;
    const subject = allAnnouncements(cluster, name);
    const refused = (why: string) => {
      roster.fail(new DiscoveryError(`Workers can't be looked for on NATS: ${why}`));
    };
    const answers = anyToCaller(cluster, { caller, channel: this.#channel });
    this.#left = [
      bus.subscribe(subject, (message) => this.#announced(message), refused),
      bus.subscribe(answers, (message) => this.#answered(message)),
      bus.watch({ up: () => this.#back() }),
      () => bus.close(),
    ];
    this.#ask();
    this.#listenOn();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#sightings.forget();
    for (const leave of this.#left.splice(0)) leave();
  }

  #ask(): void {
    const { bus, name } = this.#options;
    const asker = { caller: bus.identity, channel: this.#channel };
    bus.publish(question(bus.cluster, name, asker), new Uint8Array());
  }

  /** The workers' connections may have broken with this one, and come back later. */
  #back(): void {
    this.#sightings.excuse();
    this.#ask();
  }

  /**
   * Time counts once a round trip to the server has shown that all was heard which was announced in it,
   * so that nobody is missed while the own connection is away, or this process is busy.
   */
  #listenOn(): void {
    const { bus, env, intervalMs } = this.#options;
    const step = intervalMs / 2;
    this.#timer = env.timer(step, async () => {
      const heard = await bus.flush().then(
        () => true,
        () => false,
      );
      if (this.#stopped) return;
      if (heard) this.#sightings.listened(step);
      this.#listenOn();
    });
  }

  #announced({ subject, data }: BusMessage): void {
    const { identity, id } = announcedBy(subject) ?? {};
    if (identity !== undefined) this.#take(identity, id, data);
  }

  #answered({ subject, data }: BusMessage): void {
    const identity = answeredBy(subject);
    if (identity !== undefined) this.#take(identity, undefined, data);
  }

  /** @param id that of the worker, where the subject says it */
  #take(identity: string, id: string | undefined, data: Uint8Array): void {
    const { bus, host, warn } = this.#options;
    try {
      const record = decodeRecord(data);
      if ('gone' in record) return this.#sightings.goodbye(identity, record);
      const own = idFor(record.worker, { cluster: bus.cluster, identity });
      if (own === undefined || (id ?? own) !== own) {
        throw new TypeError('its address is that of somebody else');
      }
      const worker = asSeenFrom(host, record.worker);
      if (worker === undefined) {
        throw new TypeError('its address is one that its own machine alone can reach');
      }
      this.#sightings.seen(identity, { ...record, worker });
    } catch (error) {
      const { message } = error as Error;
      warn(message, `a worker announced by the identity ${identity} is left out: ${message}`);
    }
  }
}
