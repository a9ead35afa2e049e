/** A worker as a part of a program of one's own, and what others see of it. */
import { existsSync, mkdtempSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { PbfWriter } from 'pbf';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  type AnnouncedWorker,
  AuthenticationError,
  type DiscoveryEventType,
  type DiscoveryLike,
  ListenError,
  LocalDiscovery,
  type Logger,
  type OfferedTask,
  StaticDiscovery,
  TaskAborted,
  type WorkerOptions,
  WorkerStartError,
  WorkerUnreachable,
} from '../../src/index.ts';
import { MemoryDiscovery } from '../../src/testing/memory-discovery.ts';
import { VERSION } from '../../src/transport/version.ts';
import { ROOT, rejection, runScript, scratchFolder, thrown, trace, until } from './helpers.ts';
import { byTag } from './routines/backpressure.ts';
import { family, gate, gateThenPid, seen, untilAborted } from './routines/tasks.ts';
import { isNats, stopWorker, Worker, WorkerPool, workerStatus } from './runtime.ts';

const folder = scratchFolder();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function make(options?: WorkerOptions): Worker {
  const worker = new Worker(options);
  cleanups.push(() => worker.stop(0));
  return worker;
}

async function start(options?: WorkerOptions): Promise<{ worker: Worker; address: string }> {
  const worker = make(options);
  return { worker, address: await worker.start() };
}

async function poolOf(discovery: DiscoveryLike): Promise<WorkerPool> {
  const pool = await WorkerPool.open({ discovery });
  cleanups.push(() => pool.close({ grace: 0 }));
  return pool;
}

test('a worker is announced when it listens, and runs what it is called for', async () => {
  const discovery = new LocalDiscovery('worker-test', { folder });
  cleanups.push(() => discovery[Symbol.asyncDispose]());
  const pool = await poolOf(discovery);
  const call = seen.on(pool)();
  const { worker, address } = await start({ discovery, tags: ['gpu'], extra: { zone: 'a' } });
  expect(await call).toMatchObject({ worker: worker.uid, pid: process.pid, isWorker: false });
  expect(worker.metadata).toMatchObject({
    uid: worker.uid,
    address,
    pid: process.pid,
    version: VERSION,
    tags: ['gpu'],
    extra: { zone: 'a' },
  });
  expect(pool.workers).toMatchObject([{ uid: worker.uid, address, tags: ['gpu'] }]);
  const { uptime, idleTime, ...rest } = worker.status;
  expect(await workerStatus(address)).toMatchObject(rest);
  expect(uptime).toBeGreaterThanOrEqual(idleTime);
});

test('the calls of its tasks run on itself when it has no discovery, and take no place', async () => {
  const { worker, address } = await start({ concurrency: 1 });
  const pool = await poolOf(new StaticDiscovery([address]));
  const { id, children } = await family.on(pool)(5);
  expect(children.map((child) => child.worker)).toEqual(Array(5).fill(worker.uid));
  expect(children.map((child) => child.caller)).toEqual(Array(5).fill(id));
});

test('the first calls of its tasks go to the workers of its discovery, too', async () => {
  const discovery = new LocalDiscovery('nested', { folder });
  cleanups.push(() => discovery[Symbol.asyncDispose]());
  const [one, other] = [await start({ discovery }), await start({ discovery })];
  const pool = await poolOf(new StaticDiscovery([one.address]));
  const { children } = await family.on(pool)(6);
  const places = new Set(children.map((child) => child.worker));
  expect(places).toEqual(new Set([one.worker.uid, other.worker.uid]));
});

test('it leaves the program around it alone', async () => {
  const signals = ['SIGINT', 'SIGTERM', 'disconnect', 'unhandledRejection', 'uncaughtException'];
  const counts = () => signals.map((signal) => process.listenerCount(signal));
  const before = counts();
  const { worker } = await start();
  expect(counts()).toEqual(before);
  expect(await rejection(seen())).toHaveProperty('code', 'NO_POOL');
  await worker.stop();
  expect(counts()).toEqual(before);
});

