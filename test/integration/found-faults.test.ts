/** What discovery says can be wrong, late, forged or too much: a pool goes on with the workers it has. */
import { chmodSync, chownSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { Relay } from '../../chaos/relay.ts';
import { LocalDiscovery } from '../../src/discovery/adapters/local.ts';
import type { AnnouncedWorker, DiscoveryEvent } from '../../src/discovery/discovery.ts';
import { StaticDiscovery } from '../../src/discovery/static.ts';
import {
  DiscoveryError,
  NoWorkersAvailable,
  type PoolOptions,
  type PoolWorker,
  WorkerPool,
} from '../../src/index.ts';
import { openWith } from '../../src/pool/pool.ts';
import { MemoryDiscovery } from '../../src/testing/memory-discovery.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import type { Channel } from '../../src/transport/transport.ts';
import { VERSION } from '../../src/transport/version.ts';
import {
  EnvelopeWriter,
  GoodbyeReason,
  type OutFrame,
  PROTOCOL_VERSION,
} from '../../src/wire/frame.ts';
import { rejection, scratchFolder, until } from './helpers.ts';
import { pid } from './routines/tasks.ts';

const folder = scratchFolder();
const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

let warnings: string[];
beforeEach(() => {
  warnings = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => {
    warnings.push(String(warning));
  });
});

async function open(options: PoolOptions): Promise<WorkerPool> {
  const pool = await WorkerPool.open(options);
  endings.push(() => pool.close({ grace: 0 }));
  return pool;
}

const call = (pool: WorkerPool, calls = 8) =>
  Promise.all(Array.from({ length: calls }, () => pid.on(pool)()));
const pidOf = (pool: WorkerPool) => pool.workers.find(({ spawned }) => spawned)?.pid as number;

/** A worker that is announced where nobody says that it is one. */
const announced = (uid: string, fields: Partial<AnnouncedWorker> = {}): AnnouncedWorker => ({
  uid,
  address: 'tcp://127.0.0.1:1',
  pid: process.pid,
  host: 'here',
  version: VERSION,
  ...fields,
});

/** One that is well, of another pool. */
let well: AnnouncedWorker;
let others: WorkerPool;
beforeAll(async () => {
  // Announced, and so for others, too.
  const discovery = new MemoryDiscovery();
  others = await WorkerPool.open({ size: 1, transport: 'tcp', discovery });
  const [{ uid, address, pid = 0 }] = others.workers as readonly [PoolWorker];
  well = announced(uid, { address, pid });
});
afterAll(() => others.close());

/** A pool that has found one worker, and takes what else is announced in memory. */
async function durable(options: PoolOptions = {}) {
  const discovery = new MemoryDiscovery();
  const { publish } = discovery.publisher;
  await publish('worker-added', well);
  const pool = await open({ discovery, ...options });
  /** All calls run on the worker that is well. */
  const goesOn = async () => expect(new Set(await call(pool))).toEqual(new Set([well.pid]));
  await call(pool);
  return { pool, publish, goesOn };
}

