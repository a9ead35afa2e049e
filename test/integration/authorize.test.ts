/** Whose calls a worker takes that knows its callers by their certificates. */
import { once as onceEvent } from 'node:events';
import { connect as connectHttp } from 'node:http2';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  AuthenticationError,
  AuthorizationError,
  type AuthorizeHook,
  LocalDiscovery,
  type PoolOptions,
  routine,
  StaticDiscovery,
  stopWorker,
  Worker,
  WorkerCredentials,
  type WorkerOptions,
  WorkerPool,
  workerStatus,
} from '../../src/index.ts';
import { natsTransport } from '../../src/nats/index.ts';
import { materialOf } from '../../src/security/credentials.ts';
import { CredentialSource } from '../../src/security/source.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import { contextOptions } from '../../src/transport/tls.ts';
import type { Channel, WorkerStatus } from '../../src/transport/transport.ts';
import { Authority, LOCAL_NAMES } from './certificates.ts';
import { rejection, scratchFolder, thrown, trace, until } from './helpers.ts';
import { allow } from './routines/authorize.ts';
import { squares } from './routines/math.ts';
import { once, pid } from './routines/tasks.ts';

const folder = scratchFolder();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const WEB = 'spiffe://my-app/web';
let own: WorkerCredentials;
let web: WorkerCredentials;
let half: WorkerCredentials;
beforeAll(async () => {
  const authority = await Authority.make();
  const issue = async (...names: string[]) =>
    WorkerCredentials.fromBytes(await authority.issue({ names }));
  [own, web, half] = await Promise.all([
    issue(...LOCAL_NAMES),
    issue(WEB, 'b.example'),
    issue('half.example'),
  ]);
});

let warnings: string[];
beforeEach(() => {
  warnings = [];
});
const none = () => {};
const warn = (_fields: unknown, line: string) => void warnings.push(line);
const logger = { debug: none, info: none, error: none, warn };

async function start(authorize: NonNullable<WorkerOptions['authorize']>): Promise<string> {
  const worker = new Worker({ host: '127.0.0.1', credentials: own, authorize, logger });
  cleanups.push(() => worker.stop(0));
  return await worker.start();
}

async function open(options: PoolOptions): Promise<WorkerPool> {
  const pool = await WorkerPool.open({ logger: { ...logger, warn: none }, ...options });
  cleanups.push(() => pool.close({ grace: 0 }));
  return pool;
}

const poolOf = (address: string, credentials: WorkerCredentials) =>
  open({ discovery: new StaticDiscovery([address]), credentials });

describe('a worker with a list of names', () => {
  test('takes links and calls of those whose certificates have one of them, and of no others', async () => {
    const address = await start([WEB, 'half.EXAMPLE']);
    for (const credentials of [web, half]) {
      expect(await pid.on(await poolOf(address, credentials))()).toBe(process.pid);
      expect(await workerStatus(address, { credentials })).toMatchObject({ inFlight: 0 });
    }
    const file = trace(folder);
    const error = (await rejection(
      once.on(await poolOf(address, own))(file.path, 'stolen'),
    )) as Error;
    expect(error).toMatchObject({
      code: 'NO_WORKERS_AVAILABLE',
      cause: { reason: 'unauthorized' },
    });
    expect(error.message).toContain(
      'it does not let this side in: the certificate is for localhost',
    );
    expect(file.lines).toEqual([]);
    for (const asked of [
      workerStatus(address, { credentials: own }),
      stopWorker(address, { credentials: own }),
    ]) {
      const refusal = await rejection(asked);
      expect(refusal).toBeInstanceOf(AuthenticationError);
      expect(refusal).toMatchObject({ reason: 'unauthorized' });
    }
    expect(await workerStatus(address, { credentials: web })).toMatchObject({ draining: false });
    expect(warnings).toEqual([
      expect.stringMatching(/^a caller was not let in \(authorize\): localhost/),
    ]);
  });

  test('knows each of two that come from the same port to different addresses of it', async () => {
    const links: unknown[] = [];
    const service = {
      link: (channel: Channel) => {
        links.push([channel.remote, channel.peer?.names[0]]);
        channel.open({ packet: none, drain: none, closed: none });
      },
      stop: async () => {},
      status: () => ({}) as WorkerStatus,
    };
    const source = new CredentialSource(own, { warn: none });
    const listener = await grpcTransport({ credentials: source }).listen(
      'tcp://0.0.0.0:0',
      service,
    );
    cleanups.push(() => listener.close());
    const port = Number(listener.address.replace(/.*:/, ''));
    const linkTo = async (host: string, given: WorkerCredentials, localPort = 0) => {
      const socket = connectTls({
        ...{ host, port, localPort, localAddress: '127.0.0.1' },
        ...{ ALPNProtocols: ['h2'], rejectUnauthorized: false },
        ...contextOptions(materialOf(given)),
      } as ConnectionOptions);
      await onceEvent(socket, 'secureConnect');
      const session = connectHttp('http://worker', { createConnection: () => socket });
      cleanups.push(() => session.destroy());
      session.on('error', none);
      const link = () =>
        session
          .request({
            ...{ ':method': 'POST', ':path': '/skein.v1.Worker/Link' },
            ...{ 'content-type': 'application/grpc', te: 'trailers' },
          })
          .on('error', none);
      link();
      return { link, localPort: socket.localPort as number };
    };
    const first = await linkTo('127.0.0.2', half);
    await until(() => expect(links).toHaveLength(1));
    await linkTo('127.0.0.1', web, first.localPort);
    await until(() => expect(links).toHaveLength(2));
    first.link();
    await until(() => expect(links).toHaveLength(3));
    const remote = `tcp://127.0.0.1:${first.localPort}`;
    expect(links).toEqual([
      [remote, 'half.example'],
      [remote, WEB],
      [remote, 'half.example'],
    ]);
  });
});

