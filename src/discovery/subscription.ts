/** What one subscriber is told: the difference between what it knows and what is there. */
import {
  type DiscoveryEvent,
  type DiscoveryEventType,
  type WorkerFilter,
  type WorkerMetadata,
  workerKey,
} from './discovery.ts';

/**
 * Events that wait for a subscriber. Beyond them its queue is made anew from what is there, so that
 * whoever comes back after a long time does not hear of workers that came and went meanwhile.
 */
export const MAX_WAITING = 10_000;

type Result = IteratorResult<DiscoveryEvent, undefined>;

interface Waiter {
  resolve(result: Result): void;
  reject(error: unknown): void;
}

const DONE = { done: true, value: undefined } as const;

export class Subscription implements AsyncIterator<DiscoveryEvent, undefined> {
  readonly #filter: WorkerFilter;
  readonly #ended: () => void;
  /** What the subscriber knows once it has taken all that waits. */
  readonly #told = new Map<string, WorkerMetadata>();
  /** What it knows from what it has taken. */
  readonly #taken = new Map<string, WorkerMetadata>();
  #waiting: DiscoveryEvent[] = [];
  #waiters: Waiter[] = [];
  #failure: { error: unknown } | undefined;
  #over = false;

  /** @param ended called once, when the subscriber wants no more or was told the last */
  constructor(filter: WorkerFilter, ended: () => void) {
    this.#filter = filter;
    this.#ended = ended;
  }

  /** The worker is there, with this metadata. */
  put(worker: WorkerMetadata): void {
    const key = workerKey(worker);
    let matches: boolean;
    try {
      matches = this.#filter(worker);
    } catch (error) {
      // The subscriber's own mistake: it is told, and the others go on.
      this.close({ error });
      return;
    }
    if (matches) this.#tell(this.#told.has(key) ? 'worker-updated' : 'worker-added', worker);
    else this.drop(key);
  }

  drop(key: string): void {
    const known = this.#told.get(key);
    if (known !== undefined) this.#tell('worker-dropped', known);
  }

  /** There will be no more; what waits can still be taken. */
  close(failure?: { error: unknown }): void {
    if (this.#over) return;
    this.#over = true;
    this.#failure = failure;
    this.#ended();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) this.#end(waiter);
  }

  next(): Promise<Result> {
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      if (this.#waiting.length > 0) this.#give(waiter);
      else if (this.#over) this.#end(waiter);
      else this.#waiters.push(waiter);
    });
  }

  async return(): Promise<Result> {
    this.#waiting = [];
    this.close();
    return DONE;
  }

  #tell(type: DiscoveryEventType, worker: WorkerMetadata): void {
    if (this.#over) return;
    this.#waiting.push({ type, worker });
    apply(this.#told, type, worker);
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) this.#give(waiter);
    else if (this.#waiting.length > MAX_WAITING) this.#shorten();
  }

  #give(waiter: Waiter): void {
    const value = this.#waiting.shift() as DiscoveryEvent;
    apply(this.#taken, value.type, value.worker);
    waiter.resolve({ done: false, value });
  }

  #end(waiter: Waiter): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure === undefined) waiter.resolve(DONE);
    else waiter.reject(failure.error);
  }

  #shorten(): void {
    const waiting: DiscoveryEvent[] = [];
    for (const [key, worker] of this.#taken) {
      if (!this.#told.has(key)) waiting.push({ type: 'worker-dropped', worker });
    }
    for (const [key, worker] of this.#told) {
      const taken = this.#taken.get(key);
      if (taken === undefined) waiting.push({ type: 'worker-added', worker });
      else if (taken !== worker) waiting.push({ type: 'worker-updated', worker });
    }
    this.#waiting = waiting;
  }
}

function apply(
  known: Map<string, WorkerMetadata>,
  type: DiscoveryEventType,
  worker: WorkerMetadata,
): void {
  if (type === 'worker-dropped') known.delete(workerKey(worker));
  else known.set(workerKey(worker), worker);
}