describe.skipIf(isNats)('where it listens', () => {
  test('may be a Unix socket', async () => {
    const path = join(folder, 'own.sock');
    const { worker, address } = await start({ address: `unix://${path}` });
    expect(address).toBe(`unix://${path}`);
    expect(await workerStatus(address)).toMatchObject({ beat: `beat+unix://${path}.beat` });
    await worker.stop();
    expect([existsSync(path), existsSync(`${path}.beat`)]).toEqual([false, false]);
  });

  test('is a socket of its user alone where its discovery is for one machine, until it stops', async () => {
    const discovery = new LocalDiscovery('socket', { folder });
    const { worker, address } = await start({ discovery });
    const own = dirname(address.slice('unix://'.length));
    expect(statSync(own)).toMatchObject({ uid: process.getuid?.(), mode: 0o40700 });
    expect(readdirSync(own).sort()).toEqual(['worker.sock', 'worker.sock.beat']);
    await worker.stop();
    expect(existsSync(own)).toBe(false);
  });

  test.each<WorkerOptions>([{ host: '127.0.0.1' }, { port: 0 }, { beatPort: 0 }])(
    'is a port there, too, where it is given %o',
    async (place) => {
      const discovery = new LocalDiscovery('ports', { folder });
      expect((await start({ discovery, ...place })).address).toMatch(/^tcp:\/\/127\.0\.0\.1:/);
    },
  );

  test('is left by no process that exits, and tidied up after one that was killed', async () => {
    const temporary = mkdtempSync(join(folder, 'tmp-'));
    const left = () => readdirSync(temporary).filter((name) => name.startsWith('skein-worker-'));
    const run = (how: string) => {
      const env = { ...process.env, TMPDIR: temporary };
      return runScript(join(ROOT, 'test/fixtures/embedded-local.ts'), [folder, how], { env });
    };
    // The one that goes on comes first: when it starts it tidies up, too.
    const living = run('live');
    onTestFinished(() => void living.child.kill('SIGKILL'));
    await until(() => expect(living.stdout()).toContain('unix:'));
    expect(await run('be killed').ended).toBe('SIGKILL');
    expect(left()).toHaveLength(2);
    const exits = run('exit');
    expect(await exits.ended).toBe(0);
    expect(left().map((name) => join(temporary, name))).toEqual([
      dirname(living.stdout().trim().slice('unix://'.length)),
    ]);
  });

  test('may be all hosts of the machine: others are told one of them', async () => {
    const { address } = await start({ host: '0.0.0.0' });
    expect(address).not.toContain('0.0.0.0');
    expect(await workerStatus(address)).toMatchObject({
      beat: expect.not.stringContaining('0.0.0.0'),
    });
  });

  test('is where the discovery wants it, which is told the host that it wanted', async () => {
    const { discovery, told } = recorder({ bindHost: '0.0.0.0' });
    const { address } = await start({ discovery });
    const { port } = new URL(address.replace('tcp:', 'http:'));
    expect(told).toMatchObject([['worker-added', `tcp://0.0.0.0:${port}`]]);
    expect(address).not.toContain('0.0.0.0');
  });

  test('is free again when it has stopped', async () => {
    const { worker, address } = await start();
    const port = Number(address.split(':').at(-1));
    const taken = await rejection(make({ port }).start());
    expect(taken).toBeInstanceOf(ListenError);
    expect(taken).toHaveProperty('message', expect.stringContaining('the port is taken'));
    await worker.stop();
    expect((await start({ port })).address).toBe(address);
  });
});

interface Recorded {
  readonly discovery: DiscoveryLike & AsyncDisposable;
  readonly told: [type: DiscoveryEventType, address: string][];
  readonly disposed: () => number;
}

