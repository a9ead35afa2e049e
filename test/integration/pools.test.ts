/** The four ways to open a pool, with workers that are found. */
import { writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { serveControl } from '../../src/control/server.ts';
import { LocalDiscovery } from '../../src/discovery/adapters/local.ts';
import { StaticDiscovery } from '../../src/discovery/static.ts';
import {
  AuthenticationError,
  DiscoveryError,
  NoWorkersAvailable,
  type PoolOptions,
  PoolUnreachable,
} from '../../src/index.ts';
import { MemoryDiscovery } from '../../src/testing/memory-discovery.ts';
import { rejection, scratchFolder, until } from './helpers.ts';
import { family, gate, pid } from './routines/tasks.ts';
import { onNetwork, WorkerPool } from './runtime.ts';

const folder = scratchFolder();
const pools: WorkerPool[] = [];
const servers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of servers.splice(0)) await close();
  await Promise.all(pools.splice(0).map((pool) => pool.close({ grace: 0 })));
});

let namespaces = 0;
function namespace(): () => LocalDiscovery {
  namespaces += 1;
  const name = `pools-${namespaces}`;
  return () => new LocalDiscovery(name, { folder: `${folder}/found` });
}

async function open(options: PoolOptions): Promise<WorkerPool> {
  const pool = await WorkerPool.open(options);
  pools.push(pool);
  return pool;
}

const pids = async (pool: WorkerPool, calls = 8) =>
  new Set(await Promise.all(Array.from({ length: calls }, () => pid.on(pool)())));
const pidsOf = (pool: WorkerPool) => new Set(pool.workers.map((worker) => worker.pid));

describe('a durable pool', () => {
  test('uses the workers that others announce, and no longer than they are there', async () => {
    const discovery = namespace();
    const hybrid = await open({ size: 2, discovery, tags: ['gpu'], extra: { zone: 'b' } });
    const durable = await open({ discovery });
    await until(() => expect(durable.workers).toHaveLength(2));
    expect(pidsOf(durable)).toEqual(pidsOf(hybrid));
    expect(durable.workers.every(({ spawned, tags }) => !spawned && tags[0] === 'gpu')).toBe(true);
    await until(async () => expect(await pids(durable)).toEqual(pidsOf(hybrid)));
    await hybrid.close();
    await until(() => expect(durable.workers).toHaveLength(0));
  });

  test('lets its calls wait for the first worker', async () => {
    const discovery = namespace();
    const durable = await open({ discovery });
    const call = pid.on(durable)();
    const hybrid = await open({ size: 1, discovery });
    expect(pidsOf(hybrid)).toContain(await call);
  });

  test('drops a worker that was killed, and goes on with its replacement', async () => {
    const discovery = namespace();
    const hybrid = await open({ size: 2, discovery });
    const durable = await open({ discovery });
    const [victim] = await pids(durable);
    process.kill(victim as number, 'SIGKILL');
    const killed = performance.now();
    await until(() => expect(pidsOf(durable)).not.toContain(victim));
    expect(performance.now() - killed).toBeLessThan(1_000);
    expect(await pids(durable)).not.toContain(victim);
    await until(() => expect(durable.workers).toHaveLength(2));
    expect(pidsOf(durable)).toEqual(pidsOf(hybrid));
  });

  test('takes those with its tags, and that its filter wants', async () => {
    const discovery = namespace();
    const gpu = await open({ size: 1, discovery, tags: ['gpu', 'fast'] });
    await open({ size: 1, discovery, extra: { zone: 'b' } });
    const tagged = await open({ discovery, tags: ['gpu'] });
    const filtered = await open({ discovery, filter: ({ extra }) => extra?.zone === 'b' });
    await until(() => expect(filtered.workers).toHaveLength(1));
    await until(() => expect(tagged.workers).toHaveLength(1));
    expect(await pids(tagged)).toEqual(new Set([gpu.workers.find((w) => w.spawned)?.pid]));
    expect(await pids(filtered)).not.toEqual(await pids(tagged));
  });

  test('uses as many as it leases', async () => {
    const discovery = namespace();
    await open({ size: 3, discovery });
    const durable = await open({ discovery, lease: 2 });
    await until(() => expect(durable.workers).toHaveLength(2));
    expect((await pids(durable, 20)).size).toBe(2);
  });

  test('connects at once when it is not lazy', async () => {
    const discovery = namespace();
    await open({ size: 1, discovery });
    const ready: unknown[] = [];
    const inspect = (event: { type: string; snapshot?: unknown }) => {
      if ((event.snapshot as { value?: unknown } | undefined)?.value === 'ready') ready.push(event);
    };
    const lazy = await open({ discovery, inspect });
    await until(() => expect(lazy.workers).toHaveLength(1));
    expect(ready).toEqual([]);
    await open({ discovery, inspect, lazy: false });
    await until(() => expect(ready).not.toEqual([]));
  });

  test('asks a worker at an address who it is', async () => {
    const authkey = 'correct horse battery staple';
    const hybrid = await open({ size: 1, authkey, ...onNetwork });
    const [{ address, uid } = { address: '', uid: '' }] = hybrid.workers;
    const durable = await open({ discovery: new StaticDiscovery([address]), authkey });
    await until(() => expect(durable.workers).toMatchObject([{ uid, address, spawned: false }]));
    await until(async () => expect(await pids(durable)).toEqual(pidsOf(hybrid)));
  });

  test('without any worker fails a call after the time in which one should come', async () => {
    const durable = await open({ discovery: namespace(), startTimeout: 100 });
    const error = (await rejection(pid.on(durable)())) as Error;
    expect(error).toBeInstanceOf(NoWorkersAvailable);
    expect(error.message).toBe('no worker was there for 100 ms: discovery has named none');
    const late = rejection(pid.with({ pool: durable, timeout: 10 })());
    expect(((await late) as Error).message).toBe(
      "the call of 'pid' did not end within 10 ms: it never began, as no worker was there (discovery has named none)",
    );
    const gone = await open({
      discovery: new StaticDiscovery(['tcp://127.0.0.1:1']),
      startTimeout: 200,
    });
    // On a busy machine it takes longer than that to learn that nobody is there.
    await until(async () => {
      const { message } = (await rejection(pid.on(gone)())) as Error;
      expect(message).toContain('it does not answer');
    });
  });

  test('can be closed without any worker, also while a call waits', async () => {
    const durable = await open({ discovery: namespace() });
    const call = rejection(pid.on(durable)());
    await durable.close({ grace: 0 });
    await call;
  });

  test('does not open when nothing can be found', async () => {
    const discovery = {
      subscribe: () => {
        throw new DiscoveryError('the test wants it so');
      },
    };
    await expect(WorkerPool.open({ discovery })).rejects.toBeInstanceOf(DiscoveryError);
    await expect(WorkerPool.open({ discovery, size: 1 })).rejects.toBeInstanceOf(DiscoveryError);
  });

  test('disposes of a discovery that it made, when it is over', async () => {
    const dispose = vi.fn();
    const make = () => Object.assign(new MemoryDiscovery(), { [Symbol.asyncDispose]: dispose });
    const durable = await open({ discovery: make });
    expect(dispose).not.toHaveBeenCalled();
    await durable.close();
    expect(dispose).toHaveBeenCalledOnce();
  });
});

