/** Where the calls of a worker's tasks go, and how long it keeps what they need. */
import { afterEach, describe, expect, test } from 'vitest';
import { createActor, fromCallback } from 'xstate';
import type { WorkerAddress } from '../../src/actors/peer.ts';
import { PoolProxy } from '../../src/actors/proxy.ts';
import { roundRobin } from '../../src/balancing/policies.ts';
import type { DiscoveryEvent, DiscoveryLike } from '../../src/discovery/discovery.ts';
import { systemEnv } from '../../src/env.ts';
import { type CurrentTask, currentTask, routine } from '../../src/index.ts';
import { dispatcherOf } from '../../src/routine/dispatcher.ts';
import { lookup, type RegisteredRoutine } from '../../src/routine/registry.ts';
import { MemoryDiscovery } from '../../src/testing/memory-discovery.ts';
import { defaultLimits } from '../../src/transport/link.ts';
import { memoryTransport } from '../../src/transport/memory.ts';
import type { BaseTransport } from '../../src/transport/transport.ts';
import { VERSION } from '../../src/transport/version.ts';
import { WorkerCore, type WorkerCoreOptions } from '../../src/worker/core.ts';
import { rejection, until } from '../integration/helpers.ts';

const TTL_MS = 80;
const shared = { env: systemEnv, limits: defaultLimits };
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

const where = routine(async () => (currentTask() as CurrentTask).worker, { name: 'where' });

/** Where the calls of one task run. */
const nested = routine(
  async (calls: number) => {
    const places = await Promise.all(Array.from({ length: calls }, () => where()));
    return [...new Set(places)].sort();
  },
  { name: 'nested' },
);

/** How calls end that are given up at once. */
const hasty = routine(
  async () => {
    const abort = new AbortController();
    const late = rejection(where.with({ timeout: 1 })());
    const aborted = rejection(where.with({ signal: abort.signal })());
    abort.abort('no more');
    return [((await late) as Error).name, await aborted];
  },
  { name: 'hasty' },
);

/** A call that lasts until the other function is called. */
function lasting() {
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { ended, end: () => end() };
}

let pause: { readonly ended: Promise<void> };
const paused = routine(async () => await pause.ended, { name: 'paused' });
const waitsForNested = routine(async () => await paused(), { name: 'waitsForNested' });
const steps = routine(
  async function* () {
    yield 1;
    yield 2;
  },
  { name: 'steps' },
);
const waitsBetweenSteps = routine(
  async () => {
    for await (const step of steps()) if (step === 1) await pause.ended;
  },
  { name: 'waitsBetweenSteps' },
);

class Counted extends MemoryDiscovery {
  subscriptions = 0;

  override subscribe(): AsyncIterable<DiscoveryEvent> {
    const inner = super.subscribe();
    return {
      [Symbol.asyncIterator]: () => {
        const events = inner[Symbol.asyncIterator]();
        this.subscriptions += 1;
        return {
          next: () => events.next(),
          return: async () => {
            this.subscriptions -= 1;
            return { done: true, value: await events.return?.() };
          },
        };
      },
    };
  }
}

/** A network of its own, since a worker has another one of that kind for itself. */
function network(): BaseTransport {
  const memory = memoryTransport();
  const inner = (address: string) => address.replace('net:', 'memory:');
  return {
    schemes: ['net'],
    connect: (address) => memory.connect(inner(address)),
    listen: async (address, service) => ({
      address,
      close: (await memory.listen(inner(address), service)).close,
    }),
  };
}

class Cluster {
  readonly transport = network();
  readonly discovery = new Counted();
  readonly workers: WorkerCore[] = [];
  readonly proxy: PoolProxy;

  constructor() {
    const root = createActor(fromCallback(() => {})).start();
    this.proxy = new PoolProxy(root, {
      ...shared,
      transports: [this.transport],
      policy: roundRobin(),
      maxQueue: 100,
    });
    cleanups.push(() => this.proxy.send({ type: 'abort', error: new Error('over') }));
  }

  get target() {
    return { pool: { [dispatcherOf]: this.proxy } };
  }

  async start(options: Partial<WorkerCoreOptions> = {}, discovery?: DiscoveryLike) {
    const address = `net://host-${this.workers.length}`;
    const worker = new WorkerCore({
      ...shared,
      transports: [this.transport],
      address,
      resolve: (module, name) => lookup(module, name) as RegisteredRoutine,
      proxyTtlMs: TTL_MS,
      ...options,
    });
    cleanups.push(() => worker.stop(0));
    await worker.start();
    if (discovery) worker.find(discovery);
    this.workers.push(worker);
    const { uid } = worker;
    const about = { pid: 1, host: 'a', version: VERSION };
    await this.discovery.publisher.publish('worker-added', { uid, address, ...about });
    return worker;
  }

  /** The next calls go to this worker. */
  use({ uid }: WorkerCore): void {
    const index = this.workers.findIndex((worker) => worker.uid === uid);
    const worker = { uid, address: `net://host-${index}`, tags: [] };
    this.proxy.send({ type: 'added', worker });
  }
}

async function pair(options: Partial<WorkerCoreOptions> = {}) {
  const cluster = new Cluster();
  const home = await cluster.start(options, cluster.discovery);
  const other = await cluster.start();
  cluster.use(home);
  return { cluster, home, other, both: [home.uid, other.uid].sort() };
}