/** A discovery that notes what it is told. */
function recorder(
  options: { bindHost?: string; fails?: DiscoveryEventType; on?: () => unknown } = {},
): Recorded {
  const memory = new MemoryDiscovery();
  const told: Recorded['told'] = [];
  let disposed = 0;
  const discovery = {
    publisher: {
      ...(options.bindHost && { bindHost: options.bindHost }),
      publish: async (type: DiscoveryEventType, worker: AnnouncedWorker) => {
        if (type === options.fails) throw new Error('no ink');
        await options.on?.();
        told.push([type, worker.address]);
        await memory.publisher.publish(type, worker);
      },
    },
    subscribe: () => memory.subscribe(),
    [Symbol.asyncDispose]: async () => {
      disposed += 1;
    },
  };
  return { discovery, told, disposed: () => disposed };
}

function recordingLogger(): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const quiet = () => {};
  const warn = (_fields: object, message: string) => lines.push(message);
  return { logger: { debug: quiet, info: quiet, warn, error: quiet }, lines };
}

describe('the end of a worker', () => {
  test('is told first; then it takes no more tasks, and waits for those that it has', async () => {
    const health: string[] = [];
    const file = trace(folder);
    const { discovery, told, disposed } = recorder({ on: async () => health.push(await check()) });
    const worker = make({ discovery: () => discovery, port: 0 });
    const check = () => healthOf(worker.address);
    await worker.start();
    const pool = await poolOf(new StaticDiscovery([worker.address as string]));
    const call = gate.on(pool)(file.path);
    await file.has('start');
    const stopped = worker.stop();
    await until(async () => expect(await check()).toBe('NOT_SERVING'));
    expect(told.map(([type]) => type)).toEqual(['worker-added', 'worker-dropped']);
    expect(health).toEqual(['SERVING', 'SERVING']);
    expect(worker.status).toMatchObject({ draining: true, inFlight: 1, idleTime: 0 });
    expect(disposed()).toBe(0);
    file.open();
    await expect(call).resolves.toBe('gate');
    await stopped;
    expect(await healthOf(worker.address)).toBe('UNAVAILABLE');
    expect(disposed()).toBe(1);
    await worker.stop();
    expect([told.length, disposed()]).toEqual([2, 1]);
  });

  test.each([
    ['a number', (worker: Worker) => worker.stop(0)],
    ['an option', (worker: Worker) => worker.stop({ grace: 0 })],
    ['a second word', (worker: Worker) => Promise.all([worker.stop(), worker.stop({ grace: 0 })])],
    ['stopWorker', ({ address }: Worker) => stopWorker(address as string, { grace: 0 })],
  ])('aborts tasks after the grace time, given as %s', async (_how, stop) => {
    const { worker, address } = await start();
    const pool = await poolOf(new StaticDiscovery([address]));
    const file = trace(folder);
    const call = rejection(untilAborted.on(pool)(file.path));
    await file.has('start');
    await Promise.all([stop(worker), worker.stopped]);
    expect(await call).toBeInstanceOf(TaskAborted);
    expect(worker.status).toMatchObject({ draining: true, inFlight: 0 });
  });

  test('does not wait for tasks that do not heed their signal', async () => {
    const { logger, lines } = recordingLogger();
    const { worker, address } = await start({ logger });
    const pool = await poolOf(new StaticDiscovery([address]));
    const files = [trace(folder), trace(folder)] as const;
    const calls = files.map((file) => rejection(gateThenPid.on(pool)(file.path)));
    for (const file of files) await file.has('start');
    const began = performance.now();
    await worker.stop({ grace: 100 });
    expect(performance.now() - began).toBeLessThan(5_000);
    for (const call of calls) expect(await call).toBeInstanceOf(TaskAborted);
    expect(lines).toEqual([
      `worker ${worker.uid.slice(0, 8)} stops, and leaves 2 tasks running that did not heed the signal`,
    ]);
    expect(await rejection(workerStatus(address))).toBeInstanceOf(WorkerUnreachable);
    // The program goes on, and they with it: they end, and nobody is the worse for it.
    for (const file of files) file.open();
    for (const file of files) await file.has('end');
    await until(() => expect(worker.status.inFlight).toBe(0));
  });

  test('comes though its discovery fails, with a warning', async () => {
    const { worker } = await start({ discovery: recorder({ fails: 'worker-dropped' }).discovery });
    const warning = new Promise<Error>((resolve) => process.once('warning', resolve));
    await worker.stop();
    expect((await warning).message).toMatch(/can't be taken back: no ink/);
  });

  test('does not wait for a discovery that does not answer', async () => {
    const never = () => new Promise<void>(() => {});
    const told: string[] = [];
    const discovery: DiscoveryLike = {
      publisher: {
        publish: (type) => {
          told.push(type);
          return never();
        },
      },
      subscribe: () => new MemoryDiscovery().subscribe(),
    };
    const worker = make({ discovery: () => ({ ...discovery, [Symbol.asyncDispose]: never }) });
    const started = rejection(worker.start());
    await until(() => expect(told).toEqual(['worker-added']));
    await worker.stop();
    expect(await started).toBeInstanceOf(WorkerStartError);
    expect(told).toEqual(['worker-added', 'worker-dropped']);
  });

  test('comes also while it starts', async () => {
    const worker = make();
    const started = rejection(worker.start());
    await worker.stop();
    expect(await started).toBeInstanceOf(WorkerStartError);
    expect(worker.address).toBe(undefined);
  });

  test('comes also while it is announced, which is taken back', async () => {
    const told: string[] = [];
    const publisher = {
      publish: async (type: DiscoveryEventType) => {
        told.push(type);
        if (type === 'worker-added') void worker.stop(0);
      },
    };
    const subscribe = async function* () {};
    const worker: Worker = make({ discovery: { publisher, subscribe } });
    expect(await rejection(worker.start())).toBeInstanceOf(WorkerStartError);
    await worker.stop(0);
    expect(told).toEqual(['worker-added', 'worker-dropped']);
  });

  test('leaves the program alive, also when a task blocks it beyond the grace time', async () => {
    const script = runScript(join(ROOT, 'test/fixtures/embedded.ts'));
    expect(await script.ended).toBe(0);
    expect(script.stdout()).toBe('stopped\n');
    expect(script.stderr()).toBe('');
  }, 20_000);
});

describe('a worker that does not start', () => {
  test.skipIf(isNats)('says why, and gives back what it has taken', async () => {
    const { worker: other, address } = await start();
    const { discovery, told, disposed } = recorder();
    const port = Number(address.split(':').at(-1));
    const worker = make({ port, discovery: () => discovery });
    expect(await rejection(worker.start())).toBeInstanceOf(ListenError);
    await worker.stopped;
    expect([told, disposed()]).toEqual([[], 1]);
    expect(worker.address).toBe(undefined);
    await other.stop();
  });

  test.skipIf(isNats)('since it can not be announced, frees the address', async () => {
    const { discovery } = recorder({ fails: 'worker-added' });
    const address = `unix://${join(folder, 'unannounced.sock')}`;
    await expect(make({ discovery, address }).start()).rejects.toThrow('no ink');
    await start({ address });
  });

  test('was stopped before', async () => {
    const worker = make();
    await worker.stop();
    expect(await rejection(worker.start())).toBeInstanceOf(WorkerStartError);
  });

  test.each<[unknown, RegExp]>([
    [{ prot: 1 }, /has no option 'prot'; it may have host, port/],
    [{ port: 70_000 }, /port must be a whole number from 0 to 65535, not 70000/],
    [{ port: '80' }, /port must be a whole number/],
    [{ host: '' }, /host must be/],
    [{ host: 'a b' }, /host must be/],
    [{ address: 'http://a' }, /is not an address/],
    [{ address: 'unix:///a.sock', port: 1 }, /address takes the place of host and port/],
    [{ address: `unix:///${'x'.repeat(104)}` }, /choose a shorter directory/],
    [{ tags: 'gpu' }, /tags must be an array of strings/],
    [{ tags: ['a\u0007'] }, /each of tags must have no control characters/],
    [{ extra: { a: 1 } }, /each of extra must be a text/],
    [{ concurrency: 0 }, /concurrency must be a whole number, 1 or more/],
    [{ exposeStacks: 1 }, /exposeStacks must be true or false/],
    [{ modules: 'a.ts' }, /modules must be an array of strings/],
    [{ root: 1 }, /root must be the path of a folder$/],
    [{ root: '/not/there' }, /root must be the path of a folder, and \/not\/there is none/],
    [
      { root: join(ROOT, 'package.json') },
      /root must be the path of a folder, and .*package\.json is none/,
    ],
    [{ callerLostAfter: 10 }, /callerLostAfter must be a number of milliseconds, 1000 or more/],
    [{ backpressure: 1 }, /backpressure must be a function/],
    [{ inspect: 1 }, /inspect must be a function/],
    [{ authkey: '' }, /authkey is empty/],
  ])('has a wrong option: %j', (options, message) => {
    expect(thrown(() => new Worker(options as WorkerOptions))).toHaveProperty(
      'message',
      expect.stringMatching(message),
    );
  });

  test('has a wrong discovery', async () => {
    const discovery = LocalDiscovery as never;
    await expect(make({ discovery }).start()).rejects.toThrow('discovery is a class');
  });
});

describe.skipIf(isNats)('the health check', () => {
  test('answers for the server and for the service, as any client asks', async () => {
    const { address } = await start();
    expect(await healthOf(address)).toBe('SERVING');
    expect(await healthOf(address, 'skein.v1.Worker')).toBe('SERVING');
    expect(await healthOf(address, 'other')).toBe('NOT_FOUND');
  });
});

test('a hook for backpressure is asked, and not called as a routine', async () => {
  const asked: number[] = [];
  const backpressure = ({ inFlight }: OfferedTask) => asked.push(inFlight) === 1;
  const { address } = await start({ backpressure });
  const pool = await poolOf(new StaticDiscovery([address]));
  await seen.on(pool)();
  expect(asked).toEqual([0, 0]);
  const { address: other } = await start({ backpressure: byTag });
  const second = await poolOf(new StaticDiscovery([other]));
  await expect(seen.with({ pool: second, tag: 'any' })()).resolves.toMatchObject({ tag: 'any' });
  await expect(seen.with({ pool: second, timeout: 300, tag: 'only:nobody' })()).rejects.toThrow(
    'backpressure',
  );
});

test('with an authkey it answers nobody without it, but for the health check', async () => {
  const authkey = 'correct horse battery staple';
  const { worker, address } = await start({ authkey });
  expect(await rejection(workerStatus(address))).toBeInstanceOf(AuthenticationError);
  expect(await rejection(stopWorker(address))).toBeInstanceOf(AuthenticationError);
  expect(await workerStatus(address, { authkey })).toMatchObject({ uid: worker.uid });
  if (!isNats) expect(await healthOf(address)).toBe('SERVING');
  await stopWorker(address, { authkey });
  await worker.stopped;
});

const SERVING = ['unknown', 'SERVING', 'NOT_SERVING'];

/** What a health check says, or the status that it fails with. */
async function healthOf(address: string | undefined, service = ''): Promise<string> {
  if (address === undefined) return 'unknown';
  const client = new grpc.Client(address.slice('tcp://'.length), grpc.credentials.createInsecure());
  const writer = new PbfWriter();
  writer.writeStringField(1, service);
  const same = (bytes: Buffer) => bytes;
  const path = '/grpc.health.v1.Health/Check';
  try {
    return await new Promise((resolve) => {
      client.makeUnaryRequest(path, same, same, Buffer.from(writer.finish()), (error, reply) =>
        resolve(error ? (grpc.status[error.code] as string) : (SERVING[reply?.[1] ?? 0] as string)),
      );
    });
  } finally {
    client.close();
  }
}