describe('a hybrid pool', () => {
  test('uses its own workers and those that it finds, and does not count its own twice', async () => {
    const discovery = namespace();
    const one = await open({ size: 1, discovery });
    const other = await open({ size: 2, discovery });
    await until(() => expect(one.workers).toHaveLength(3));
    await until(() => expect(other.workers).toHaveLength(3));
    expect(one.workers.filter(({ spawned }) => spawned)).toHaveLength(1);
    await until(async () => expect((await pids(one, 12)).size).toBe(3));
  });

  test('has the calls of its tasks go to all of them', async () => {
    const discovery = namespace();
    await open({ size: 1, discovery });
    const hybrid = await open({ size: 1, discovery });
    await until(() => expect(hybrid.workers).toHaveLength(2));
    const own = hybrid.workers.find(({ spawned }) => spawned)?.pid;
    await until(async () => {
      const { pid, children } = await family.on(hybrid)(6);
      if (pid !== own) throw new Error('it ran elsewhere');
      expect(new Set(children.map((child) => child.pid))).toEqual(pidsOf(hybrid));
    });
  });

  test('keeps its lease beside its size', async () => {
    const discovery = namespace();
    await open({ size: 3, discovery });
    const hybrid = await open({ size: 1, discovery, lease: 1 });
    await until(() => expect(hybrid.workers).toHaveLength(2));
    await until(async () => expect((await pids(hybrid, 12)).size).toBe(2));
  });
});

test('a pool that closes waits for calls on workers that it has found', async () => {
  const discovery = namespace();
  await open({ size: 1, discovery });
  const durable = await open({ discovery });
  const file = `${folder}/closing`;
  const call = gate.on(durable)(file);
  await until(() => expect(durable.workers[0]?.inFlight).toBe(1));
  const closed = durable.close();
  writeFileSync(`${file}.open`, '');
  await call;
  await closed;
});

test('spawned workers import the modules that are named before they take tasks', async () => {
  const module = `${folder}/early.mjs`;
  writeFileSync(module, `import 'node:fs'; process.stderr.write('imported early\\n');`);
  const lines: string[] = [];
  const note = (_fields: object, message: string) => lines.push(message);
  const logger = { debug: note, info: note, warn: note, error: note };
  await open({ size: 2, modules: [module], logger });
  await until(() => expect(lines.filter((line) => line.includes('early'))).toHaveLength(2));
  await expect(
    WorkerPool.open({ size: 1, modules: [`${folder}/none.mjs`], logger }),
  ).rejects.toThrow(/there is no module '.*none\.mjs'/);
});

