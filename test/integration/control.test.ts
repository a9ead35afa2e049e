/** The calls with which a durable pool is asked for its workers, and ended. */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ControlClient, type ControlClientOptions } from '../../src/control/client.ts';
import { PoolDiscovery } from '../../src/control/discovery.ts';
import { POOL_PATHS } from '../../src/control/place.ts';
import { type ControlSource, serveControl } from '../../src/control/server.ts';
import type { ControlledWorker, ListedWorker } from '../../src/control/workers.ts';
import type { DiscoveryEvent } from '../../src/discovery/discovery.ts';
import {
  AuthenticationError,
  ListenError,
  PoolUnreachable,
  WorkerCredentials,
  WorkerPool,
} from '../../src/index.ts';
import { CredentialSource } from '../../src/security/source.ts';
import { type DiscoveryHarness, readOnlyDiscoveryContract } from '../../src/testing/index.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import { GrpcCaller } from '../../src/transport/grpc-caller.ts';
import { Authority, type Certificates } from './certificates.ts';
import { rejection, runScript, scratchFolder, trace, until } from './helpers.ts';
import { block } from './routines/busy.ts';

const authkey = 'a secret of some length';
const folder = scratchFolder();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Workers that are only on a list. */
class List implements ControlSource {
  readonly #listeners = new Set<() => void>();
  #workers: ControlledWorker[] = [];
  readonly downs: (number | undefined)[] = [];
  onDown: () => Promise<void> = async () => {};

  get listeners(): number {
    return this.#listeners.size;
  }

