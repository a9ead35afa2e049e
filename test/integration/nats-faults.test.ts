/** Pools whose workers are reached over NATS, while servers die, stop, or take little. */
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PoolWorker, WorkerLost, WorkerPool } from '../../src/index.ts';
import { natsTransport } from '../../src/nats/transport.ts';
import type { ListenerService } from '../../src/transport/transport.ts';
import { rejection, scratchFolder, trace, until } from './helpers.ts';
import { Authority, noCertificates } from './nats-credentials.ts';
import { type NatsServer, noNats, startNats, startNatsCluster } from './nats-server.ts';
import { block } from './routines/busy.ts';
import { echo, next } from './routines/flow.ts';
import { counter } from './routines/generators.ts';
import { gate, once, pid } from './routines/tasks.ts';

const MIB = 1024 * 1024;
const folder = scratchFolder();

/** Keeps `width` calls of `once` in flight until `enough`, and looks at what they have left. */
async function callAllThe(time: () => boolean, width = 64) {
  const file = trace(folder);
  let begun = 0;
  const caller = async () => {
    while (time()) {
      const name = `call ${begun}`;
      begun += 1;
      expect(await once(file.path, name)).toBe(name);
    }
  };
  await Promise.all(Array.from({ length: width }, caller));
  return { begun, ran: file.lines };
}

/** Steps of a generator, one after the other, as long as it is the time. */
async function stepAllThe(time: () => boolean): Promise<number> {
  const file = trace(folder);
  let expected = 0;
  for await (const step of counter(file.path, 1_000_000)) {
    expect(step).toBe(expected);
    expected += 1;
    if (!time()) break;
  }
  await file.has('finally');
  expect(new Set(file.lines).size).toBe(file.lines.length);
  return expected;
}

/** Calls and steps that go on while `disturb` does its work; none may fail, and none may run twice. */
async function undisturbed(pool: WorkerPool, disturb: (progress: () => Promise<void>) => unknown) {
  let going = true;
  let begun = 0;
  const time = () => {
    begun += 1;
    return going;
  };
  /** So many calls have begun since that some went the whole way. */
  const progress = async () => {
    const least = begun + 500;
    await until(() => expect(begun).toBeGreaterThan(least));
  };
  await pool.run(async () => {
    const work = Promise.all([callAllThe(time), stepAllThe(time), stepAllThe(time)]);
    const disturbance = (async () => {
      await progress();
      await disturb(progress);
      await progress();
      going = false;
    })();
    await Promise.all([
      work,
      disturbance.catch(() => {
        going = false;
      }),
    ]);
    await disturbance;
    const [{ begun, ran }] = await work;
    expect(ran).toHaveLength(begun);
    expect(new Set(ran).size).toBe(begun);
  });
  expect(pool.stats).toMatchObject({ calls: 0, waiting: 0 });
}

