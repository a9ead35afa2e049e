/** Workers that are busy, stopped, or cut off: who is given up, and who is not. */
import { existsSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createActor, fromCallback } from 'xstate';
import type { WorkerAddress } from '../../src/actors/peer.ts';
import { PoolProxy, type ProxyOptions } from '../../src/actors/proxy.ts';
import { roundRobin } from '../../src/balancing/policies.ts';
import { systemEnv } from '../../src/env.ts';
import { PoolClosed, type PoolOptions, type PoolWorker, WorkerLost } from '../../src/index.ts';
import { type DispatchTarget, dispatcherOf } from '../../src/routine/dispatcher.ts';
import { lookup, type RegisteredRoutine } from '../../src/routine/registry.ts';
import { beatTransport } from '../../src/transport/beat.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import { defaultLimits } from '../../src/transport/link.ts';
import { WorkerCore } from '../../src/worker/core.ts';
import {
  isAlive,
  ROOT,
  rejection,
  runScript,
  scratchFolder,
  trace,
  until,
  untilGone,
} from './helpers.ts';
import { block, blockElsewhere } from './routines/busy.ts';
import { gate, pid, slowly, untilAborted } from './routines/tasks.ts';
import { isNats, onNetwork, stopWorker, WorkerPool } from './runtime.ts';

const folder = scratchFolder();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function open(options: PoolOptions = {}): Promise<WorkerPool> {
  const pool = await WorkerPool.open({ size: 1, lostAfter: 1_000, ...options });
  cleanups.push(() => pool.close({ grace: 0 }));
  return pool;
}

const pidOf = (pool: WorkerPool) => pool.workers[0]?.pid as number;

/** Stops a process; it goes on at the end of the test at the latest. */
function freeze(pid: number): () => void {
  process.kill(pid, 'SIGSTOP');
  const thaw = () => {
    if (isAlive(pid)) process.kill(pid, 'SIGCONT');
  };
  cleanups.push(thaw);
  return thaw;
}

/** Resolves when the worker with this pid is known to be stalled, or not to be. */
async function untilStalled(pool: WorkerPool, pid: number, stalled = true): Promise<void> {
  await until(() => {
    expect(pool.workers.find((worker) => worker.pid === pid)).toMatchObject({ stalled });
  });
}

describe('a worker that is blocked for longer than lostAfter', () => {
  test('loses no call; others go to the other worker meanwhile', async () => {
    const pool = await open({ size: 2 });
    const file = trace(folder);
    const blocked = block.on(pool)(file.path, 60_000);
    await file.has('start');
    const busy = Number(file.lines[0]?.split(' ')[1]);
    const [other] = pool.workers.map((worker) => worker.pid).filter((one) => one !== busy);
    // Until it is known to be stalled some calls go there, and wait.
    const waiting = [pid.on(pool)(), pid.on(pool)()];
    await untilStalled(pool, busy);
    const begun = performance.now();
    while (performance.now() - begun < 1_800) expect(await pid.on(pool)()).toBe(other);
    file.open();
    expect(await blocked).toBe(busy);
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([busy, other]));
    await untilStalled(pool, busy, false);
    expect(new Set([await pid.on(pool)(), await pid.on(pool)()])).toContain(busy);
  });

  test('keeps the calls that only it can take', async () => {
    const pool = await open();
    const file = trace(folder);
    const blocked = block.on(pool)(file.path, 1_800);
    await untilStalled(pool, pidOf(pool));
    const queued = Promise.all([pid.on(pool)(), pid.on(pool)()]);
    const own = await blocked;
    expect(await queued).toEqual([own, own]);
  });

  test('keeps the calls of other workers’ tasks', async () => {
    const pool = await open({ size: 2 });
    const file = trace(folder);
    const { own, other } = await blockElsewhere.on(pool)(file.path, 1_800);
    expect(other).not.toBe(own);
  });

  test('is waited for by close()', async () => {
    const pool = await open();
    const file = trace(folder);
    const blocked = block.on(pool)(file.path, 1_800);
    await file.has('start');
    const own = pidOf(pool);
    await pool.close();
    expect(await blocked).toBe(own);
    await untilGone([own]);
  });

  test('is killed by close({ grace: 0 })', async () => {
    const pool = await open();
    const file = trace(folder);
    const blocked = rejection(block.on(pool)(file.path, 60_000));
    await file.has('start');
    const own = pidOf(pool);
    await pool.close({ grace: 0 });
    expect(await blocked).toBeInstanceOf(PoolClosed);
    await untilGone([own]);
  });

  test('is ended by Stop', async () => {
    const pool = await open(onNetwork);
    const file = trace(folder);
    const blocked = rejection(block.on(pool)(file.path, 60_000));
    await file.has('start');
    const own = pidOf(pool);
    const { address, beat } = pool.workers[0] as PoolWorker;
    await stopWorker(address, { beat, grace: 100 });
    expect(await blocked).toMatchObject({ code: 'WORKER_LOST', phase: 'offered' });
    await untilGone([own]);
    await until(async () => expect(await pid.on(pool)()).not.toBe(own));
  });

  test('ends when its caller is killed, and removes the sockets', async () => {
    const file = trace(folder);
    const script = runScript(join(ROOT, 'test/fixtures/blocking.ts'), [file.path]);
    await file.has('start');
    const [worker] = JSON.parse(script.stdout()) as PoolWorker[];
    const { pid, address } = worker as PoolWorker;
    process.kill(script.child.pid as number, 'SIGKILL');
    expect(await script.ended).toBe('SIGKILL');
    await untilGone([pid as number]);
    if (!isNats) expect(existsSync(dirname(address.slice('unix://'.length)))).toBe(false);
  });
});