  set(...workers: ControlledWorker[]): void {
    this.#workers = workers;
    for (const listener of this.#listeners) listener();
  }

  workers(): readonly ControlledWorker[] {
    return this.#workers;
  }

  changed(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  down(graceMs: number | undefined): Promise<void> {
    this.downs.push(graceMs);
    return this.onDown();
  }
}

async function serve(source: ControlSource, options: ControlClientOptions = {}) {
  const server = await serveControl({ port: 0, ...options, source });
  cleanups.push(() => server.close());
  return server;
}

const SERVING = Buffer.of(8, 1);
const NOT_SERVING = Buffer.of(8, 2);

async function health(port: number): Promise<Buffer> {
  using caller = new GrpcCaller(`tcp://127.0.0.1:${port}`);
  return await caller.unary('/grpc.health.v1.Health/Check', Buffer.alloc(0));
}

const worker = (uid: string, fields: Partial<ControlledWorker> = {}): ControlledWorker => ({
  uid,
  address: `tcp://10.0.0.1:${4_000 + Number(uid.replace(/\D/g, ''))}`,
  ...fields,
});

/** What a client that watches is told, in order. */
function watch(client: ControlClient) {
  const told: string[] = [];
  const errors: unknown[] = [];
  const stop = client.watch({
    workers: (workers) => told.push(workers.map(({ uid }) => uid).join()),
    ended: (error) => errors.push(error),
  });
  cleanups.push(stop);
  return { told, errors, stop };
}

test('ping tells that the pool is there, and what it is', async () => {
  const source = new List();
  source.set(worker('w1'), worker('w2'));
  const { port } = await serve(source);
  const { version, uptime, ...rest } = await new ControlClient({ port }).ping();
  expect(rest).toMatchObject({ workers: 2, pid: process.pid });
  expect(rest.host).not.toBe('');
  expect(version).toMatch(/^\d/);
  expect(uptime).toBeGreaterThan(0);
});

describe('list', () => {
  let pool: WorkerPool;
  let workers: ControlledWorker[];
  beforeAll(async () => {
    pool = await WorkerPool.open({ size: 1, transport: 'tcp' });
    const { uid, address, tags, pid } = pool.workers[0] as (typeof pool.workers)[number];
    const alternatives = ['own://a'];
    const places = { address, alternatives };
    workers = [{ uid, ...places, tags, pid, restarts: 3, channel: { concurrency: 2 } }];
  });
  afterAll(() => pool.close({ grace: 0 }));

  test('tells what the workers are, and what they are doing', async () => {
    const source = new List();
    source.set(...workers);
    const { port } = await serve(source);
    const [listed, ...more] = await new ControlClient({ port }).list();
    expect(more).toEqual([]);
    expect(listed).toMatchObject({ ...workers[0], stalled: false, inFlight: 0, draining: false });
    expect(listed?.uptime).toBeGreaterThan(0);
  });

  test('tells of one that is blocked, or gone, that it stalls', async () => {
    const source = new List();
    const gone = worker('w1', {
      address: 'tcp://127.0.0.1:1',
      extra: { zone: 'a=b' },
      secure: true,
    });
    // Another one has taken its port.
    const replaced = { ...(workers[0] as ControlledWorker), uid: 'earlier' };
    source.set(...workers, gone, replaced);
    const { port } = await serve(source);
    const file = trace(folder);
    const blocked = block.on(pool)(file.path, 60_000);
    await file.has('start');
    const listed = await new ControlClient({ port }).list();
    expect(listed.map(({ stalled }) => stalled)).toEqual([true, true, true]);
    expect(listed[1]).toEqual({
      ...gone,
      ...{ tags: [], restarts: 0, stalled: true },
      ...{ inFlight: 0, idleTime: 0, uptime: 0, draining: false },
    } satisfies ListedWorker);
    file.open();
    await blocked;
  });
});

describe('watch', () => {
  test('tells of all workers at once, and at each change, until it is ended', async () => {
    const source = new List();
    source.set(worker('w1'));
    const { port } = await serve(source);
    const client = new ControlClient({ port });
    const { told, errors, stop } = watch(client);
    const other = watch(client);
    await until(() => expect([told, other.told]).toEqual([['w1'], ['w1']]));
    source.set(worker('w1'), worker('w2'));
    // What comes at once is told together.
    source.set();
    source.set(worker('w3'));
    await until(() => expect(told).toEqual(['w1', 'w3']));
    stop();
    await until(() => expect(other.told).toHaveLength(2));
    expect(source.listeners).toBe(1);
    other.stop();
    await until(() => expect(source.listeners).toBe(0));
    expect(errors).toEqual([]);
  });

  test('tells a client that reads slowly the latest, and not all that was in between', async () => {
    const source = new List();
    const many = (n: number) =>
      Array.from({ length: 100 }, (_, i) => worker(`w${i}`, { extra: { n: `${n} `.repeat(200) } }));
    source.set(...many(0));
    const { port } = await serve(source);
    const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    cleanups.push(() => client.close());
    const same = (bytes: Buffer) => bytes;
    const rosters: Buffer[] = [];
    const stream = client.makeServerStreamRequest(POOL_PATHS.watch, same, same, Buffer.alloc(0));
    stream.on('error', () => {});
    stream.on('data', (bytes: Buffer) => {
      rosters.push(bytes);
      if (rosters.length === 1) stream.pause();
    });
    await until(() => expect(rosters).toHaveLength(1));
    for (let n = 1; n <= 200; n += 1) {
      source.set(...many(n));
      await new Promise((resolve) => setImmediate(resolve));
    }
    stream.resume();
    await until(() => expect(rosters.at(-1)?.includes('200 200')).toBe(true));
    expect(rosters.length).toBeLessThan(100);
    stream.cancel();
  });

  test('ends with the pool', async () => {
    const source = new List();
    const server = await serve(source);
    const { told, errors } = watch(new ControlClient({ port: server.port }));
    await until(() => expect(told).toEqual(['']));
    await server.close();
    await until(() => expect(errors).toHaveLength(1));
    expect(errors[0]).toBeInstanceOf(PoolUnreachable);
    expect(source.listeners).toBe(0);
  });
});

describe('down', () => {
  test('is answered when the workers have ended, and ends the service', async () => {
    const source = new List();
    const server = await serve(source);
    const client = new ControlClient({ port: server.port });
    const { errors } = watch(client);
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    source.onDown = () => ended;
    const happened: string[] = [];
    const downs = [client.down(), client.down(Number.POSITIVE_INFINITY), client.down(0)];
    void Promise.all(downs).then(() => happened.push('answered'));
    await until(() => expect(source.downs).toEqual([undefined, undefined, 0]));
    expect(await client.ping()).toMatchObject({ workers: 0 });
    expect(happened).toEqual([]);
    expect(await health(server.port)).toEqual(NOT_SERVING);
    end();
    await Promise.all(downs);
    await server.closed;
    await until(() => expect(errors).toHaveLength(1));
    expect(await rejection(client.ping())).toBeInstanceOf(PoolUnreachable);
  });

  test('that does not come to its end is waited for no longer than the grace time and a little', async () => {
    const source = new List();
    const { port } = await serve(source);
    source.onDown = () => new Promise(() => {});
    const client = new ControlClient({ port, timeout: 250 });
    let answered = false;
    const down = client.down(100, () => {
      answered = true;
    });
    expect(String(await rejection(down))).toContain('no answer within 600 ms');
    expect([answered, source.downs]).toEqual([true, [100]]);
  });

  test('that fails says why, and leaves the service', async () => {
    const source = new List();
    source.onDown = () => Promise.reject(new Error('stuck'));
    const { port } = await serve(source);
    const client = new ControlClient({ port });
    expect(String(await rejection(client.down(10)))).toContain('stuck');
    expect(String(await rejection(client.down(-1)))).toContain('negative');
    expect(source.downs).toEqual([10]);
    await client.ping();
    expect(await health(port)).toEqual(SERVING);
  });
});

describe('without the right authkey', () => {
  test.each([undefined, 'another secret of that length'])('(%s) nothing is told', async (other) => {
    const source = new List();
    source.set(worker('w1'));
    const { port } = await serve(source, { authkey });
    const client = new ControlClient({ port, authkey: other });
    const { told, errors } = watch(client);
    for (const answer of [client.ping(), client.list(), client.down(0)]) {
      expect(await rejection(answer)).toBeInstanceOf(AuthenticationError);
    }
    await until(() => expect(errors).toHaveLength(1));
    expect(errors[0]).toBeInstanceOf(AuthenticationError);
    expect([told, source.downs]).toEqual([[], []]);
    const friend = new ControlClient({ port, authkey });
    expect(await friend.list()).toHaveLength(1);
    const seen = watch(friend);
    await until(() => expect(seen.told).toEqual(['w1']));
  });

  test('a pool that has none refuses, too', async () => {
    const { port } = await serve(new List());
    const error = await rejection(new ControlClient({ port, authkey }).ping());
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(String(error)).toContain('it has no authkey');
  });
});

describe('with credentials', () => {
  let good: Certificates;
  let stranger: Certificates;
  beforeAll(async () => {
    const authority = await Authority.make();
    good = await authority.issue();
    stranger = { ...(await (await Authority.make()).issue()), ca: authority.ca };
  });
  const of = (given: Certificates) => WorkerCredentials.fromBytes(given);

  test('a pool answers who has them, and says of its workers how they are', async () => {
    const credentials = of(good);
    const status = { uid: 'w1', inFlight: 3, idleMs: 0, draining: false, uptimeMs: 5 };
    const service = { link: () => {}, stop: async () => {}, status: () => status };
    const transport = grpcTransport({ credentials: CredentialSource.of(credentials) });
    const listener = await transport.listen('tcp://127.0.0.1:0', service);
    cleanups.push(() => listener.close());
    const source = new List();
    source.set(worker('w1', { address: listener.address }));
    const { port } = await serve(source, { credentials });
    const client = new ControlClient({ port, credentials });
    expect((await client.ping()).workers).toBe(1);
    expect(await client.list()).toMatchObject([{ uid: 'w1', stalled: false, inFlight: 3 }]);
    const discovery = new PoolDiscovery({ port, credentials });
    const iterator = discovery.subscribe()[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toMatchObject({ worker: { uid: 'w1' } });
    await iterator.return?.();
  });

  test.each([
    ['nobody without them', undefined, 'tls'],
    ['nobody with others', 'others', 'caller-wrong-ca'],
  ])('it answers %s', async (_who, others, reason) => {
    const source = new List();
    source.set(worker('w1'));
    const { port } = await serve(source, { credentials: of(good) });
    const client = new ControlClient({ port, credentials: others ? of(stranger) : undefined });
    const { told, errors } = watch(client);
    for (const answer of [client.ping(), client.list(), client.down(0)]) {
      expect(await rejection(answer)).toMatchObject({ code: 'AUTHENTICATION', reason });
    }
    await until(() => expect(errors).toMatchObject([{ code: 'AUTHENTICATION', reason }]));
    expect([told, source.downs]).toEqual([[], []]);
    const discovery = new PoolDiscovery({ port, credentials: others ? of(stranger) : undefined });
    const first = discovery.subscribe()[Symbol.asyncIterator]().next();
    expect(await rejection(first)).toMatchObject({ reason });
  });

  test('it is not taken for one that has none', async () => {
    const { port } = await serve(new List());
    const error = await rejection(new ControlClient({ port, credentials: of(good) }).ping());
    expect(error).toMatchObject({ code: 'AUTHENTICATION', reason: 'plaintext' });
  });
});

describe('what is no pool', () => {
  async function listening(server: Server): Promise<number> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => server.close());
    return (server.address() as AddressInfo).port;
  }

  async function problem(options: ControlClientOptions): Promise<string> {
    const error = await rejection(new ControlClient(options).ping());
    expect(error).toBeInstanceOf(PoolUnreachable);
    return (error as Error).message;
  }

  test('nobody at all', async () => {
    expect(await problem({ port: 1 })).toBe(
      'No pool answers at tcp://127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1.',
    );
    expect(await problem({ host: 'no.such.host.invalid' })).toContain('no.such.host.invalid');
  });

  test.each([undefined, authkey])('a worker (authkey %s)', async (authkey) => {
    const service = { link: () => {}, stop: async () => {}, status: () => never() };
    const listener = await grpcTransport({ authkey }).listen('tcp://127.0.0.1:0', service);
    cleanups.push(() => listener.close());
    const port = Number(new URL(listener.address).port);
    expect(await problem({ port, authkey })).toContain('something else, a worker perhaps');
  });

  test('a web server', async () => {
    const port = await listening(createHttpServer((_request, response) => response.end('hello')));
    expect(await problem({ port })).toMatch(/^No pool answers at tcp:/);
  });

  test('something that never answers', async () => {
    const sockets: { destroy(): void }[] = [];
    const port = await listening(createServer((socket) => sockets.push(socket)));
    cleanups.push(() => {
      for (const socket of sockets) socket.destroy();
    });
    const timeout = 100;
    const said = 'no answer within 100 ms';
    expect(await problem({ port, timeout })).toContain(said);
    const answered = () => expect.unreachable();
    const error = await rejection(new ControlClient({ port, timeout }).down(undefined, answered));
    expect(error).toBeInstanceOf(PoolUnreachable);
    expect(String(error)).toContain(said);
  });

  test.each([{ port: 70_000 }, { port: 1.5 }, { host: '' }, { host: 'a b' }, { timeout: 0 }])(
    'a client with %o',
    (options) => {
      expect(() => new ControlClient(options)).toThrow(TypeError);
    },
  );
});

test('a port that is taken: an error that says what to do', async () => {
  const { port } = await serve(new List());
  const error = await rejection(serveControl({ port, source: new List() }));
  expect(error).toBeInstanceOf(ListenError);
  expect(String(error)).toMatch(/is taken. Choose another port/);
});

describe('PoolDiscovery', () => {
  /** What a subscription has told, in order. */
  function listen(discovery: PoolDiscovery) {
    const events: DiscoveryEvent[] = [];
    const told: string[] = [];
    const iterator = discovery.subscribe()[Symbol.asyncIterator]();
    const ended = (async () => {
      for (;;) {
        const { done, value } = await iterator.next();
        if (done) return;
        events.push(value);
        told.push(`${value.type.replace('worker-', '')} ${value.worker.uid}`);
      }
    })();
    ended.catch(() => {});
    cleanups.push(() => iterator.return?.());
    return { told, events, ended };
  }

  test.each(readOnlyDiscoveryContract)('$name', ({ run }) =>
    run(async (): Promise<DiscoveryHarness> => {
      const source = new List();
      const workers = new Map<string, ControlledWorker>();
      const server = await serveControl({ port: 0, source });
      const tell = () => source.set(...workers.values());
      return {
        open: () => new PoolDiscovery({ port: server.port }),
        put: (worker) => {
          workers.set(worker.uid, worker);
          tell();
        },
        drop: ({ uid }) => {
          workers.delete(uid);
          tell();
        },
        [Symbol.asyncDispose]: () => server.close(),
      };
    }),
  );

  test('keeps what it knows while the pool is away, and finds the one that comes back', async () => {
    const source = new List();
    source.set(worker('w1'), worker('w2'));
    const first = await serve(source);
    const warnings: string[] = [];
    const warn = (message: string) => warnings.push(message);
    const { told } = listen(new PoolDiscovery({ port: first.port, warn }));
    await until(() => expect(told).toEqual(['added w1', 'added w2']));
    await first.close();
    await until(() => expect(warnings).toHaveLength(1));
    expect(warnings[0]).toContain("can't be asked for workers; those that are known are kept");
    const next = new List();
    next.set(worker('w2'), worker('w3'));
    await serve(next, { port: first.port });
    await until(() => expect(told.slice(2)).toEqual(['dropped w1', 'added w3']));
    expect(warnings).toHaveLength(1);
  });

  test('waits for a pool that is not up yet', async () => {
    const spare = await serve(new List());
    await spare.close();
    const warnings: string[] = [];
    const warn = (message: string) => warnings.push(message);
    const { told } = listen(new PoolDiscovery({ port: spare.port, warn }));
    await until(() => expect(warnings).toHaveLength(1));
    const source = new List();
    source.set(worker('w1'));
    await serve(source, { port: spare.port });
    await until(() => expect(told).toEqual(['added w1']));
  });

  test('fails when the pool refuses its authkey', async () => {
    const { port } = await serve(new List(), { authkey });
    const { ended } = listen(new PoolDiscovery({ port, authkey: 'another secret of that length' }));
    expect(await rejection(ended)).toBeInstanceOf(AuthenticationError);
  });

  test('names the host that the pool was reached at where a worker listens on all', async () => {
    const source = new List();
    source.set(
      worker('w1', { address: 'tcp://0.0.0.0:4001', beat: 'beat+tcp://[::]:4002#00ff' }),
      worker('w2', { address: 'tcp://10.0.0.1:4001', beat: 'beat+tcp://0.0.0.0:4003' }),
    );
    const { port } = await serve(source, { host: '127.0.0.1' });
    const { told, events } = listen(new PoolDiscovery({ host: 'localhost', port }));
    await until(() => expect(told).toHaveLength(2));
    expect(events.map(({ worker: { address, beat } }) => [address, beat])).toEqual([
      ['tcp://localhost:4001', 'beat+tcp://localhost:4002#00ff'],
      ['tcp://10.0.0.1:4001', 'beat+tcp://localhost:4003'],
    ]);
  });

  test('leaves a worker out that says what none may, and warns', async () => {
    const source = new List();
    source.set(worker('w1', { host: 'a\u001b[31m' }), worker('w2'));
    const { port } = await serve(source);
    const warnings: string[] = [];
    const warn = (message: string) => warnings.push(message);
    const { told } = listen(new PoolDiscovery({ port, warn }));
    await until(() => expect(told).toEqual(['added w2']));
    source.set(worker('w1', { host: 'a\u001b[31m' }), worker('w3'));
    await until(() => expect(told).toHaveLength(3));
    expect(warnings).toEqual([expect.stringContaining('host must have no control characters')]);
  });

  test('keeps no process alive', async () => {
    const source = new List();
    source.set(worker('w1'));
    const { port } = await serve(source, { authkey });
    const script = runScript('test/fixtures/watching.ts', [String(port), authkey]);
    cleanups.push(() => script.child.kill('SIGKILL'));
    expect(await script.ended).toBe(0);
    expect(script.stdout()).toBe('added w1\n');
  });
});

/** Strangers that connect and say nothing hold nobody up. */
test('a pool ends although someone holds a connection', async () => {
  const server = await serve(new List());
  const socket = connect(server.port, server.host);
  await once(socket, 'connect');
  const closed = once(socket.resume(), 'close');
  await server.close();
  await closed;
});

function never(): never {
  throw new Error('not asked for');
}
