/** The Stop call, to the address of a worker that has its links: here by who has opened its pool. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type PoolOptions,
  type PoolWorker,
  TaskAborted,
  WorkerUnreachable,
} from '../../src/index.ts';
import { rejection, scratchFolder, trace, until } from './helpers.ts';
import { gate, gateThenBytes, untilAborted } from './routines/tasks.ts';
import { stopWorker, transports, WorkerPool } from './runtime.ts';

const folder = scratchFolder();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function open(transport: Pick<PoolOptions, 'transport'>): Promise<WorkerPool> {
  const pool = await WorkerPool.open({ size: 1, ...transport });
  cleanups.push(() => pool.close({ grace: 0 }));
  return pool;
}

/** Calls Stop on the pool's worker. */
async function stop(pool: WorkerPool, grace?: number): Promise<void> {
  const address = pool.workers[0]?.address as string;
  await stopWorker(address, grace === undefined ? {} : { grace });
}

describe.each(transports)('Stop over %s', (_name, transport) => {
  test('of a worker without tasks is answered', async () => {
    const pool = await open(transport);
    await stop(pool);
  });

  test.each([undefined, 10_000])(
    'with a grace of %s ms is answered after the tasks',
    async (ms) => {
      const pool = await open(transport);
      const file = trace(folder);
      const call = gate.on(pool)(file.path);
      await file.has('start');
      const happened: string[] = [];
      const { uid } = pool.workers[0] as PoolWorker;
      const stopped = stop(pool, ms).then(() => happened.push('stopped'));
      // By then its place is taken, and an answer that came too early would be here.
      await until(() => {
        const uids = pool.workers.map((worker) => worker.uid);
        expect(uids.filter((other) => other !== uid)).toHaveLength(1);
      });
      expect(happened).toEqual([]);
      file.open();
      await expect(call).resolves.toBe('gate');
      await stopped;
      expect(happened).toEqual(['stopped']);
    },
  );

  test('lets a large result of the last task out', async () => {
    const pool = await open(transport);
    const file = trace(folder);
    const size = 24 * 1024 * 1024;
    const call = gateThenBytes.on(pool)(file.path, size);
    await file.has('start');
    const stopped = stop(pool);
    file.open();
    expect((await call).length).toBe(size);
    await stopped;
  });

  test('with grace 0 is answered when the tasks were aborted', async () => {
    const pool = await open(transport);
    const file = trace(folder);
    const call = rejection(untilAborted.on(pool)(file.path));
    await file.has('start');
    await stop(pool, 0);
    expect(file.lines.at(-1)).toMatch(/^aborted /);
    expect(await call).toBeInstanceOf(TaskAborted);
  });
});

test('Stop of something that takes connections and says nothing ends 5 s after the grace time', async () => {
  const sockets = new Set<Socket>();
  const mute = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1');
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    mute.close();
  });
  await once(mute, 'listening');
  const { port } = mute.address() as AddressInfo;
  const failure = await rejection(stopWorker(`tcp://127.0.0.1:${port}`, { grace: 100 }));
  expect(failure).toBeInstanceOf(WorkerUnreachable);
  expect(String(failure)).toContain('no answer within 5100 ms');
});
