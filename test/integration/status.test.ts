/** What a worker tells an operator, or a health check, by the calls of gRPC. */
import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { AuthenticationError, type ListenerService, WorkerUnreachable } from '../../src/index.ts';
import { VERSION } from '../../src/transport/version.ts';
import { ownTransport } from '../fixtures/own-transport.ts';
import { rejection, scratchFolder, trace, until } from './helpers.ts';
import { gate } from './routines/tasks.ts';
import { isNats, stopWorker, transports, WorkerPool, workerStatus } from './runtime.ts';

const folder = scratchFolder();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Answer = (call: unknown, reply: grpc.sendUnaryData<Buffer>) => void;

/** A gRPC server that is no worker, and answers a call of Status like this. */
async function stranger(answer?: Answer): Promise<string> {
  const server = new grpc.Server();
  const same = (bytes: Buffer) => bytes;
  if (answer) server.register('/skein.v1.Worker/Status', answer, same, same, 'unary');
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  cleanups.push(() => server.forceShutdown());
  return `tcp://127.0.0.1:${port}`;
}

describe.each(transports)('the status of a worker over %s', (_name, transport) => {
  test('says what it does and who it is', async () => {
    const pool = await WorkerPool.open({ size: 1, ...transport, tags: ['gpu'], concurrency: 3 });
    cleanups.push(() => pool.close({ grace: 0 }));
    const [worker] = pool.workers;
    if (worker === undefined) throw new Error('no worker');
    const { uid, address, beat, pid } = worker;
    const idle = await workerStatus(address);
    expect(idle).toMatchObject({ uid, pid, beat, version: VERSION, tags: ['gpu'], concurrency: 3 });
    expect(idle).toMatchObject({ inFlight: 0, draining: false, extra: {} });
    expect(idle.host).not.toBe('');
    expect(idle.idleTime).toBeGreaterThan(0);
    expect(idle.uptime).toBeGreaterThanOrEqual(idle.idleTime);

    const file = trace(folder);
    const call = gate.on(pool)(file.path);
    await file.has('start');
    expect(await workerStatus(address)).toMatchObject({ inFlight: 1, idleTime: 0 });
    const stopped = stopWorker(address, { grace: Number.POSITIVE_INFINITY });
    await until(async () => expect((await workerStatus(address)).draining).toBe(true));
    file.open();
    await expect(call).resolves.toBe('gate');
    await stopped;
  });
});

describe('the status of what is no worker', () => {
  test.each([
    [
      'nobody',
      async () => 'tcp://127.0.0.1:1',
      /^No worker answers at tcp.*: connect ECONNREFUSED/,
    ],
    ['nobody at a socket', async () => 'unix:///nowhere.sock', /No worker answers at unix.*ENOENT/],
    ['another server', () => stranger(), /is not a Skein worker\.$/],
    [
      'a server that answers with garbage',
      () => stranger((_call, reply) => reply(null, Buffer.alloc(9, 255))),
      /is no worker/,
    ],
  ])('is an error that says so: %s', async (_what, place, message) => {
    const address = await place();
    const error = (await rejection(workerStatus(address))) as WorkerUnreachable;
    expect(error).toBeInstanceOf(WorkerUnreachable);
    expect(error).toMatchObject({ address, message: expect.stringMatching(message) });
  });

  test('is waited for as long as was asked for', async () => {
    const asked = workerStatus(await stranger(() => {}), { timeout: 200 });
    expect(await rejection(asked)).toHaveProperty(
      'message',
      expect.stringContaining('it gave no answer within 200 ms'),
    );
  });

  test.each(['127.0.0.1:4000', 'http://a', 'tcp://a:70000'])('%s is no address', async (text) => {
    expect(await rejection(workerStatus(text))).toBeInstanceOf(TypeError);
    expect(await rejection(stopWorker(text))).toBeInstanceOf(TypeError);
  });

  test.skipIf(isNats)('can not be told without a transport for its address', async () => {
    for (const asked of [workerStatus('nats://a/b/c'), stopWorker('nats://a/b/c')]) {
      const error = await rejection(asked);
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toHaveProperty('message', expect.stringContaining('natsTransport('));
    }
    const asked = workerStatus('else://a', { transport: ownTransport() });
    expect(await rejection(asked)).toBeInstanceOf(TypeError);
  });

  test.each([0, -1, Number.NaN, '5' as never])('%s is no time', async (timeout) => {
    expect(await rejection(workerStatus('tcp://a:1', { timeout }))).toBeInstanceOf(RangeError);
    const grace = timeout === 0 ? -0.5 : timeout;
    expect(await rejection(stopWorker('tcp://a:1', { grace }))).toBeInstanceOf(RangeError);
  });
});

test('a worker is asked, and stopped, over a transport of its own', async () => {
  const transport = ownTransport();
  const authkey = 'a secret of some length';
  const told: unknown[] = [];
  const service: ListenerService = {
    link: () => {},
    stop: async (grace) => void told.push(grace),
    status: () => ({ uid: 'me', inFlight: 2, idleMs: 0, draining: true, uptimeMs: 7 }),
  };
  const { address, close } = await transport.guarded(authkey).listen('own://127.0.0.1:0', service);
  cleanups.push(close);
  expect(await workerStatus(address, { transport, authkey })).toMatchObject({
    uid: 'me',
    inFlight: 2,
  });
  await stopWorker(address, { transport, authkey, grace: 30 });
  expect(told).toEqual([30]);
  expect(await rejection(workerStatus(address, { transport }))).toBeInstanceOf(AuthenticationError);
});
