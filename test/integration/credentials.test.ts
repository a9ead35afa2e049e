/** Pools and workers that have certificates: who comes together, and what is said of who does not. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type AuthenticationError,
  CredentialsError,
  LocalDiscovery,
  NoWorkersAvailable,
  type PoolOptions,
  StaticDiscovery,
  Worker,
  WorkerCredentials,
  type WorkerOptions,
  WorkerPool,
  workerStatus,
} from '../../src/index.ts';
import { Authority, type Certificates } from './certificates.ts';
import { rejection, scratchFolder, trace, until } from './helpers.ts';
import { block } from './routines/busy.ts';
import { family, once, pid } from './routines/tasks.ts';

const folder = scratchFolder();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

let authority: Authority;
let other: Authority;
let good: Certificates;
let credentials: WorkerCredentials;
beforeAll(async () => {
  [authority, other] = await Promise.all([Authority.make(), Authority.make()]);
  good = await authority.issue();
  credentials = WorkerCredentials.fromBytes(good);
});

const warnings: string[] = [];
const none = () => {};
const warn = (_fields: unknown, line: string) => void warnings.push(line);
const logger = { debug: none, info: none, error: none, warn };
afterEach(() => void warnings.splice(0));

let namespaces = 0;
function namespace(): () => LocalDiscovery {
  namespaces += 1;
  const name = `tls-${namespaces}`;
  return () => new LocalDiscovery(name, { folder: `${folder}/found` });
}

async function open(options: PoolOptions): Promise<WorkerPool> {
  const pool = await WorkerPool.open({ logger, ...options });
  cleanups.push(() => pool.close({ grace: 0 }));
  return pool;
}

async function start(options: WorkerOptions): Promise<Worker> {
  const worker = new Worker({ logger, ...options });
  cleanups.push(() => worker.stop(0));
  await worker.start();
  return worker;
}

/** Credentials that change when they are told to. */
function changing(first: Certificates) {
  let now = WorkerCredentials.fromBytes(first);
  const provider = { credentials: () => now, reloadable: true };
  const change = (next: Certificates) => {
    now = WorkerCredentials.fromBytes(next);
  };
  return { provider, change };
}

describe('spawned workers with certificates', () => {
  test.each(['unix', 'tcp'] as const)(
    'are called over %s, and call each other',
    async (transport) => {
      const pool = await open({ size: 2, transport, credentials });
      const pids = pool.workers.map((worker) => worker.pid).sort();
      await until(async () => {
        const { children } = await family.on(pool)(20);
        const seen = new Set(children.map((child) => child.pid));
        expect([...seen].sort()).toEqual(pids);
      });
    },
  );

  test('let in neither plain text, nor TLS without the secret of their pool', async () => {
    const pool = await open({ size: 1, transport: 'tcp', credentials });
    const discovery = new StaticDiscovery([pool.workers[0]?.address as string]);
    const strangers = [
      { reason: 'tls', options: {} },
      { reason: 'authkey', options: { credentials } },
    ];
    await Promise.all(
      strangers.map(async ({ reason, options }) => {
        const outside = await open({ discovery, ...options });
        const file = trace(folder);
        const error = await rejection(once.on(outside)(file.path, 'stolen'));
        expect(error).toMatchObject({ code: 'NO_WORKERS_AVAILABLE', cause: { reason } });
        expect(file.lines).toEqual([]);
      }),
    );
    // The worker says that somebody spoke no TLS; each pool, why it has none.
    expect(warnings.filter((line) => line.startsWith('the worker at'))).toHaveLength(2);
  });

  test('say so where they are announced, and take new certificates while calls go on', async () => {
    const { provider, change } = changing(good);
    const discovery = namespace();
    const pool = await open({ size: 1, discovery, credentials: provider });
    const own = pool.workers[0]?.pid;
    const found = await open({ discovery, credentials });
    await until(() => expect(found.workers).toMatchObject([{ pid: own }]));
    expect(await pid.on(found)()).toBe(own);
    const next = await other.issue();
    change(next);
    const renewed = { credentials: WorkerCredentials.fromBytes(next) };
    await until(async () => {
      const late = await open({ discovery, startTimeout: 3_000, ...renewed });
      expect(await pid.on(late)()).toBe(own);
    });
    expect(await pid.on(pool)()).toBe(own);
    expect(await pid.on(found)()).toBe(own);
  });

  test.each<[string, () => Promise<Certificates>, RegExp]>([
    [
      'has expired',
      () => authority.issue({ dates: 'expired' }),
      /has expired, on .*give a new one/,
    ],
    ['is not valid yet', () => authority.issue({ dates: 'not-yet-valid' }), /is not valid yet/],
    ['has another name', () => authority.issue({ names: ['a.example'] }), /as\(\{ identity \}\)/],
    [
      'is of another authority',
      async () => ({ ...(await other.issue()), ca: authority.ca }),
      /was not signed by one of ca/,
    ],
  ])('are none when the certificate %s', async (_what, issue, words) => {
    const bad = WorkerCredentials.fromBytes(await issue());
    const error = (await rejection(WorkerPool.open({ size: 1, credentials: bad }))) as Error;
    expect(error).toBeInstanceOf(CredentialsError);
    expect(error.message).toMatch(words);
  });

  test('are asked by TLS whether they live, with the certificates of that time', async () => {
    const { provider, change } = changing(good);
    const options = { size: 1, transport: 'tcp', credentials: provider, lostAfter: 1_000 } as const;
    const pool = await open(options);
    const [worker] = pool.workers;
    const next = await other.issue();
    change(next);
    const renewed = { credentials: WorkerCredentials.fromBytes(next) };
    await until(() => workerStatus(worker?.address as string, renewed));
    const file = trace(folder);
    expect(await block.on(pool)(file.path, 2_500)).toBe(worker?.pid);
  });

  test('are none where the pool alone is to show no certificate', async () => {
    const bad = WorkerCredentials.fromBytes({ ca: authority.ca, mutual: false });
    const error = (await rejection(WorkerPool.open({ size: 1, credentials: bad }))) as Error;
    expect(error).toMatchObject({ code: 'CREDENTIALS' });
    expect(error.message).toContain('cert and key are missing');
  });

  test('are not waited for in vain when nobody believes their certificate any more', async () => {
    const { provider, change } = changing(good);
    const stranger = await Authority.make();
    const pool = await open({ size: 1, credentials: provider });
    const own = pool.workers[0]?.pid;
    change({ ...(await stranger.issue()), ca: authority.ca });
    const { address = '' } = pool.workers[0] ?? {};
    await until(async () => {
      const asked = await rejection(workerStatus(address, { credentials }));
      expect(asked).toMatchObject({ reason: 'worker-wrong-ca' });
    });
    const error = await rejection(pid.with({ pool, timeout: 10_000 })());
    expect(error).toMatchObject({
      code: 'NO_WORKERS_AVAILABLE',
      message: expect.stringContaining('its certificate was not signed'),
      cause: { reason: 'worker-wrong-ca' },
    });
    expect(warnings.filter((line) => line.startsWith('worker '))).toEqual([
      expect.stringContaining('its certificate was not signed'),
    ]);
    change(await authority.issue());
    await until(async () => expect(await pid.with({ pool, timeout: 5_000 })()).toBe(own));
  });

  test('are known by their identity, wherever they are', async () => {
    const names = ['spiffe://my-app/worker'];
    const given = WorkerCredentials.fromBytes(await authority.issue({ names }));
    const pool = await open({ size: 1, credentials: given.as({ identity: names[0] as string }) });
    expect(await pid.on(pool)()).toBe(pool.workers[0]?.pid);
  });
});