describe('a worker that is stopped', () => {
  test('for good is given up, killed and replaced', async () => {
    const pool = await open();
    const file = trace(folder);
    const running = rejection(gate.on(pool)(file.path));
    await file.has('start');
    // The Ack is here before this answer.
    const own = await pid.on(pool)();
    freeze(own);
    const offered = rejection(pid.on(pool)());
    expect(await running).toMatchObject({ code: 'WORKER_LOST', phase: 'running' });
    expect(await running).toHaveProperty(
      'message',
      expect.stringContaining('it gave no sign of life for 1000 ms'),
    );
    expect(await offered).toMatchObject({ code: 'WORKER_LOST', phase: 'offered' });
    await untilGone([own]);
    expect(await pid.on(pool)()).not.toBe(own);
    expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, deadlines: 0 });
    expect(file.lines).toEqual(['start gate']);
  });

  test('before its first call is replaced, and the call runs elsewhere', async () => {
    const pool = await open();
    const own = pidOf(pool);
    freeze(own);
    expect(await pid.on(pool)()).not.toBe(own);
    await untilGone([own]);
  });

  test('and continued in time loses nothing', async () => {
    const pool = await open({ lostAfter: 5_000 });
    const file = trace(folder);
    const running = gate.on(pool)(file.path);
    await file.has('start');
    const own = pidOf(pool);
    const thaw = freeze(own);
    const offered = pid.on(pool)();
    await untilStalled(pool, own);
    thaw();
    file.open();
    expect(await Promise.all([running, offered])).toEqual(['gate', own]);
    await untilStalled(pool, own, false);
  });

  test('when its caller is killed ends when it is continued', async () => {
    const file = trace(folder);
    const script = runScript(join(ROOT, 'test/fixtures/caller.ts'), [file.path]);
    await file.has('start', 2);
    const workers = JSON.parse(script.stdout()) as PoolWorker[];
    const [stopped, other] = workers.map((worker) => worker.pid as number) as [number, number];
    const thaw = freeze(stopped);
    process.kill(script.child.pid as number, 'SIGKILL');
    // It has had as much time. The script's output is open as long as one of them lives.
    await untilGone([other]);
    expect(isAlive(stopped)).toBe(true);
    thaw();
    await untilGone([stopped]);
    expect(await script.ended).toBe('SIGKILL');
  });

  test('holds no close() up for ever', async () => {
    const pool = await open();
    const file = trace(folder);
    const running = rejection(gate.on(pool)(file.path));
    await file.has('start');
    freeze(pidOf(pool));
    await pool.close();
    expect(await running).toBeInstanceOf(WorkerLost);
  });
});

test('a caller whose own event loop is blocked for longer than lostAfter loses nothing', async () => {
  const pool = await open();
  const file = trace(folder);
  const running = gate.on(pool)(file.path);
  await file.has('start');
  const own = pidOf(pool);
  for (let i = 0; i < 2; i += 1) {
    const begun = performance.now();
    while (performance.now() - begun < 1_500);
    expect(await pid.on(pool)()).toBe(own);
  }
  file.open();
  expect(await running).toBe('gate');
});