describe('a worker that asks a function', () => {
  test('asks it for each caller and each task, and runs none that it does not want', async () => {
    const asked: unknown[] = [];
    const authorize: AuthorizeHook = async ({ names }, task) => {
      asked.push([names[0], task?.routine.replace(/.*#/, ''), task?.tag]);
      return task === undefined || /#(pid|nothing)$/.test(task.routine);
    };
    const address = await start(authorize);
    const pool = await poolOf(address, web);
    expect(await pid.with({ pool, tag: 'a' })()).toBe(process.pid);
    const file = trace(folder);
    const error = (await rejection(once.on(pool)(file.path, 'stolen'))) as Error;
    expect(error).toBeInstanceOf(AuthorizationError);
    expect(error).toMatchObject({ code: 'AUTHORIZATION' });
    expect(error.message).toMatch(`the worker does not let ${WEB}, b.example run `);
    expect(error.message).toMatch(/tasks\.ts#once$/);
    expect(await rejection(squares.on(pool)(3).next())).toBeInstanceOf(AuthorizationError);
    expect(await pid.on(pool)()).toBe(process.pid);
    expect(file.lines).toEqual([]);
    expect(asked.slice(-5)).toEqual([
      [WEB, undefined, undefined],
      [WEB, 'pid', 'a'],
      [WEB, 'once', undefined],
      [WEB, 'squares', undefined],
      [WEB, 'pid', undefined],
    ]);
  });

  test('loads no module for a task that it does not want', async () => {
    const address = await start((_peer, task) => task === undefined);
    const pool = await poolOf(address, web);
    const lost = routine(() => 1, { module: 'skein/test/fixtures/nowhere.ts', name: 'lost' });
    expect(await rejection(lost.on(pool)())).toBeInstanceOf(AuthorizationError);
  });

  test.each<[string, AuthorizeHook, RegExp]>([
    [
      'throws',
      () => {
        throw new Error('oh no');
      },
      /the authorize hook failed.*oh no/,
    ],
    [
      'rejects',
      async () => {
        throw new Error('oh no');
      },
      /the authorize hook failed.*oh no/,
    ],
    [
      'throws what has no text',
      () => {
        throw Object.create(null);
      },
      /the authorize hook failed.*has no text/,
    ],
    [
      'rejects with what has no text',
      async () => {
        throw Object.create(null);
      },
      /the authorize hook failed.*has no text/,
    ],
    ['says something that is not true', (() => 'yes') as never, /a caller was not let in/],
  ])('lets nobody in when it %s', async (_what, hook, words) => {
    const address = await start(hook);
    const refusal = await rejection(workerStatus(address, { credentials: web }));
    expect(refusal).toMatchObject({ reason: 'unauthorized' });
    expect(warnings[0]).toMatch(words);
  });
});

describe('the workers that a pool spawns', () => {
  test('ask the routine that the pool names', async () => {
    const namespace = () => new LocalDiscovery('authorize', { folder: `${folder}/found` });
    const pool = await open({ size: 1, discovery: namespace, credentials: own, authorize: allow });
    const [worker] = pool.workers.map((one) => one.pid);
    expect(await pid.on(pool)()).toBe(worker);
    const found = await open({ discovery: namespace, credentials: half });
    await until(() => expect(found.workers).toHaveLength(1));
    expect(await pid.on(found)()).toBe(worker);
    const file = trace(folder);
    const stolen = await rejection(once.on(found)(file.path, 'stolen'));
    expect(stolen).toBeInstanceOf(AuthorizationError);
    expect(file.lines).toEqual([]);
    expect(await once.on(pool)(file.path, 'own')).toBe('own');
  });

  test('must let in their pool itself', async () => {
    const options = { size: 1, credentials: own, authorize: [WEB] };
    const error = (await rejection(WorkerPool.open(options))) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(
      'authorize leaves out the pool itself, whose certificate is for localhost',
    );
  });
});

test('authorize is refused where it can’t mean anything', () => {
  const transport = natsTransport({ servers: 'nats://127.0.0.1:1' });
  const tries: [WorkerOptions, string][] = [
    [{ authorize: [WEB] }, 'give credentials, too'],
    [{ authorize: [WEB], credentials: own, transport }, 'leave out the other transports'],
    [{ authorize: [], credentials: own }, 'would let nobody in'],
    [{ authorize: ['a b'], credentials: own }, 'a b is none'],
    [{ authorize: 7 as never, credentials: own }, 'not 7'],
  ];
  for (const [options, words] of tries) {
    const error = thrown(() => new Worker(options)) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(words);
  }
});