test('a lease without discovery is for nothing, and a warning says so', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  await open({ size: 1, lease: 2 });
  expect(warn.mock.calls[0]?.[0]).toContain('lease has no effect without discovery');
});

test.each<[PoolOptions, RegExp]>([
  [{ size: 0 }, /^size must be a whole number, 1 or more/],
  [{ discovery: new MemoryDiscovery(), size: -1 }, /^size must be a whole number, 0 or more/],
  [{ discovery: new MemoryDiscovery(), lease: 0 }, /^lease must be a whole number, 1 or more/],
  [{ discovery: 'local' as never }, /^discovery is a string: a discovery has subscribe/],
  [{ filter: 'gpu' as never }, /^filter must be a function/],
  [{ root: '/nowhere' }, /^root must be a folder/],
  [{ modules: 'a.ts' as never }, /^modules must be an array of strings/],
  [{ extra: { a: 1 } as never }, /^each of extra must be a text/],
  [{ transport: 'unix', host: '::1' }, /^host is for transport: 'tcp'/],
])('refuses %o', async (options, message) => {
  const error = (await rejection(WorkerPool.open(options))) as Error;
  expect(error.message).toMatch(message);
});

describe('WorkerPool.connect', () => {
  const authkey = 'a key of the pools in this test';

  async function serve(pool: WorkerPool): Promise<number> {
    const source = {
      workers: () => pool.workers,
      changed: (listener: () => void) => pool.watch(listener),
      down: (grace: number | undefined) => pool.close(grace === undefined ? {} : { grace }),
    };
    const { port, close } = await serveControl({ port: 0, authkey, source });
    servers.push(close);
    return port;
  }

  test('uses the workers of a durable pool, and their replacements', async () => {
    const durable = await open({ size: 2, ...onNetwork, authkey });
    const port = await serve(durable);
    const pool = await WorkerPool.connect({ port, authkey });
    pools.push(pool);
    await until(async () => expect(await pids(pool)).toEqual(pidsOf(durable)));
    const [victim = 0] = pidsOf(durable);
    process.kill(victim, 'SIGKILL');
    await until(() => {
      expect(pidsOf(pool)).not.toContain(victim);
      expect(pidsOf(pool)).toEqual(pidsOf(durable));
      expect(pool.workers).toHaveLength(2);
    });
    await until(async () => expect(await pids(pool)).toEqual(pidsOf(durable)));
    // The durable pool is not this one's to close.
    await pool.close();
    expect(durable.workers).toHaveLength(2);
  });

  test('says who is not there, and who has another key', async () => {
    const port = await serve(await open({ size: 1, ...onNetwork, authkey }));
    await expect(WorkerPool.connect({ port: 1 })).rejects.toBeInstanceOf(PoolUnreachable);
    await expect(WorkerPool.connect({ port })).rejects.toBeInstanceOf(AuthenticationError);
    await expect(
      WorkerPool.connect({ port, authkey: 'another key of the pools' }),
    ).rejects.toBeInstanceOf(AuthenticationError);
  });

  test.each<[object, RegExp]>([
    [{ size: 1 }, /^WorkerPool\.connect\(options\) has no option 'size'/],
    [{ port: -1 }, /^port must be a whole number/],
    [{ authkey: '' }, /authkey/],
  ])('refuses %o', async (options, message) => {
    const error = (await rejection(WorkerPool.connect(options))) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(message);
  });
});

describe('an authkey', () => {
  test('is shown by the pool, its workers and those that it finds', async () => {
    const discovery = namespace();
    const authkey = 'a key of the pools in this test';
    const hybrid = await open({ size: 2, discovery, authkey });
    await open({ size: 1, discovery, authkey: new TextEncoder().encode(authkey) });
    await until(() => expect(hybrid.workers).toHaveLength(3));
    await until(async () => expect((await pids(hybrid, 12)).size).toBe(3));
    const { children } = await family.on(hybrid)(6);
    expect(new Set(children.map((child) => child.pid)).size).toBeGreaterThan(1);
  });

  test.each([undefined, 'another key of the pools here'])(
    'that is not the same, %o, keeps a pool out of the workers',
    async (wrong) => {
      const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
      const discovery = namespace();
      await open({ size: 1, discovery, authkey: 'a key of the pools in this test' });
      const stranger = await open({
        discovery,
        startTimeout: 300,
        ...(wrong !== undefined && { authkey: wrong }),
      });
      const error = (await rejection(pid.on(stranger)())) as Error;
      expect(error).toBeInstanceOf(NoWorkersAvailable);
      expect(error.message).toContain('authkey');
      expect(warn.mock.calls.join()).toContain('it refused the link, and is left out');
    },
  );
});