/** A connection in between, which can be made to carry nothing more, and no word of that. */
class Relay {
  readonly #target: string;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((near) => {
    const far = createConnection(this.#target);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => to.destroy());
      from.pipe(to);
    }
  });

  /** @param target the path of a Unix socket */
  private constructor(target: string) {
    this.#target = target;
  }

  /** Resolves with the relay and its address. */
  static async open(address: string): Promise<{ relay: Relay; address: string }> {
    const relay = new Relay(address.slice('unix://'.length));
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => relay.close());
    const { port } = relay.#server.address() as { port: number };
    return { relay, address: `tcp://127.0.0.1:${port}` };
  }

  /** The connections that there are carry nothing more; those that come later do. */
  mute(): void {
    for (const socket of this.#sockets) socket.unpipe();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** What a worker wants to be shown that others call than its pool. */
const authkey = 'correct horse battery staple';

/** A proxy of its own, with one worker. */
function proxyTo(worker: WorkerAddress, options: Partial<ProxyOptions> = {}): DispatchTarget {
  const root = createActor(fromCallback(() => {})).start();
  const proxy = new PoolProxy(root, {
    env: systemEnv,
    limits: defaultLimits,
    transports: [grpcTransport({ authkey }), beatTransport()],
    policy: roundRobin(),
    maxQueue: Number.POSITIVE_INFINITY,
    lostAfterMs: 1_000,
    ...options,
  });
  proxy.send({ type: 'added', worker });
  cleanups.push(() => proxy.send({ type: 'abort', error: new Error('the test is over') }));
  return { [dispatcherOf]: proxy };
}

test.skipIf(isNats)(
  'a worker that is stopped before it greets is found out before the time for its Hello',
  async () => {
    const pool = await open({ authkey });
    const { uid, address, beat } = pool.workers[0] as PoolWorker;
    freeze(pidOf(pool));
    const lost: string[] = [];
    const target = proxyTo(
      { uid, address, beat, tags: [] },
      {
        limits: { ...defaultLimits, helloTimeoutMs: 500 },
        lost: (uid, why) => lost.push(uid, why),
      },
    );
    const controller = new AbortController();
    const call = rejection(pid.with({ signal: controller.signal, pool: target })());
    await until(() => expect(lost).toEqual([uid, 'it gave no sign of life for 1000 ms']));
    controller.abort();
    await call;
  },
);

// Between the two is a relay of TCP.
describe.skipIf(isNats)('a connection that carries nothing any more', () => {
  test('is given up, though the worker is well, and made anew', async () => {
    const pool = await open({ authkey });
    const { uid, address, beat } = pool.workers[0] as PoolWorker;
    const { relay, address: relayed } = await Relay.open(address);
    const target = proxyTo({ uid, address: relayed, beat, tags: [] });
    const file = trace(folder);
    const running = rejection(gate.on(target)(file.path));
    await file.has('start');
    // The Ack is here before this answer.
    await pid.on(target)();
    relay.mute();
    expect(await running).toMatchObject({
      phase: 'running',
      message: expect.stringContaining('though its process runs: the connection is dead'),
    });
    expect(await pid.on(target)()).toBe(pidOf(pool));
  });

  test('ends the tasks of a caller that the worker hears nothing of', async () => {
    const worker = new WorkerCore({
      env: systemEnv,
      limits: defaultLimits,
      transports: [grpcTransport({ authkey })],
      address: `unix://${join(folder, 'caller-lost.sock')}`,
      callerLostAfterMs: 1_000,
      resolve: (module, name) => lookup(module, name) as RegisteredRoutine,
    });
    const { relay, address } = await Relay.open(await worker.start());
    cleanups.push(() => worker.stop(0));
    const target = proxyTo({ uid: worker.uid, address, tags: [] });
    const file = trace(folder);
    const running = rejection(untilAborted.on(target)(file.path));
    await file.has('start');
    // A caller that says nothing but that it lives is kept.
    await slowly.on(target)(1_800);
    relay.mute();
    await file.has(
      'aborted the task was aborted: the connection to its caller ended (it gave no sign',
    );
    expect(await running).toBeInstanceOf(WorkerLost);
  });
});