describe.skipIf(noNats)('one server', () => {
  let server: NatsServer;
  let pool: WorkerPool;
  beforeAll(async () => {
    server = await startNats();
    const transport = natsTransport({ servers: server.url, goneAfter: 4_000 });
    pool = await WorkerPool.open({ size: 2, transport });
  });
  afterAll(async () => {
    await pool?.close({ grace: 0 });
    await server?.[Symbol.asyncDispose]();
  });

  test('killed and started again in the midst of calls and generators: none fails, none runs twice', async () => {
    const pids = pool.workers.map((worker) => worker.pid);
    await undisturbed(pool, async (progress) => {
      await server.restart();
      await progress();
      await server.restart();
    });
    expect(pool.workers.map((worker) => worker.pid)).toEqual(pids);
  });

  test('stopped for a while, and going on: the same', async () => {
    await undisturbed(pool, async () => {
      server.pause();
      const paused = performance.now();
      await until(() => expect(performance.now() - paused).toBeGreaterThan(500));
      server.resume();
    });
  });

  test('gone for too long: what was with the workers is lost, and later calls are not', async () => {
    const transport = natsTransport({ servers: server.url, goneAfter: 500 });
    await using pool = await WorkerPool.open({ size: 1, transport });
    const file = trace(folder);
    const running = rejection(gate.on(pool)(file.path));
    await file.has('start');
    // It is known to run: its acknowledgement came before this answer.
    await pid.on(pool)();
    await server.kill();
    const error = await running;
    expect(error).toBeInstanceOf(WorkerLost);
    expect(error).toMatchObject({ phase: 'running' });
    const waiting = pid.on(pool)();
    await server.restart();
    expect(await waiting).toBe(pool.workers[0]?.pid);
    file.open();
  });

  test('gone for longer than a worker may be silent: no process is taken for dead that answers its pool', async () => {
    const transport = natsTransport({ servers: server.url, goneAfter: 10_000 });
    await using pool = await WorkerPool.open({ size: 2, transport, lostAfter: 1_000 });
    const pids = pool.workers.map((worker) => worker.pid).sort();
    const seen = () => pool.run(async () => [...new Set([await pid(), await pid()])].sort());
    expect(await seen()).toEqual(pids);
    const [stopped] = pids;
    process.kill(stopped as number, 'SIGSTOP');
    await server.kill();
    // One that does not answer its pool is replaced, and comes up when the server is there.
    await until(() => expect(pool.workers.map((worker) => worker.pid)).toEqual([pids[1]]));
    await server.restart();
    await until(async () => expect(await seen()).toHaveLength(2));
    expect(await seen()).toContain(pids[1]);
  });
});

describe.skipIf(noNats)('a cluster', () => {
  test('of three, one of which is killed at a time: none fails, none runs twice', async () => {
    const servers = await startNatsCluster(3);
    const [first, second] = servers as [NatsServer, NatsServer, NatsServer];
    // The others are learnt from the one.
    const transport = natsTransport({ servers: first.url });
    await using pool = await WorkerPool.open({ size: 2, transport });
    await undisturbed(pool, async (progress) => {
      await first.kill();
      await progress();
      await first.restart();
      await progress();
      await second.kill();
    });
    await pool.close();
    for (const server of servers) await server[Symbol.asyncDispose]();
  });
});

describe.skipIf(noNats ?? noCertificates)('a server with TLS', () => {
  test('and passwords: workers have what they need, and so has the beat of one that is blocked', async () => {
    const authority = new Authority(folder, 'ca');
    const { certFile, keyFile } = authority.certify('server', 'IP:127.0.0.1');
    const { caFile } = authority;
    const client = authority.certify('client');
    await using server = await startNats({
      config: `tls { cert_file: "${certFile}", key_file: "${keyFile}", ca_file: "${caFile}", verify: true }
        authorization { users: [{ user: u, password: p }] }`,
    });
    const transport = natsTransport({
      servers: server.url.replace('nats://', 'tls://u:p@'),
      tls: { caFile, cert: client.cert, key: client.key },
    });
    await using pool = await WorkerPool.open({ size: 1, transport, lostAfter: 1_000 });
    expect(pool.workers).toMatchObject([{ beat: expect.stringMatching(/^beat\+nats:/) }]);
    const file = trace(folder);
    const blocked = block.on(pool)(file.path, 20_000);
    await until(() => expect(pool.workers[0]?.stalled).toBe(true));
    const since = performance.now();
    await until(() => expect(performance.now() - since).toBeGreaterThan(1_200));
    file.open();
    expect(await blocked).toBe(pool.workers[0]?.pid);
  });
});