describe('a worker in a program', () => {
  let worker: Worker;
  beforeAll(async () => {
    worker = new Worker({ host: '127.0.0.1', credentials });
    await worker.start();
  });
  afterAll(() => worker.stop(0));
  const address = () => worker.address as string;

  test('announces that it takes TLS', async () => {
    expect(worker.metadata).toMatchObject({ secure: true });
    expect(await workerStatus(address(), { credentials })).toMatchObject({ uid: worker.uid });
  });

  test('is called by who has certificates', async () => {
    const pool = await open({ discovery: new StaticDiscovery([address()]), credentials });
    expect(await pid.on(pool)()).toBe(process.pid);
  });

  test.each<[string, () => Promise<PoolOptions>, AuthenticationError['reason'], string]>([
    ['none', async () => ({}), 'tls', 'it speaks TLS only'],
    [
      'those of another authority',
      async () => ({ credentials: WorkerCredentials.fromBytes(await other.issue()) }),
      'worker-wrong-ca',
      'was not signed by one of those in ca here',
    ],
    [
      'another identity in mind',
      async () => ({ credentials: credentials.as({ identity: 'else.example' }) }),
      'worker-wrong-name',
      'not for else.example',
    ],
  ])('runs nothing of who has %s, who learns why', async (_what, options, reason, words) => {
    const discovery = new StaticDiscovery([address()]);
    const pool = await open({ discovery, ...(await options()) });
    const file = trace(folder);
    const error = (await rejection(once.on(pool)(file.path, 'stolen'))) as Error;
    expect(error).toBeInstanceOf(NoWorkersAvailable);
    expect(error.message).toContain(words);
    expect(error.cause).toMatchObject({ code: 'AUTHENTICATION', reason });
    expect(file.lines).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining(words)]);
  });

  test('warns when its own certificate has not the identity that it looks for in others', async () => {
    await start({ credentials: credentials.as({ identity: 'workers.my-app' }) });
    expect(warnings).toEqual([
      expect.stringMatching(
        /callers that look for workers\.my-app.* leave it out: its certificate/,
      ),
    ]);
  });

  test('does not start with a certificate that has expired, and says so', async () => {
    const expired = WorkerCredentials.fromBytes(await authority.issue({ dates: 'expired' }));
    const error = (await rejection(new Worker({ credentials: expired }).start())) as Error;
    expect(error).toBeInstanceOf(CredentialsError);
    expect(error.message).toMatch(/^the worker does not start: the certificate has expired/);
  });
});

test('pools and workers of both kinds stay apart in one place', async () => {
  const discovery = namespace();
  const [plain, secure] = [await start({ discovery }), await start({ discovery, credentials })];
  for (const [options, uid] of [
    [{}, plain.uid],
    [{ credentials }, secure.uid],
  ] as const) {
    const pool = await open({ discovery, ...options });
    await until(() => expect(pool.workers).toMatchObject([{ uid }]));
    await until(() => expect(warnings).toHaveLength(1));
    expect(warnings.splice(0)[0]).toContain('it is left out: ');
    expect(await pid.on(pool)()).toBe(process.pid);
  }
});
