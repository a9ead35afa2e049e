/** What every implementation of discovery must do, as checks that any test runner can run. */
import { inspect, isDeepStrictEqual } from 'node:util';
import type {
  AnnouncedWorker,
  DiscoveryEvent,
  DiscoveryLike,
  DiscoveryPublisher,
  WorkerFilter,
} from '../discovery/discovery.ts';
import { takeDiscovery } from '../discovery/given.ts';

/** A place of its own with workers that nobody else knows; disposed of after the check if it can be. */
export interface DiscoveryHarness extends Partial<AsyncDisposable> {
  /** An instance of the implementation; all those of one harness know of the same workers. */
  open(): DiscoveryLike | Promise<DiscoveryLike>;
  /** Makes a worker appear where there is no publisher. All but its address may be ignored. */
  put?(worker: AnnouncedWorker): void | Promise<void>;
  /** Makes it go. */
  drop?(worker: AnnouncedWorker): void | Promise<void>;
  /** Milliseconds after which an event is taken for lost. Default: 5,000. */
  readonly timeoutMs?: number;
  /** Workers that come and go at once. Default: 200. */
  readonly burst?: number;
}

export interface DiscoveryCheck {
  readonly name: string;
  /** @throws Error that says what the implementation did wrong */
  run(make: () => DiscoveryHarness | Promise<DiscoveryHarness>): Promise<void>;
}

/** Something that a harness can do in a check. */
class Scene implements AsyncDisposable {
  readonly #harness: DiscoveryHarness;
  readonly #listeners: Listener[] = [];
  readonly #first: DiscoveryLike;
  #workers = 0;

  private constructor(harness: DiscoveryHarness, first: DiscoveryLike) {
    this.#harness = harness;
    this.#first = first;
  }

  static async open(make: () => DiscoveryHarness | Promise<DiscoveryHarness>): Promise<Scene> {
    const harness = await make();
    return new Scene(harness, await harness.open());
  }

  get discovery(): DiscoveryLike {
    return this.#first;
  }

  get burst(): number {
    return this.#harness.burst ?? 200;
  }

  get publisher(): DiscoveryPublisher {
    const { publisher } = this.#first;
    if (publisher === undefined) throw new Error('the discovery has no publisher');
    return publisher;
  }

  another(): DiscoveryLike | Promise<DiscoveryLike> {
    return this.#harness.open();
  }

  worker(fields: Partial<AnnouncedWorker> = {}): AnnouncedWorker {
    this.#workers += 1;
    const n = this.#workers;
    return {
      uid: `contract-${n}`,
      address: `tcp://10.7.${n >> 8}.${n & 255}:4000`,
      pid: process.pid,
      host: 'contract.test',
      version: '1.2.3',
      ...fields,
    };
  }

  async put(worker: AnnouncedWorker): Promise<void> {
    if (this.#harness.put !== undefined) await this.#harness.put(worker);
    else await this.publisher.publish('worker-added', worker);
  }

  async drop(worker: AnnouncedWorker): Promise<void> {
    if (this.#harness.drop !== undefined) await this.#harness.drop(worker);
    else await this.publisher.publish('worker-dropped', worker);
  }

  listen(discovery = this.#first, filter?: WorkerFilter): Listener {
    const iterator = discovery.subscribe(filter)[Symbol.asyncIterator]();
    const listener = new Listener(iterator, this.#harness.timeoutMs ?? 5_000);
    this.#listeners.push(listener);
    return listener;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.stop()));
    await this.#harness[Symbol.asyncDispose]?.();
  }
}

class Listener {
  readonly iterator: AsyncIterator<DiscoveryEvent>;
  /** What was told so far. */
  readonly events: DiscoveryEvent[] = [];
  readonly #timeoutMs: number;

  constructor(iterator: AsyncIterator<DiscoveryEvent>, timeoutMs: number) {
    this.iterator = iterator;
    this.#timeoutMs = timeoutMs;
  }

