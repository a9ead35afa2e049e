/**
 * The accounts of examples/nats/nats-server.conf: what each may do, and what it may not. The strangers are
 * accounts of the same kinds with other names, as the file tells to add them.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  DiscoveryError,
  ListenError,
  NoWorkersAvailable,
  type PoolOptions,
  stopWorker,
  WorkerPool,
  WorkerUnreachable,
  workerStatus,
} from '../../src/index.ts';
import { NatsDiscovery, type NatsTransport, natsTransport } from '../../src/nats/index.ts';
import { ROOT, rejection, scratchFolder, trace, until } from './helpers.ts';
import { type NatsServer, noNats, program, startNats } from './nats-server.ts';
import { block, blockElsewhere } from './routines/busy.ts';
import { add, squares } from './routines/math.ts';
import { family } from './routines/tasks.ts';

const FILE = join(ROOT, 'examples/nats/nats-server.conf');
const PASSWORDS = { GPU_PASSWORD: 'p-gpu', ALICE_PASSWORD: 'p-alice', OPS_PASSWORD: 'p-ops' };

/** The same, with a stranger for each user, on a port that the test chooses. */
function withStrangers(config: string): string {
  const strangers = { gpu: 'cpu', alice: 'mallory' };
  const users = Object.entries(strangers).map(([user, stranger]) => {
    const [block] = new RegExp(`\\{\\s+user: ${user}\\n.*?\\n {4}\\}`, 's').exec(config) ?? [];
    if (block === undefined) throw new Error(`there is no user ${user}`);
    return block.replace(/\$\w+/, `"p-${stranger}"`).replaceAll(user, stranger);
  });
  const variables = Object.entries(PASSWORDS).map(([name, value]) => `${name}: "${value}"\n`);
  const file = config.replace(/^listen:.*/m, variables.join(''));
  return file.replace('users: [', `users: [\n${users.join('\n')}`);
}

let server: NatsServer;

