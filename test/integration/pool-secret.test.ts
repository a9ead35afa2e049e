/** Who can call the workers that a pool has spawned for itself: the pool and these workers, and nobody else. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  AuthenticationError,
  type PoolWorker,
  StaticDiscovery,
  Worker,
  WorkerPool,
  workerStatus,
} from '../../src/index.ts';
import { natsTransport } from '../../src/nats/index.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import type { CloseReason, Transport } from '../../src/transport/transport.ts';
import { rejection, scratchFolder, trace, until } from './helpers.ts';
import { type NatsServer, noNats, startNats } from './nats-server.ts';
import { family, once, pid } from './routines/tasks.ts';

const folder = scratchFolder();

/** What a link that somebody opens comes to. */
async function dial(transport: Transport, address: string): Promise<CloseReason> {
  const channel = transport.connect(address);
  return await new Promise((resolve) => {
    const packet = () => resolve({ code: 'closed', message: 'it has answered' });
    channel.open({ packet, drain: () => {}, closed: resolve });
  });
}

/** Each way in, for somebody who has found the address, and has no key or another one. */
async function refuses(transport: Transport, address: string): Promise<void> {
  for (const stranger of [transport, transport.guarded('a key that someone has made up')]) {
    expect(await dial(stranger, address)).toMatchObject({ code: 'refused' });
    for (const method of ['status', 'stop'] as const) {
      const asked = stranger.call?.(address, method, new Uint8Array()) as Promise<unknown>;
      expect(await rejection(asked)).toBeInstanceOf(AuthenticationError);
    }
  }
}

describe.each(['unix', 'tcp'] as const)('workers spawned on %s', (transport) => {
  let found: Worker;
  let pool: WorkerPool;
  let spawned: readonly PoolWorker[];
  beforeAll(async () => {
    found = new Worker({ port: 0 });
    const discovery = new StaticDiscovery([await found.start()]);
    pool = await WorkerPool.open({ size: 2, transport, discovery });
    await until(() => expect(pool.workers).toHaveLength(3));
    spawned = pool.workers.filter((worker) => worker.spawned);
  });
  afterAll(async () => {
    await pool.close({ grace: 0 });
    await found.stop(0);
  });
  const pids = () => [process.pid, ...spawned.map((worker) => worker.pid)].sort();

  test('are called by their pool, which calls those it has found without its secret', async () => {
    const seen = new Set<number>();
    await until(async () => {
      seen.add(await pid.on(pool)());
      expect([...seen].sort()).toEqual(pids());
    });
  });

  test('are called by each other, and call those that their pool has found', async () => {
    // The found one knows no others.
    const callers = new Set<number>([process.pid]);
    await until(async () => {
      const { pid: own, children } = await family.on(pool)(30);
      if (own !== process.pid) {
        expect([...new Set(children.map((child) => child.pid))].sort()).toEqual(pids());
        callers.add(own);
      }
      expect([...callers].sort()).toEqual(pids());
    });
  });

  test('answer nobody else', async () => {
    for (const { address } of spawned) await refuses(grpcTransport(), address);
    const { address, uid } = spawned[0] as PoolWorker;
    const warnings: string[] = [];
    const none = () => {};
    const warn = (_fields: unknown, line: string) => warnings.push(line);
    const logger = { debug: none, info: none, error: none, warn };
    const discovery = new StaticDiscovery([address]);
    await using other = await WorkerPool.open({ discovery, logger });
    const file = trace(folder);
    await rejection(once.with({ pool: other, timeout: 300 })(file.path, 'stolen'));
    expect(file.lines).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('answers nobody without its authkey')]);
    // Who has opened the pool may ask.
    expect(await workerStatus(address)).toMatchObject({ uid });
  });

  test.skipIf(process.platform !== 'linux')('have no secret in the list of processes', () => {
    const partsOf = (file: string) => readFileSync(file, 'utf8').split('\0').filter(Boolean);
    const known = new Set([
      ...Object.entries(process.env).map(([name, value]) => `${name}=${value}`),
      ...process.execArgv,
    ]);
    for (const worker of spawned) {
      const ofProcess = `/proc/${worker.pid}`;
      const [node, ...args] = partsOf(`${ofProcess}/cmdline`).filter((part) => !known.has(part));
      expect(node).toBe(process.execPath);
      expect(
        args.filter((part) => !/^--import$|tsx|main\.ts$|^\/tmp\/skein-\w{6}$/.test(part)),
      ).toEqual([]);
      const variables = partsOf(`${ofProcess}/environ`).filter((part) => !known.has(part));
      expect(variables.map((part) => part.replace(/=.*/s, '')).sort()).toEqual([
        'NODE_CHANNEL_FD',
        'NODE_CHANNEL_SERIALIZATION_MODE',
      ]);
    }
  });
});

describe.skipIf(noNats)('workers spawned on NATS', () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test('answer nobody but their pool', async () => {
    const transport = natsTransport({ servers: server.url });
    await using pool = await WorkerPool.open({ size: 1, transport });
    const { address, pid: own } = pool.workers[0] as PoolWorker;
    expect(await pid.on(pool)()).toBe(own);
    await refuses(natsTransport({ servers: server.url }), address);
    expect(await pid.on(pool)()).toBe(own);
  });
});

/** Connects to the socket as a user, and prints how that ends. */
const CONNECT = `
  const [uid, path] = process.argv.slice(1);
  process.setgroups([]);
  process.setgid(Number(uid));
  process.setuid(Number(uid));
  require('node:net').connect({ path })
    .on('connect', () => { console.log('connected'); process.exit(); })
    .on('error', ({ code }) => console.log(code));`;
const NOBODY = 65_534;

test.skipIf(process.getuid?.() !== 0)(
  'a program of another user can’t connect to the socket of a worker or its beat',
  async () => {
    const options = { size: 1, transport: 'unix' } as const;
    await using pool = await WorkerPool.open(options);
    await using alone = new Worker({ transport: 'unix' });
    await alone.start();
    const places = [pool.workers[0], { ...alone.metadata }].flatMap((worker) => [
      worker?.address,
      worker?.beat,
    ]);
    for (const place of places) {
      const path = place?.replace(/^(beat\+)?unix:\/\//, '') as string;
      const connect = (uid: number) =>
        spawnSync(process.execPath, ['-e', CONNECT, String(uid), path], { encoding: 'utf8' })
          .stdout;
      expect(connect(NOBODY)).toBe('EACCES\n');
      expect(connect(0)).toBe('connected\n');
    }
  },
);
