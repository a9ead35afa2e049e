/** The workers that an implementation knows of, and those who want to hear of them. */
import {
  type DiscoveryEvent,
  type WorkerFilter,
  type WorkerMetadata,
  workerKey,
} from './discovery.ts';
import { sameMetadata } from './metadata.ts';
import { Subscription } from './subscription.ts';

export interface RosterOptions {
  /** The first subscriber has come. */
  readonly begin?: () => void;
  /** The last one has gone. */
  readonly end?: () => void;
}

/**
 * What a discovery of your own needs for its `subscribe`: put and drop workers as you learn of them, and
 * each subscriber is told what changes for it. docs/discovery.md has an example.
 */
export class Roster {
  readonly #options: RosterOptions;
  readonly #workers = new Map<string, WorkerMetadata>();
  readonly #subscriptions = new Set<Subscription>();
  #closed = false;

  constructor(options: RosterOptions = {}) {
    this.#options = options;
  }

  /** Whether somebody wants to hear of workers. */
  get watched(): boolean {
    return this.#subscriptions.size > 0;
  }

  get workers(): Iterable<WorkerMetadata> {
    return this.#workers.values();
  }

  /** The worker is there, with this metadata. */
  put(worker: WorkerMetadata): void {
    const key = workerKey(worker);
    const known = this.#workers.get(key);
    if (known !== undefined && sameMetadata(known, worker)) return;
    this.#workers.set(key, worker);
    for (const subscription of [...this.#subscriptions]) subscription.put(worker);
  }

  /** The worker is gone. @param key its uid or, if that is not known, its address */
  drop(key: string): void {
    if (!this.#workers.delete(key)) return;
    for (const subscription of [...this.#subscriptions]) subscription.drop(key);
  }

  /** These are all that there are. */
  replace(workers: Iterable<WorkerMetadata>): void {
    const there = new Map([...workers].map((worker) => [workerKey(worker), worker]));
    for (const key of [...this.#workers.keys()]) if (!there.has(key)) this.drop(key);
    for (const worker of there.values()) this.put(worker);
  }

  /** Forgets all workers, and tells nobody. */
  forget(): void {
    this.#workers.clear();
  }

  /** See `DiscoveryLike`. */
  subscribe(filter: WorkerFilter = () => true): AsyncIterable<DiscoveryEvent> {
    if (typeof filter !== 'function') {
      throw new TypeError('the filter of a subscription must be a function');
    }
    return { [Symbol.asyncIterator]: () => this.#open(filter) };
  }

  /** Nothing can be found any more: all subscriptions fail, and later ones may try again. */
  fail(error: unknown): void {
    for (const subscription of [...this.#subscriptions]) subscription.close({ error });
  }

  /** Ends all subscriptions, those too that come later. */
  close(): void {
    this.#closed = true;
    for (const subscription of [...this.#subscriptions]) subscription.close();
  }

  #open(filter: WorkerFilter): Subscription {
    const { begin, end } = this.#options;
    const subscription = new Subscription(filter, () => {
      if (this.#subscriptions.delete(subscription) && !this.watched) end?.();
    });
    if (this.#closed) {
      subscription.close();
      return subscription;
    }
    this.#subscriptions.add(subscription);
    for (const worker of this.#workers.values()) subscription.put(worker);
    if (this.#subscriptions.size === 1) begin?.();
    return subscription;
  }
}