describe.skipIf(noNats !== undefined)('on a server with confined accounts', () => {
  beforeAll(async () => {
    server = await startNats({ config: withStrangers(readFileSync(FILE, 'utf8')) });
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  test('the file is one that the server takes', () => {
    const env = { ...process.env, ...PASSWORDS };
    const { stderr, status } = spawnSync(program as string, ['-c', FILE, '-t'], {
      encoding: 'utf8',
      env,
    });
    expect({ stderr, status }).toEqual({ stderr: expect.stringContaining('is valid'), status: 0 });
  });

  /** What the server refuses of what an account tries, by its own words. */
  async function refusedTo(
    user: string,
    tried: (client: NatsConnection) => void,
  ): Promise<string[]> {
    const client = await connect({
      servers: server.url,
      user,
      pass: `p-${user}`,
      reconnect: false,
    });
    const refused: string[] = [];
    const watch = async () => {
      for await (const status of client.status()) {
        if (status.type === 'error') refused.push(String(status.error.message));
      }
    };
    const watching = watch();
    tried(client);
    await client.flush();
    await client.close();
    await watching;
    return refused.map((text) => text.replace(/^Permissions Violation for /, ''));
  }

  const worker = 'skein.default.worker.gpu.wid';

  test.each([
    ['call as another one', [`${worker}.link.alice.ch`, `${worker}.beat.alice.ch`]],
    ['stop a worker', [`${worker}.stop.mallory.ch`, `${worker}.halt.mallory.ch`]],
    ['have it that a caller is gone', [`${worker}.none.mallory.ch`]],
    ['answer in place of a worker', ['skein.default.caller.alice.gpu.ch']],
    ['answer as a worker', ['skein.default.caller.alice.mallory.ch']],
    ['announce a worker', ['gpu', 'mallory'].map((own) => `skein.default.announce.app.${own}.wid`)],
    ['ask as another one', ['skein.default.who.app.alice.ch']],
    ['speak in another cluster', ['skein.other.worker.gpu.wid.link.mallory.ch']],
  ])('a caller can not %s', async (_, subjects) => {
    const refused = await refusedTo('mallory', (client) => {
      for (const subject of subjects) client.publish(subject, 'forged');
    });
    expect(refused).toEqual(subjects.map((subject) => `Publish to "${subject}"`));
  });

  test.each([
    ['answers to others', ['skein.default.caller.alice.>', 'skein.default.caller.*.gpu.*']],
    ['calls', ['skein.default.worker.>', `${worker}.link.*.*`, 'skein.default.worker.mallory.>']],
    ['everything', ['>', 'skein.>', '*.*.*.*.*.*', '*.*.*.*.*.*.*.*']],
    ['who looks for workers', ['skein.default.who.>']],
  ])('a caller can not hear %s', async (_, subjects) => {
    const refused = await refusedTo('mallory', (client) => {
      for (const subject of subjects) client.subscribe(subject);
    });
    expect(refused).toEqual(subjects.map((subject) => `Subscription to "${subject}"`));
  });

  test('a worker can not answer or announce for one of another identity, or hear it', async () => {
    const refused = await refusedTo('cpu', (client) => {
      client.publish('skein.default.caller.alice.gpu.ch', 'forged');
      client.publish('skein.default.announce.app.gpu.wid', 'forged');
      client.publish(`${worker}.link.alice.ch`, 'forged');
      client.publish(`${worker}.stop.cpu.ch`, 'forged');
      client.subscribe('skein.default.worker.gpu.>');
      client.subscribe('skein.default.caller.alice.>');
    });
    expect(refused).toEqual([
      'Publish to "skein.default.caller.alice.gpu.ch"',
      'Publish to "skein.default.announce.app.gpu.wid"',
      `Publish to "${worker}.link.alice.ch"`,
      `Publish to "${worker}.stop.cpu.ch"`,
      'Subscription to "skein.default.worker.gpu.>"',
      'Subscription to "skein.default.caller.alice.>"',
    ]);
  });

  describe('a worker, a caller and an operator', () => {
    const folder = scratchFolder();
    let transports: Record<'gpu' | 'alice' | 'ops' | 'cpu' | 'mallory', NatsTransport>;
    let workers: WorkerPool;
    let pool: WorkerPool;

    beforeEach(() => {
      // They are warned of what they are refused.
      vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    });

    beforeAll(async () => {
      const login = (user: string) =>
        natsTransport({ servers: server.url, user, pass: `p-${user}`, goneAfter: 1_000 });
      transports = {
        gpu: login('gpu'),
        alice: login('alice'),
        ops: login('ops'),
        cpu: login('cpu'),
        mallory: login('mallory'),
      };
      workers = await open('gpu', { size: 2, lostAfter: 1_000 });
      pool = await open('alice', { lostAfter: 1_000 });
    });

    afterAll(async () => {
      await pool?.close();
      await workers?.close();
    });

    function open(user: keyof typeof transports, options: PoolOptions): Promise<WorkerPool> {
      const transport = transports[user];
      const discovery = new NatsDiscovery('app', transport);
      return WorkerPool.open({ transport, discovery, ...options });
    }

    test('do all that they need', async () => {
      await until(() => expect(pool.workers).toHaveLength(2));
      expect(pool.workers.map(({ address }) => address)).toEqual(
        Array(2).fill(expect.stringMatching(/^nats:\/\/default\/gpu\//)),
      );
      expect(await add.on(pool)(1, 2)).toBe(3);
      const numbers: number[] = [];
      for await (const number of squares.on(pool)(3)) numbers.push(number);
      expect(numbers).toEqual([0, 1, 4]);
      // The calls of a task go to its own worker, and to the other one.
      const { children } = await family.on(pool)(10);
      expect(new Set(children.map(({ pid }) => pid)).size).toBe(2);
    });

    test('see that a worker lives whose event loop is blocked, also from a task', async () => {
      const { path } = trace(folder);
      const ms = 1_800;
      expect(await block.on(pool)(path, ms)).toBeTypeOf('number');
      const { own, other } = await blockElsewhere.on(pool)(path, ms);
      expect(other).not.toBe(own);
    });

    test('are told which workers there are, and how they are', async () => {
      const address = pool.workers[0]?.address as string;
      const found: string[] = [];
      for await (const { worker } of new NatsDiscovery('app', transports.ops).subscribe()) {
        if (found.push(worker.address) === 2) break;
      }
      expect(found).toContain(address);
      for (const transport of [transports.alice, transports.ops]) {
        expect(await workerStatus(address, { transport })).toMatchObject({ inFlight: 0 });
      }
    });

    test('meet no caller that stops workers', async () => {
      const address = pool.workers[0]?.address as string;
      const { mallory: transport } = transports;
      const error = await rejection(stopWorker(address, { transport, grace: 0 }));
      expect(error).toBeInstanceOf(WorkerUnreachable);
      expect((error as Error).message).toContain("don't let this process publish on");
      expect(await add.on(pool)(1, 2)).toBe(3);
    });

    test('meet no caller that takes the place of another one', async () => {
      const address = pool.workers[0]?.address as string;
      const { url: servers } = server;
      const liar = { servers, user: 'mallory', pass: 'p-mallory', identity: 'alice' };
      const calling = workerStatus(address, { transport: natsTransport(liar) });
      const { message } = (await rejection(calling)) as Error;
      expect(message).toContain("don't let this process");
      // The name of a channel is in no message.
      expect(message).not.toMatch(/[\w-]{22}/);
    });

    test('meet no pool that waits for workers which it may not ask', async () => {
      const { url: servers } = server;
      const transport = natsTransport({
        servers,
        user: 'mallory',
        pass: 'p-mallory',
        identity: 'bob',
      });
      const discovery = new NatsDiscovery('app', transport);
      await using wrong = await WorkerPool.open({ transport, discovery });
      const begun = performance.now();
      const error = await rejection(add.on(wrong)(1, 2));
      expect(performance.now() - begun).toBeLessThan(10_000);
      expect(error).toBeInstanceOf(NoWorkersAvailable);
      const { message } = error as Error;
      expect(message).toMatch(/^no worker can be reached: .*it can't be asked: the permissions/);
      expect(message).toContain('check that identity (bob) and cluster (default) are those');
    });

    test('meet no worker of another identity that takes their place', async () => {
      const address = pool.workers[0]?.address as string;
      const worker = { uid: 'a', address, pid: 1, host: 'there', version: '1.2.3' };
      const { publisher } = new NatsDiscovery('app', transports.cpu);
      await expect(publisher.publish('worker-added', worker)).rejects.toThrow(
        'speaks for nats://default/cpu/... alone',
      );
      await expect(transports.cpu.listen(address, undefined as never)).rejects.toThrow(ListenError);
      // One that lies about who it is.
      const { url: servers } = server;
      const liar = { servers, user: 'cpu', pass: 'p-cpu', identity: 'gpu' };
      await expect(natsTransport(liar).listen('nats://', undefined as never)).rejects.toThrow(
        "don't let this process subscribe to",
      );
      await expect(
        new NatsDiscovery('app', liar).publisher.publish('worker-added', worker),
      ).rejects.toThrow("don't let this process publish on skein.default.announce.app.gpu.");
    });

    test('are no workers where they are callers', async () => {
      const { mallory } = transports;
      await expect(mallory.listen('nats://', undefined as never)).rejects.toThrow(
        "don't let this process subscribe to",
      );
      const { publisher } = new NatsDiscovery('app', mallory);
      const address = 'nats://default/mallory/x';
      const worker = { uid: 'b', address, pid: 1, host: 'there', version: '1.2.3' };
      await expect(publisher.publish('worker-added', worker)).rejects.toThrow(DiscoveryError);
      expect(pool.workers).toHaveLength(2);
    });

    test('can stop a worker where they are operators', async () => {
      const address = pool.workers[0]?.address as string;
      await stopWorker(address, { transport: transports.ops, grace: 0 });
      await until(() => {
        expect(pool.workers.map((worker) => worker.address)).not.toContain(address);
      });
    });

    test('were refused nothing', () => {
      expect(server.log).toContain('Violation - User "mallory"');
      expect(server.log).not.toMatch(/Violation - User "(gpu|alice|ops)"/);
    });
  });
});
