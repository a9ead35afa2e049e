/** Pools and workers that reach each other over transports beside gRPC, or in its place. */
import { createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { serveControl } from '../../src/control/server.ts';
import {
  type DiscoveryLike,
  Roster,
  StaticDiscovery,
  stopWorker,
  type Transport,
  Worker,
  type WorkerMetadata,
  type WorkerOptions,
  WorkerPool,
  workerStatus,
} from '../../src/index.ts';
import { openWith } from '../../src/pool/pool.ts';
import { MemoryDiscovery } from '../../src/testing/memory-discovery.ts';
import { ownTransport } from '../fixtures/own-transport.ts';
import { rejection, scratchFolder, thrown, trace, until } from './helpers.ts';
import { block } from './routines/busy.ts';
import { add, nested } from './routines/math.ts';
import { pid } from './routines/tasks.ts';

const folder = scratchFolder();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function open(options: Parameters<typeof WorkerPool.open>[0]): Promise<WorkerPool> {
  const pool = await WorkerPool.open(options);
  cleanups.push(() => pool.close({ grace: 0 }));
  return pool;
}

async function start(options: WorkerOptions): Promise<Worker> {
  const worker = new Worker(options);
  cleanups.push(() => worker.stop(0));
  await worker.start();
  return worker;
}

function naming(worker: WorkerMetadata): DiscoveryLike {
  const roster = new Roster();
  roster.put(worker);
  return { subscribe: (filter) => roster.subscribe(filter) };
}

const own = ownTransport({ beats: folder });
const authkey = 'a secret that is long enough';

describe('spawned workers', () => {
  test('are reached over a transport alone, and by each other', async () => {
    const pool = await open({ size: 2, transport: ownTransport(), authkey });
    expect(await pool.run(() => Promise.all([add(1, 2), add(3, 4)]))).toEqual([3, 7]);
    expect(await nested.on(pool)(1)).toMatchObject({ sum: 2 });
    for (const { address, alternatives, via, beat } of pool.workers) {
      expect(address).toMatch(/^own:/);
      expect({ alternatives, via, beat }).toEqual({
        alternatives: [],
        via: address,
        beat: undefined,
      });
    }
  });

  test('are reached over gRPC first, where they have both', async () => {
    const discovery = new MemoryDiscovery();
    const pool = await open({ size: 1, transport: [own, 'tcp'], discovery, authkey });
    expect(await pid.on(pool)()).toBe(pool.workers[0]?.pid);
    const [worker] = pool.workers;
    const { address = '', alternatives = [], uid, beat } = worker ?? {};
    expect(worker).toMatchObject({
      address: expect.stringMatching(/^tcp:/),
      via: address,
      alternatives: [expect.stringMatching(/^own:/)],
    });
    const seen = await discovery.subscribe()[Symbol.asyncIterator]().next();
    expect(seen.value).toMatchObject({ worker: { address, alternatives, beat } });
    // To each who asks it says where its beat is on the same way.
    expect(await workerStatus(address, { authkey })).toMatchObject({ uid, beat });
    const other = await workerStatus(alternatives[0] ?? '', { authkey, transport: own });
    expect(other).toMatchObject({ uid, beat: expect.stringMatching(/^beat\+own:/) });
  });

  test('that are blocked answer by the beat of the transport that they are reached by', async () => {
    // Nothing of gRPC gets through.
    const reach = (address: string) => address.replace(/(tcp:.*):\d+/, '$1:1');
    const transport = [own, 'tcp'] as const;
    const pool = await WorkerPool[openWith]({ size: 1, transport, lostAfter: 1_000 }, { reach });
    cleanups.push(() => pool.close({ grace: 0 }));
    const file = trace(folder);
    const call = block.on(pool)(file.path, 20_000);
    await until(() => expect(pool.workers[0]?.stalled).toBe(true));
    const since = performance.now();
    await until(() => expect(performance.now() - since).toBeGreaterThan(1_200));
    file.open();
    expect(await call).toBe(pool.workers[0]?.pid);
    expect(pool.workers[0]).toMatchObject({ via: pool.workers[0]?.alternatives[0] });
  });

  test('say why they do not come up', async () => {
    const base = ownTransport();
    const broken = (recipe: Transport['recipe']): Transport => ({ ...base, recipe });
    const module = new URL('./nowhere.ts', import.meta.url).href;
    for (const [transport, why] of [
      [broken({ module, options: {} }), 'nowhere.ts'],
      [broken({ module: 'node:fs', options: {} }), 'node:fs exports no transportOf(options)'],
    ] as const) {
      const error = await rejection(WorkerPool.open({ size: 1, transport }));
      expect(error).toHaveProperty('code', 'WORKER_START');
      expect(error).toHaveProperty('message', expect.stringContaining(why));
    }
  });
});

describe('a worker', () => {
  test('listens on a transport alone, and for gRPC only when that is asked for', async () => {
    const alone = await start({ transport: ownTransport() });
    expect(alone.metadata?.address).toMatch(/^own:/);
    expect(alone.metadata?.alternatives).toBeUndefined();
    expect(alone.metadata?.beat).toBeUndefined();
    for (const options of [{ transport: ['tcp', own] as const }, { transport: own, port: 0 }]) {
      const both = await start(options);
      expect(both.address).toMatch(/^tcp:/);
      expect(both.metadata?.alternatives).toEqual([expect.stringMatching(/^own:/)]);
      expect(both.status.beat).toBe(both.metadata?.beat);
      expect(both.status.beat).toMatch(/^beat\+tcp:/);
    }
    const unix = await start({ transport: ['unix', own] });
    expect(unix.address).toMatch(/^unix:/);
    await stopWorker(unix.metadata?.alternatives?.[0] ?? '', { transport: own });
    await unix.stopped;
  });

  test('is reached at an alternative where its address is not', async () => {
    const worker = await start({ transport: ['tcp', own] });
    const { uid, alternatives = [] } = worker.metadata ?? {};
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => silent.close());
    const { port } = silent.address() as { port: number };
    // One refuses, one takes connections and says nothing, one is another worker.
    const other = await start({});
    for (const address of ['tcp://127.0.0.1:1', `tcp://127.0.0.1:${port}`, other.address ?? '']) {
      for (const named of [uid, undefined]) {
        // Of one that is not named, whoever answers is asked who it is.
        if (named === undefined && address === other.address) continue;
        const found = { address, alternatives, ...(named && { uid: named }) };
        const pool = await open({ discovery: naming(found), transport: own });
        expect(await pid.on(pool)()).toBe(process.pid);
        expect(pool.workers).toMatchObject([{ uid, address, via: alternatives[0] }]);
        await pool.close();
      }
    }
  });

  test('of a durable pool is reached at an alternative, too', async () => {
    const worker = await start({ transport: own, host: '127.0.0.1' });
    const { uid = '', alternatives = [] } = worker.metadata ?? {};
    const workers = [{ uid, address: 'tcp://127.0.0.1:1', alternatives }];
    const source = { workers: () => workers, changed: () => () => {}, down: async () => {} };
    const { port, close } = await serveControl({ port: 0, source });
    cleanups.push(close);
    const pool = await WorkerPool.connect({ port, transport: ['tcp', own] });
    cleanups.push(() => pool.close());
    expect(await pid.on(pool)()).toBe(process.pid);
    expect(pool.workers).toMatchObject([{ uid, via: alternatives[0] }]);
  });

  test('is not reached by a pool that lacks the transport, which says what it lacks', async () => {
    const discovery = naming({ uid: 'w', address: 'nats://default/a/b' });
    const said: unknown[] = [];
    const log = (...given: unknown[]) => void said.push(...given);
    const logger = { debug: log, info: log, warn: log, error: log };
    const pool = await open({ discovery, startTimeout: 300, logger: logger as never });
    const error = await rejection(pid.on(pool)());
    expect(error).toHaveProperty('message', expect.stringContaining('natsTransport('));
  });
});