  async next(): Promise<DiscoveryEvent> {
    const { done, value } = await this.inTime(this.iterator.next(), 'an event');
    if (done) throw new Error(`the subscription has ended${this.#sofar()}`);
    this.events.push(value);
    return value;
  }

  /** Takes events until this one. */
  async until(type: DiscoveryEvent['type'], { address }: { address: string }): Promise<void> {
    for (;;) {
      const event = await this.next();
      if (event.type === type && event.worker.address === address) return;
    }
  }

  async inTime<T>(promise: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const message = `${what} did not come in ${this.#timeoutMs} ms${this.#sofar()}`;
      timer = setTimeout(() => reject(new Error(message)), this.#timeoutMs);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The types of events that a worker had, in order. */
  history({ address }: { address: string }): string {
    const own = this.events.filter(({ worker }) => worker.address === address);
    return own.map(({ type }) => type.slice('worker-'.length)).join(' ');
  }

  async stop(): Promise<void> {
    await this.iterator.return?.();
  }

  #sofar(): string {
    const last = this.events.slice(-10).map(({ type, worker }) => `${type} ${worker.address}`);
    return `; ${this.events.length} events until then, at last: ${last.join(', ') || 'none'}`;
  }
}

function expectHistory(listener: Listener, worker: AnnouncedWorker, expected: RegExp): void {
  const history = listener.history(worker);
  if (expected.test(history)) return;
  const name = `${worker.uid} at ${worker.address}`;
  throw new Error(`the events of ${name} were "${history}", and should be ${expected}`);
}

async function rejection(promise: Promise<unknown>, what: string): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`${what} did not reject`);
}

function check(name: string, body: (scene: Scene) => Promise<void>): DiscoveryCheck {
  return {
    name,
    run: async (make) => {
      const scene = await Scene.open(make);
      try {
        await body(scene);
      } finally {
        await scene[Symbol.asyncDispose]();
      }
    },
  };
}