describe.skipIf(noNats)('what a server takes', () => {
  test('messages of 64 KiB at most: values of 10 MiB arrive, both ways at once', async () => {
    await using server = await startNats({ maxPayload: 64 * 1024 });
    const transport = natsTransport({ servers: server.url });
    await using pool = await WorkerPool.open({ size: 1, transport });
    const value = new Uint8Array(10 * MIB).map((_, i) => (i * 31) % 251);
    await pool.run(async () => {
      let arrived = false;
      const large = Promise.all(
        [1, 2, 3].map(async () => expect(Buffer.compare(await echo(value), value)).toBe(0)),
      ).finally(() => {
        arrived = true;
      });
      let passed = 0;
      while (!arrived) passed = await next(passed);
      await large;
      expect(passed).toBeGreaterThan(20);
    });
    expect(server.log).not.toMatch(/Maximum Payload|Slow Consumer/i);
  });

  test('a worker that reads nothing for a while: what is sent waits with the caller', async () => {
    await using server = await startNats({ config: 'http: "127.0.0.1:-1"' });
    const transport = natsTransport({ servers: server.url });
    await using pool = await WorkerPool.open({ size: 1, transport });
    const worker = pool.workers[0]?.pid as number;
    const value = new Uint8Array(10_000).fill(7);
    /** Bytes that the server has taken of all clients. */
    const taken = async () => {
      const { in_bytes } = (await (await fetch(`${server.monitorUrl}/varz`)).json()) as never;
      return in_bytes as number;
    };
    await pool.run(async () => {
      await pid();
      const before = await taken();
      process.kill(worker, 'SIGSTOP');
      const calls = Array.from({ length: 1_000 }, () => echo(value));
      const stopped = performance.now();
      await until(() => expect(performance.now() - stopped).toBeGreaterThan(300));
      expect((await taken()) - before).toBeLessThan(MIB);
      process.kill(worker, 'SIGCONT');
      for (const call of calls) expect(Buffer.compare(await call, value)).toBe(0);
    });
  });

  test('a worker that is cut off as a slow consumer, for the flood of a stranger: nothing is lost', async () => {
    await using server = await startNats({ config: 'max_pending: 1MB' });
    const transport = natsTransport({ servers: server.url });
    await using pool = await WorkerPool.open({ size: 1, transport });
    const [worker] = pool.workers as [PoolWorker & { pid: number }];
    const [, , cluster, identity, id] = worker.address.split('/');
    const subject = `skein.${cluster}.worker.${identity}.${id}.link.anyone.stranger`;
    const stranger = await connect({ servers: server.url });
    const value = new Uint8Array(2 * MIB).fill(7);
    await pool.run(async () => {
      await pid();
      process.kill(worker.pid, 'SIGSTOP');
      const calls = Array.from({ length: 8 }, () => echo(value));
      const flood = Buffer.alloc(512 * 1024, 1);
      await until(async () => {
        stranger.publish(subject, flood);
        await stranger.flush();
        expect(server.log).toMatch(/Slow Consumer/);
      });
      process.kill(worker.pid, 'SIGCONT');
      for (const call of calls) expect(Buffer.compare(await call, value)).toBe(0);
    });
    await stranger.close();
  });

  test('200 workers and as many links share two connections', async () => {
    await using server = await startNats({ config: 'debug: true' });
    const here = natsTransport({ servers: server.url });
    const there = natsTransport({ servers: server.url });
    const service: ListenerService = {
      link: (channel) =>
        channel.open({
          packet: (bytes) => channel.send(bytes),
          drain: () => {},
          closed: () => {},
        }),
      stop: async () => {},
      status: () => ({ uid: 'w', inFlight: 0, idleMs: 0, draining: false, uptimeMs: 0 }),
    };
    const listeners = await Promise.all(
      Array.from({ length: 200 }, () => there.listen('nats://', service)),
    );
    const echoes = listeners.map(
      ({ address }, i) =>
        new Promise<string>((resolve, reject) => {
          const channel = here.connect(address);
          channel.open({
            packet: (bytes) => {
              resolve(Buffer.from(bytes).toString());
              channel.close({ code: 'closed', message: '' });
            },
            drain: () => {},
            closed: ({ message }) => reject(new Error(message)),
          });
          channel.send(Buffer.from(`to ${i}`));
        }),
    );
    expect(await Promise.all(echoes)).toEqual(listeners.map((_, i) => `to ${i}`));
    expect(server.log.match(/Client connection created/g)).toHaveLength(2);
    await Promise.all(listeners.map((listener) => listener.close()));
  });
});