describe('a worker that its discovery tells of others', () => {
  test('looks for them when its tasks call, and lets go of them a while after the last call', async () => {
    const { cluster, home, other, both } = await pair();
    expect(await where.with(cluster.target)()).toBe(home.uid);
    expect([cluster.discovery.subscriptions, other.stats.sessions]).toEqual([0, 0]);
    for (let round = 0; round < 2; round += 1) {
      // The first calls, too.
      expect(await nested.with(cluster.target)(4)).toEqual(both);
      expect([cluster.discovery.subscriptions, other.stats.sessions]).toEqual([1, 1]);
      await until(() =>
        expect([cluster.discovery.subscriptions, other.stats.sessions]).toEqual([0, 0]),
      );
    }
  });

  test('may look for them at once, and keep them', async () => {
    const { cluster, other, both } = await pair({ lazy: false });
    await until(() => expect(other.stats.sessions).toBe(1));
    expect(await nested.with(cluster.target)(4)).toEqual(both);
    await new Promise((resolve) => systemEnv.timer(TTL_MS * 2, () => resolve(undefined)));
    expect([cluster.discovery.subscriptions, other.stats.sessions]).toEqual([1, 1]);
  });

  test.each([
    ['while a call lasts', waitsForNested],
    ['between the steps of a generator', waitsBetweenSteps],
  ])('keeps them %s', async (_when, waits) => {
    const { cluster, other, both } = await pair();
    await until(async () => expect(await nested.with(cluster.target)(4)).toEqual(both));
    const { ended, end } = lasting();
    pause = { ended };
    // One on each of the two.
    const calls = [1, 2].map(() => waits.with(cluster.target)());
    await until(() => expect(other.stats.tasks).toBe(1));
    await new Promise((resolve) => systemEnv.timer(TTL_MS * 2, () => resolve(undefined)));
    expect([cluster.discovery.subscriptions, other.stats.sessions]).toEqual([1, 1]);
    end();
    await Promise.all(calls);
    await until(() => expect(cluster.discovery.subscriptions).toBe(0));
  });

  test('runs its calls itself while there are none, and says why there are none', async () => {
    const cluster = new Cluster();
    const warnings: string[] = [];
    const broken: DiscoveryLike = {
      subscribe: () => {
        throw new Error('no folder');
      },
    };
    const home = await cluster.start({ warn: (message) => warnings.push(message) }, broken);
    cluster.use(home);
    expect(await nested.with(cluster.target)(4)).toEqual([home.uid]);
    await until(() => expect(warnings).toEqual([expect.stringContaining('no folder')]));
  });

  test('does not wait for long when it is alone', async () => {
    const cluster = new Cluster();
    const home = await cluster.start({}, cluster.discovery);
    cluster.use(home);
    const began = performance.now();
    expect(await nested.with(cluster.target)(4)).toEqual([home.uid]);
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(cluster.discovery.subscriptions).toBe(1);
  });

  test('lets calls end that wait for them', async () => {
    const cluster = new Cluster();
    const home = await cluster.start({}, cluster.discovery);
    cluster.use(home);
    const [late, aborted] = await hasty.with(cluster.target)();
    expect([late, aborted]).toEqual(['DispatchTimeout', 'no more']);
    const waiting = rejection(nested.with(cluster.target)(4));
    await until(() => expect(home.dispatcher.stats.waiting).toBe(4));
    await home.stop(0);
    expect(await waiting).toHaveProperty('code', 'TASK_ABORTED');
    expect(home.dispatcher.stats).toMatchObject({ waiting: 0, calls: 0 });
  });

  test('finds them for its last tasks, too', async () => {
    const { cluster, home, both } = await pair();
    await until(async () => expect(await nested.with(cluster.target)(4)).toEqual(both));
    const { ended, end } = lasting();
    pause = { ended };
    const calls = waitsForNested.with(cluster.target)();
    await until(() => expect(home.stats.tasks).toBeGreaterThan(0));
    const stopped = home.stop();
    end();
    await Promise.all([calls, stopped]);
    expect(cluster.discovery.subscriptions).toBe(0);
  });
});

describe('a worker that its pool tells of others', () => {
  async function told() {
    const cluster = new Cluster();
    const home = await cluster.start();
    const other = await cluster.start();
    const listed = (uid: string, i: number): WorkerAddress => {
      return { uid, address: `net://host-${i}`, tags: [] };
    };
    const [own, found] = [listed(home.uid, 0), listed(other.uid, 1)];
    cluster.use(home);
    return { cluster, home, other, own, found, both: [home.uid, other.uid].sort() };
  }

  test('keeps the links to them no longer, either', async () => {
    const { cluster, home, other, own, found, both } = await told();
    home.roster([own, found]);
    for (let round = 0; round < 2; round += 1) {
      expect(await nested.with(cluster.target)(4)).toEqual(both);
      expect(other.stats.sessions).toBe(1);
      await until(() => expect(other.stats.sessions).toBe(0));
    }
  });

  test('loses its calls on one that has ended, and not on one that is only named no more', async () => {
    const { cluster, home, other, own, found } = await told();
    for (const ends of [false, true]) {
      const { ended, end } = lasting();
      pause = { ended };
      home.roster(ends ? [own, found] : [own], ends ? [] : [found]);
      const calls = [1, 2].map(() => waitsForNested.with(cluster.target)());
      await until(() => expect(other.stats.tasks).toBe(1));
      home.roster([own]);
      expect(await nested.with(cluster.target)(4)).toEqual([home.uid]);
      if (ends) expect(await rejection(Promise.all(calls))).toHaveProperty('code', 'WORKER_LOST');
      end();
      const outcomes = await Promise.allSettled(calls);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(ends ? 1 : 2);
    }
  });

  test('goes where they have gone', async () => {
    const { cluster, home, own, found, both } = await told();
    home.roster([own], [{ ...found, address: 'net://nowhere' }]);
    home.roster([own], [found]);
    expect(await nested.with(cluster.target)(4)).toEqual(both);
  });
});