/** For implementations where somebody else keeps the list: the harness needs `put` and `drop`. */
export const readOnlyDiscoveryContract: readonly DiscoveryCheck[] = [
  check('has the shape of a discovery', async ({ discovery }) => {
    await takeDiscovery(discovery);
  }),

  check('tells of workers that are there already', async (scene) => {
    const [one, other] = [scene.worker(), scene.worker()];
    await scene.put(one);
    await scene.put(other);
    const listener = scene.listen();
    await listener.next();
    await listener.next();
    expectHistory(listener, one, /^added$/);
    expectHistory(listener, other, /^added$/);
  }),

  check('tells of workers that come and go', async (scene) => {
    const listener = scene.listen();
    const [one, other] = [scene.worker(), scene.worker()];
    await scene.put(one);
    await listener.until('worker-added', one);
    await scene.put(other);
    await listener.until('worker-added', other);
    await scene.drop(one);
    await listener.until('worker-dropped', one);
    await scene.drop(other);
    await listener.until('worker-dropped', other);
    expectHistory(listener, one, /^added dropped$/);
    expectHistory(listener, other, /^added dropped$/);
  }),

  check('adds a worker again that had gone', async (scene) => {
    const listener = scene.listen();
    const worker = scene.worker();
    for (const _ of [1, 2]) {
      await scene.put(worker);
      await listener.until('worker-added', worker);
      await scene.drop(worker);
      await listener.until('worker-dropped', worker);
    }
    expectHistory(listener, worker, /^added dropped added dropped$/);
  }),

  check('tells a new subscriber nothing of workers that have gone', async (scene) => {
    const [gone, there] = [scene.worker(), scene.worker()];
    const early = scene.listen();
    await scene.put(gone);
    await early.until('worker-added', gone);
    await scene.drop(gone);
    await early.until('worker-dropped', gone);
    const late = scene.listen(await scene.another());
    await scene.put(there);
    await late.until('worker-added', there);
    expectHistory(late, gone, /^$/);
  }),

  check('tells of those workers only that a filter lets through', async (scene) => {
    const [wanted, other] = [scene.worker(), scene.worker()];
    const all = scene.listen();
    const some = scene.listen(scene.discovery, ({ address }) => address === wanted.address);
    await scene.put(other);
    await all.until('worker-added', other);
    await scene.put(wanted);
    await some.until('worker-added', wanted);
    await scene.drop(other);
    await all.until('worker-dropped', other);
    await scene.drop(wanted);
    await some.until('worker-dropped', wanted);
    expectHistory(some, other, /^$/);
    expectHistory(some, wanted, /^added dropped$/);
  }),

  check('fails a subscription whose filter throws, and no other', async (scene) => {
    const listener = scene.listen();
    const failing = scene.listen(scene.discovery, () => {
      throw new Error('of the filter');
    });
    const worker = scene.worker();
    const failure = rejection(failing.next(), 'a subscription whose filter throws');
    await scene.put(worker);
    const error = await failing.inTime(failure, 'the error of the filter');
    if (!(error instanceof Error && error.message === 'of the filter')) throw error;
    await listener.until('worker-added', worker);
  }),

  check('tells each subscriber everything', async (scene) => {
    const worker = scene.worker();
    const listeners = [scene.listen(), scene.listen(), scene.listen(await scene.another())];
    await scene.put(worker);
    for (const listener of listeners) await listener.until('worker-added', worker);
    await scene.drop(worker);
    for (const listener of listeners) await listener.until('worker-dropped', worker);
    for (const listener of listeners) expectHistory(listener, worker, /^added dropped$/);
  }),

  check('ends a subscription that is waited for, and that one alone', async (scene) => {
    const [ended, other] = [scene.listen(), scene.listen()];
    const waiting = ended.iterator.next();
    if (ended.iterator.return === undefined) throw new Error('the iterator has no return()');
    await ended.inTime(ended.iterator.return(), 'the answer to return()');
    for (const next of [waiting, ended.iterator.next()]) {
      const { done } = await ended.inTime(next, 'the end of a subscription after return()');
      if (!done) throw new Error('a subscription goes on after return()');
    }
    const worker = scene.worker();
    await scene.put(worker);
    await other.until('worker-added', worker);
  }),

  check('begins a subscription with each iteration', async (scene) => {
    const worker = scene.worker();
    await scene.put(worker);
    const events = scene.discovery.subscribe();
    for (const _ of [1, 2]) {
      const listener = scene.listen({ subscribe: () => events });
      await listener.until('worker-added', worker);
      await listener.stop();
    }
  }),
];