describe('the option transport', () => {
  const spawnless = { ...ownTransport(), recipe: undefined };

  test.each<[string, unknown, string]>([
    ['nothing', [], 'an empty array'],
    ['a word', 'nats', "not 'nats'"],
    ['a function', ownTransport, 'write ownTransport(...)'],
    ['no transport', { schemes: ['own'] }, 'without connect()'],
    ['an address of another scheme', { ...own, anywhere: 'tcp://a:1' }, 'anywhere'],
    ['gRPC twice', ['unix', 'tcp'], 'names gRPC twice'],
    ['two of one scheme', [own, ownTransport()], 'two for the scheme own'],
    ['one that is gRPC', ownTransport({ scheme: 'tcp' }), "write 'tcp'"],
  ])('is refused when it names %s', async (_what, transport, why) => {
    const given = { transport } as never;
    const opening = WorkerPool.open({ size: 1, ...(given as object) });
    for (const error of [thrown(() => new Worker(given)), await rejection(opening)]) {
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toHaveProperty('message', expect.stringContaining(why));
    }
  });

  test('is refused when spawned workers could not make what it names', async () => {
    const error = await rejection(WorkerPool.open({ size: 1, transport: spawnless }));
    expect(error).toHaveProperty('message', expect.stringContaining('no recipe'));
    const discovery = new StaticDiscovery(['tcp://127.0.0.1:1']);
    const pool = await open({ discovery, transport: spawnless });
    expect(pool.workers).toEqual([]);
  });

  test.each<[string, WorkerOptions]>([
    ['host', { transport: 'unix', host: '127.0.0.1' }],
    ['unix', { transport: 'unix', address: 'tcp://127.0.0.1:0' }],
    ['tcp', { transport: 'tcp', address: 'unix:///tmp/a.sock' }],
    ['beatPort', { transport: own, beatPort: 1 }],
  ])('of a worker does not go with what contradicts it: %s', (said, options) => {
    const error = thrown(() => new Worker(options));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toHaveProperty('message', expect.stringContaining(said));
  });

  test('of a discovery on the network is gRPC there', async () => {
    const discovery = new MemoryDiscovery();
    Object.assign(discovery.publisher, { bindHost: '127.0.0.1' });
    const worker = new Worker({ discovery, transport: own });
    expect(await rejection(worker.start())).toHaveProperty(
      'message',
      expect.stringContaining("name 'tcp'"),
    );
    const opening = WorkerPool.open({ size: 1, discovery, transport: own });
    expect(await rejection(opening)).toHaveProperty(
      'message',
      expect.stringContaining("name 'tcp'"),
    );
  });
});