/** Listens on TCP, and does with a connection what it is told. */
async function listener(take: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
    take(socket);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  endings.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const hello = (uid: string, version = PROTOCOL_VERSION): OutFrame => ({
  call: 0,
  hello: { version, uid, expects: '', max_value_bytes: 1_000_000, window: 100_000 },
});

/** What speaks gRPC as a worker does, begins each link with a frame, and says no more. */
async function speaker(frame: OutFrame): Promise<string> {
  const link = (channel: Channel) => {
    channel.open({ packet: () => {}, drain: () => {}, closed: () => {} });
    const writer = new EnvelopeWriter();
    writer.add(frame);
    channel.send(writer.finish(1));
  };
  const service = { link, stop: async () => {}, status: () => ({}) as never };
  const { address, close } = await grpcTransport().listen('tcp://127.0.0.1:0', service);
  endings.push(close);
  return address;
}

describe('the folder of a namespace', () => {
  let namespaces = 0;
  let place: string;
  const namespace = () => new LocalDiscovery(`n${namespaces}`, { folder, pollInterval: 50 });
  beforeEach(() => {
    namespaces += 1;
    place = `${folder}/n${namespaces}`;
  });

  /** What a pool says that does not open; or, where the machine is too slow to say it at once, that does. */
  async function refusal(size: number): Promise<string> {
    let pool: WorkerPool;
    try {
      pool = await open({ size, discovery: namespace });
    } catch (error) {
      expect(error).toBeInstanceOf(DiscoveryError);
      return (error as Error).message;
    }
    await until(() => expect(warnings.join()).toContain('are kept: '));
    await pool.close();
    return warnings.join();
  }

  const harms: [string, () => void, string][] = [
    ['is open to others', () => chmodSync(place, 0o777), 'others may use it too (mode 777)'],
  ];
  if (process.getuid?.() === 0) {
    const give = () => chownSync(place, 65_534, 65_534);
    harms.push(["is another user's", give, 'it belongs to another user (uid 65534)']);
  }

  test.each(harms)('opens no pool when it %s', async (_what, harm, message) => {
    mkdirSync(place, { mode: 0o700 });
    harm();
    for (const size of [0, 1]) {
      expect(await refusal(size)).toContain(`Workers are not looked for in ${place}: ${message}`);
    }
  });

  test.each(harms)('ends no pool when it %s later', async (_what, harm, message) => {
    const pool = await open({ size: 1, discovery: namespace });
    const other = await open({ discovery: namespace });
    await call(other);
    harm();
    // Whoever looks at it anew does not take what is in it.
    expect(await refusal(0)).toContain(message);
    expect(await call(other)).toContain(pidOf(pool));
    // A new worker can't be announced there; its own pool uses it all the same.
    process.kill(pidOf(pool), 'SIGKILL');
    await until(() => expect(warnings.join('\n')).toContain(`can't be announced: `));
    expect(warnings.join('\n')).toContain(message);
    await until(() => call(pool));
  });

  test('may have files in it that say nothing, or not all', async () => {
    const pool = await open({ size: 1, discovery: namespace });
    const [name = ''] = readdirSync(place).filter((file) => file.endsWith('.json'));
    expect(name).not.toBe('');
    const put = (file: string, text: string) => {
      writeFileSync(`${place}/.new-${file}`, text, { mode: 0o600 });
      renameSync(`${place}/.new-${file}`, `${place}/${file}`);
    };
    put('half.1.json', '{"format":1,"start":"","worker":{"uid":"ha');
    put('README', 'not for you');
    put('.hidden', '');
    mkdirSync(`${place}/folder.1.json`);
    const durable = await open({ discovery: namespace });
    expect(new Set(await call(durable))).toEqual(new Set([pidOf(pool)]));
    await until(() => expect(warnings.join()).toContain('it is not JSON, or not all of it'));
    expect(durable.workers).toHaveLength(1);
  });
});

describe('a worker that is announced and', () => {
  test('where nobody listens is passed over, with one warning', async () => {
    const { pool, publish, goesOn } = await durable();
    await publish('worker-added', announced('nobody', { address: 'tcp://127.0.0.1:1' }));
    await goesOn();
    await until(() => call(pool).then(() => expect(warnings).not.toEqual([])));
    await until(() => call(pool));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      /^worker nobody at tcp:\/\/127\.0\.0\.1:1: it does not answer: .*ECONNREFUSED/,
    );
  });

  test('is something else is passed over, and a warning says what it may be', async () => {
    const { publish, goesOn } = await durable();
    const address = await listener((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await publish('worker-added', announced('web', { address }));
    await goesOn();
    await until(() => expect(warnings.join()).toMatch(/^worker web at .*: it does not answer: /));
  });

  test('where another one is does not get its calls', async () => {
    const { publish, goesOn } = await durable();
    const address = await speaker(hello('other'));
    await publish('worker-added', announced('one', { address }));
    await goesOn();
    expect(warnings).toEqual([
      `worker one at ${address}: it refused the link, and is left out: worker other answered in place of one`,
    ]);
  });

  test('is silent keeps its calls for a moment, and gets no more of them', async () => {
    const { pool, publish, goesOn } = await durable({ lostAfter: 20_000 });
    await publish('worker-added', announced('silent', { address: await listener(() => {}) }));
    const start = performance.now();
    await goesOn();
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(pool.workers).toMatchObject([{ uid: well.uid }, { uid: 'silent' }]);
    const again = performance.now();
    await goesOn();
    expect(performance.now() - again).toBeLessThan(900);
  });

  test('is silent, and alone, fails a call after the time in which one should come', async () => {
    const discovery = new MemoryDiscovery();
    await discovery.publisher.publish(
      'worker-added',
      announced('silent', { address: await listener(() => {}) }),
    );
    const pool = await open({ discovery, startTimeout: 1_500 });
    const start = performance.now();
    const error = (await rejection(pid.on(pool)())) as Error;
    expect(error).toBeInstanceOf(NoWorkersAvailable);
    expect(performance.now() - start).toBeLessThan(6_000);
  });

  test.each([
    ['where nobody listens', async () => 'tcp://127.0.0.1:1'],
    ['that is silent', async () => await listener(() => {})],
  ])('%s leaves its place to another one', async (_what, where) => {
    const discovery = new MemoryDiscovery();
    const { publish } = discovery.publisher;
    await publish('worker-added', announced('first', { address: await where() }));
    const pool = await open({ discovery, lease: 1, lostAfter: 1_000 });
    await until(() => expect(pool.workers.map((worker) => worker.uid)).toEqual(['first']));
    await publish('worker-added', well);
    expect(new Set(await call(pool))).toEqual(new Set([well.pid]));
    expect(pool.workers.map((worker) => worker.uid)).toEqual([well.uid]);
    expect(warnings.join()).toMatch(/^worker first at .*: it does not answer: /);
  });
});

describe('a version that is another', () => {
  const message =
    'it refused the link, and is left out: one side speaks protocol version 99, the other ' +
    `${PROTOCOL_VERSION}: use versions of Skein that go together`;

  test('by what is announced is left out', async () => {
    const { pool, publish, goesOn } = await durable();
    await publish('worker-added', announced('newer', { version: '99.0.0' }));
    await until(() =>
      expect(warnings).toEqual([
        `worker newer at tcp://127.0.0.1:1: it runs Skein 99.0.0, and this is ${VERSION}: it is left out`,
      ]),
    );
    expect(pool.workers).toHaveLength(1);
    await goesOn();
  });

  test('by its Hello is left out', async () => {
    const { pool, publish, goesOn } = await durable();
    const address = await speaker(hello('newer', 99));
    await publish('worker-added', announced('newer', { address }));
    await goesOn();
    expect(warnings).toEqual([`worker newer at ${address}: ${message}`]);
    expect(pool.workers).toHaveLength(1);
  });

  test('by its Hello is not used where its address alone is known, either', async () => {
    const address = await speaker(hello('newer', 99));
    const pool = await open({ discovery: new StaticDiscovery([address, well.address]) });
    await until(() => expect(warnings.join()).toContain('one side speaks protocol version 99'));
    expect(new Set(await call(pool))).toEqual(new Set([well.pid]));
  });

  test('by its Goodbye is left out', async () => {
    const { pool, publish, goesOn } = await durable();
    const reason = GoodbyeReason.VERSION;
    const said = 'versions 1 and 99';
    const address = await speaker({ call: 0, goodbye: { reason, message: said } });
    await publish('worker-added', announced('newer', { address }));
    await goesOn();
    expect(warnings.join()).toContain(`it refused the link, and is left out: ${said}`);
    expect(pool.workers).toHaveLength(1);
  });
});

test.each([0, 1])(
  'a thousand announcements in a burst are passed over, with %i of its own',
  async (size) => {
    const { pool, publish } = await durable({ size });
    const before = process.memoryUsage().rss;
    const cpu = process.cpuUsage();
    const uids = Array.from({ length: 1_000 }, (_, n) => `forged-${n}`);
    for (const uid of uids) await publish('worker-added', announced(uid));
    await until(() => expect(pool.workers).toHaveLength(1_001 + size));
    // Each meets a few that are not there, and none meets them all.
    for (let calls = 0; calls < 10; calls += 1) await pid.on(pool)();
    await call(pool, 100);
    // Meeting them all takes more than twice as much.
    expect(process.cpuUsage(cpu).user).toBeLessThan(4e6);
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
    expect(warnings.length).toBeLessThanOrEqual(11);
    for (const uid of uids) await publish('worker-dropped', announced(uid));
    await until(() => expect(pool.workers).toHaveLength(1 + size));
  },
);

test('a pool goes on with the same workers when the network was away', async () => {
  const relay = await Relay.open(8);
  endings.push(() => relay.close());
  const reached = relay.reach(well.address);
  const discovery = new StaticDiscovery([well.address]);
  const found = await WorkerPool[openWith](
    { discovery, lostAfter: 1_000 },
    { reach: (address) => (address === well.address ? reached : address) },
  );
  endings.push(() => found.close({ grace: 0 }));
  const listed = (unreachable: boolean) =>
    expect(found.workers).toMatchObject([{ uid: well.uid, unreachable }]);
  // It is not connected to yet.
  await until(() => listed(false));
  await call(found);
  // Nothing comes through, and nobody is told.
  const back = relay.at(reached)?.hold('both', true);
  const lost = await rejection(pid.on(found)());
  expect(lost).toMatchObject({ code: 'WORKER_LOST', worker: well.uid });
  expect((lost as Error).message).toContain('for 1000 ms');
  listed(true);
  // A call that comes meanwhile waits.
  const waiting = call(found, 1);
  back?.();
  expect(await waiting).toEqual([well.pid]);
  await call(found);
  listed(false);
});

describe('a worker that is announced at an address for which there is no transport', () => {
  const elsewhere = announced('a', { address: 'nats://default/gpu/a' });

  test('fails calls soon, and says what to do', async () => {
    const discovery = new MemoryDiscovery();
    const pool = await open({ discovery });
    // Nobody is known: somebody may come.
    const first = rejection(call(pool, 2));
    await discovery.publisher.publish('worker-added', elsewhere);
    const begun = performance.now();
    for (const error of [await first, await rejection(call(pool, 1))]) {
      expect(error).toBeInstanceOf(NoWorkersAvailable);
      expect((error as Error).message).toMatch(
        /^no worker can be reached: .*no transport .*: give `transport: natsTransport\(\.\.\.\)`, /,
      );
    }
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(warnings).toEqual([
      expect.stringContaining("at nats://default/gpu/a: it can't be reached, and is left out: "),
    ]);
    expect(pool.workers).toEqual([]);
  });

  test('is not the only one that calls wait for', async () => {
    const discovery = new MemoryDiscovery();
    const { publish } = discovery.publisher;
    const pool = await open({ discovery });
    await publish('worker-added', elsewhere);
    const waiting = call(pool, 2);
    await until(() => expect(warnings).toHaveLength(1));
    await publish('worker-added', well);
    expect(await waiting).toEqual([well.pid, well.pid]);
    await publish('worker-dropped', elsewhere);
    await call(pool);
  });

  test('does not hurry those that wait for one that can be reached', async () => {
    const discovery = new MemoryDiscovery();
    const { publish } = discovery.publisher;
    const pool = await open({ discovery, startTimeout: 4_000 });
    await publish('worker-added', elsewhere);
    const begun = performance.now();
    const waiting = rejection(call(pool, 1));
    await until(() => expect(warnings).toHaveLength(1));
    await publish('worker-added', announced('b'));
    expect(((await waiting) as Error).message).toMatch(/^no worker was there for 4000 ms/);
    expect(performance.now() - begun).toBeGreaterThan(3_900);
  });
});

describe('the same uid announced twice', () => {
  /** As a discovery that is not careful says it. */
  async function told(events: readonly DiscoveryEvent[]) {
    async function* subscribe() {
      yield* events;
      await new Promise(() => {});
    }
    return await open({ discovery: { subscribe }, tags: ['well'] });
  }
  const tagged = () => ({ ...well, tags: ['well'] });

  test('is one worker', async () => {
    const added = { type: 'worker-added', worker: tagged() } as const;
    const pool = await told([added, added, { ...added, type: 'worker-updated' }]);
    expect(new Set(await call(pool))).toEqual(new Set([well.pid]));
    expect(pool.workers).toHaveLength(1);
    expect(warnings).toEqual([]);
  });

  test('at two places is one worker, at the last that was named', async () => {
    const wrong = { ...tagged(), address: 'tcp://127.0.0.1:1' };
    const pool = await told([
      { type: 'worker-added', worker: wrong },
      { type: 'worker-added', worker: tagged() },
    ]);
    expect(new Set(await call(pool))).toEqual(new Set([well.pid]));
    expect(pool.workers).toMatchObject([{ uid: well.uid, address: well.address }]);
  });
});