/** For implementations whose workers announce themselves. */
export const discoveryContract: readonly DiscoveryCheck[] = [
  ...readOnlyDiscoveryContract,

  check('tells all that a worker says of itself', async (scene) => {
    const worker = scene.worker({
      alternatives: ['other://10.7.0.1:4002'],
      beat: 'beat+tcp://10.7.0.1:4001',
      tags: ['gpu', 'größe=xl, "1"'],
      extra: { zone: 'a', note: 'x=y=z' },
      secure: true,
      channel: { maxValueBytes: 1_000_000, concurrency: 4 },
    });
    const listener = scene.listen(await scene.another());
    await scene.put(worker);
    const found = (await listener.next()).worker;
    for (const [key, value] of Object.entries(worker)) {
      const arrived = found[key as keyof AnnouncedWorker];
      if (isDeepStrictEqual(arrived, value)) continue;
      throw new Error(`${key} is ${inspect(value)}, and arrived as ${inspect(arrived)}`);
    }
  }),

  check('tells of a change', async (scene) => {
    const worker = scene.worker({ tags: ['before'] });
    const listener = scene.listen(await scene.another());
    await scene.put(worker);
    await listener.until('worker-added', worker);
    await scene.publisher.publish('worker-updated', { ...worker, tags: ['after'] });
    await listener.until('worker-updated', worker);
    const tags = listener.events.at(-1)?.worker.tags;
    if (tags?.join() !== 'after') throw new Error(`the tags are [${tags}] after their change`);
    await scene.drop(worker);
    await listener.until('worker-dropped', worker);
    expectHistory(listener, worker, /^added updated dropped$/);
  }),

  check('takes a worker that is added twice for one that has changed', async (scene) => {
    const worker = scene.worker();
    const listener = scene.listen();
    await scene.put(worker);
    await listener.until('worker-added', worker);
    await scene.put(worker);
    await scene.put({ ...worker, tags: ['second'] });
    await listener.until('worker-updated', worker);
    await scene.drop(worker);
    await listener.until('worker-dropped', worker);
    expectHistory(listener, worker, /^added( updated)+ dropped$/);
  }),

  check('drops a worker in silence that is not there', async (scene) => {
    const [absent, worker] = [scene.worker(), scene.worker()];
    const listener = scene.listen();
    await scene.drop(absent);
    await scene.put(worker);
    await listener.until('worker-added', worker);
    expectHistory(listener, absent, /^$/);
  }),

  check('lets one instance drop what another has announced', async (scene) => {
    const worker = scene.worker();
    const listener = scene.listen();
    await scene.put(worker);
    await listener.until('worker-added', worker);
    await (await scene.another()).publisher?.publish('worker-dropped', worker);
    await listener.until('worker-dropped', worker);
  }),

  check('adds and drops a worker as it comes to match a filter, and ceases to', async (scene) => {
    const worker = scene.worker({ tags: ['no'] });
    const all = scene.listen();
    const some = scene.listen(scene.discovery, ({ tags }) => tags?.includes('yes') ?? false);
    await scene.put(worker);
    await all.until('worker-added', worker);
    await scene.publisher.publish('worker-updated', { ...worker, tags: ['yes'] });
    await some.until('worker-added', worker);
    await scene.publisher.publish('worker-updated', { ...worker, tags: ['yes', 'more'] });
    await some.until('worker-updated', worker);
    await scene.publisher.publish('worker-updated', { ...worker, tags: ['no'] });
    await some.until('worker-dropped', worker);
    expectHistory(some, worker, /^added updated dropped$/);
  }),

  check('refuses metadata that is wrong with a TypeError, and tells nobody', async (scene) => {
    const worker = scene.worker();
    const listener = scene.listen();
    const wrong: Partial<Record<keyof AnnouncedWorker, unknown>>[] = [
      { uid: undefined },
      { uid: '../x' },
      { address: 'localhost:4000' },
      { address: undefined },
      { tags: 'gpu' },
      { extra: { number: 1 } },
      { secure: 'yes' },
      { host: 'a\u001b[31m' },
    ];
    for (const fields of wrong) {
      const metadata = { ...worker, ...fields } as AnnouncedWorker;
      const what = `publish with ${inspect(fields)}`;
      const publish = async () => scene.publisher.publish('worker-added', metadata);
      const error = await rejection(publish(), what);
      if (!(error instanceof TypeError))
        throw new Error(`${what} gave no TypeError`, { cause: error });
    }
    const right = scene.worker();
    await scene.put(right);
    await listener.until('worker-added', right);
    if (listener.events.length > 1) throw new Error('a worker with wrong metadata was told of');
  }),

  check('loses none of many workers that come and go', async (scene) => {
    const listener = scene.listen(await scene.another());
    const marker = scene.worker();
    await scene.put(marker);
    await listener.until('worker-added', marker);
    const workers = Array.from({ length: scene.burst }, () => scene.worker());
    await Promise.all(
      workers.map(async (worker) => {
        await scene.put(worker);
        await scene.drop(worker);
      }),
    );
    const left = new Set(workers.map(({ address }) => address));
    while (left.size > 0) {
      const { type, worker } = await listener.next();
      if (type === 'worker-dropped') left.delete(worker.address);
    }
    for (const worker of workers) expectHistory(listener, worker, /^added( updated)* dropped$/);
  }),
];
