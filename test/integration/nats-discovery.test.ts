/** Workers that find each other on a real NATS server. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AnnouncedWorker } from '../../src/discovery/discovery.ts';
import { DiscoveryError } from '../../src/errors.ts';
import { Worker, WorkerPool } from '../../src/index.ts';
import { NatsDiscovery, natsTransport } from '../../src/nats/index.ts';
import { discoveryContract } from '../../src/testing/index.ts';
import { ROOT, rejection, runScript, scratchFolder, until } from './helpers.ts';
import { type NatsServer, noNats, startNats, startNatsCluster } from './nats-server.ts';
import { add } from './routines/math.ts';

let server: NatsServer;
let places = 0;

/** Workers that nobody else finds. */
function place(): { open: () => NatsDiscovery; [Symbol.asyncDispose](): Promise<void> } {
  places += 1;
  const name = `place-${places}`;
  const opened: NatsDiscovery[] = [];
  return {
    open: () => {
      const discovery = new NatsDiscovery(name, { servers: server.url });
      opened.push(discovery);
      return discovery;
    },
    [Symbol.asyncDispose]: async () => {
      for (const discovery of opened) await discovery[Symbol.asyncDispose]();
    },
  };
}

function worker(uid: string, fields: Partial<AnnouncedWorker> = {}): AnnouncedWorker {
  const address = `nats://default/anyone/at-${uid}`;
  return { uid, address, pid: 7, host: 'there', version: '1.2.3', ...fields };
}

/** What a subscriber is told, as it comes. */
function listen(discovery: NatsDiscovery): string[] {
  const told: string[] = [];
  const take = async () => {
    for await (const { type, worker } of discovery.subscribe()) {
      told.push(`${type.slice('worker-'.length)} ${worker.uid}`);
    }
  };
  take().catch((error) => told.push(`failed: ${error}`));
  return told;
}

describe.skipIf(noNats !== undefined)('over NATS', () => {
  beforeAll(async () => {
    server = await startNats();
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  describe('NatsDiscovery', () => {
    test.each(discoveryContract)('$name', ({ run }) => run(place));
  });

  test('200 workers are found at once by who comes late', async () => {
    await using all = place();
    const announcing = all.open();
    const uids = Array.from({ length: 200 }, (_, n) => `w${n}`);
    await Promise.all(uids.map((uid) => announcing.publisher.publish('worker-added', worker(uid))));
    const begun = performance.now();
    const told = listen(all.open());
    await until(() => expect(told).toHaveLength(200));
    // Before all are announced again.
    expect(performance.now() - begun).toBeLessThan(1_500);
    expect(new Set(told)).toEqual(new Set(uids.map((uid) => `added ${uid}`)));
  });

  test('a server that is killed and comes back drops nobody, and what changed meanwhile is told', async () => {
    await using own = await startNats();
    const open = () => new NatsDiscovery('app', { servers: own.url });
    await using announcing = open();
    await using looking = open();
    const { publisher } = announcing;
    await publisher.publish('worker-added', worker('a'));
    const told = listen(looking);
    await until(() => expect(told).toEqual(['added a']));
    await own.kill();
    const published = publisher.publish('worker-added', worker('b'));
    await own.start();
    await published;
    await until(() => expect(told).toEqual(['added a', 'added b']));
    await publisher.publish('worker-dropped', worker('a'));
    await until(() => expect(told).toEqual(['added a', 'added b', 'dropped a']));
  });

  test('workers are found across a cluster, and kept when one of its servers is killed', async () => {
    const servers = await startNatsCluster(3);
    try {
      const at = (index: number) =>
        new NatsDiscovery('app', { servers: servers[index]?.url ?? '' });
      await using announcing = at(0);
      await using looking = at(1);
      const told = listen(looking);
      await announcing.publisher.publish('worker-added', worker('a'));
      await until(() => expect(told).toEqual(['added a']));
      await servers[0]?.kill();
      // On another server, whose address the first one has told.
      await announcing.publisher.publish('worker-updated', worker('a', { tags: ['moved'] }));
      await until(() => expect(told).toEqual(['added a', 'updated a']));
    } finally {
      for (const server of servers) await server[Symbol.asyncDispose]();
    }
  });

  test('a process that is killed is missed after 6 to 10 s; what announces and looks keeps none alive', async () => {
    const file = join(scratchFolder(), 'program.ts');
    const stay = 'process.argv[2]';
    writeFileSync(
      file,
      `import { NatsDiscovery } from ${JSON.stringify(join(ROOT, 'src/nats/index.ts'))};
      const discovery = new NatsDiscovery('killed', { servers: ${JSON.stringify(server.url)} });
      const events = discovery.subscribe()[Symbol.asyncIterator]();
      if (${stay}) setInterval(() => {}, 1_000);
      void events.next();
      const published = discovery.publisher.publish('worker-added', {
        uid: ${stay} ?? 'short', address: 'tcp://10.0.0.7:1', pid: 1, host: 'here', version: '1',
      });
      void published.then(() => console.log('published'));`,
    );
    await using looking = new NatsDiscovery('killed', { servers: server.url });
    const told = listen(looking);
    const short = runScript(file, [], { cwd: ROOT });
    const long = runScript(file, ['long'], { cwd: ROOT });
    expect(await short.ended, short.stderr()).toBe(0);
    expect(short.stdout()).toContain('published');
    await until(() => expect(told).toContain('added long'));
    long.child.kill('SIGKILL');
    const begun = performance.now();
    await until(() => expect(told).toContain('dropped long'));
    expect(performance.now() - begun).toBeGreaterThan(3_500);
    expect(performance.now() - begun).toBeLessThan(10_000);
    await until(() => expect(told).toContain('dropped short'));
  });

  test('a worker that listens on TCP, too, is reached there, and over NATS where that fails', async () => {
    await using all = place();
    const nats = natsTransport({ servers: server.url });
    await using own = new Worker({ transport: ['tcp', nats], discovery: all.open() });
    await own.start();
    await using pool = await WorkerPool.open({ transport: nats, discovery: all.open() });
    expect(await add.on(pool)(1, 2)).toBe(3);
    const [found] = pool.workers;
    expect(found).toMatchObject({
      alternatives: [expect.stringMatching(/^nats:/)],
      via: own.address,
    });
    expect(own.address).toMatch(/^tcp:/);
    // As another machine is told of it.
    await using elsewhere = place();
    const { host: _, ...metadata } = own.metadata as AnnouncedWorker;
    await elsewhere.open().publisher.publish('worker-added', { ...metadata, host: 'elsewhere' });
    await using far = await WorkerPool.open({ transport: nats, discovery: elsewhere.open() });
    expect(await add.on(far)(1, 2)).toBe(3);
    expect(far.workers[0]?.via).toMatch(/^nats:/);
  });

  test('no server at the address fails both sides, and says so', async () => {
    await using own = await startNats();
    const { url } = own;
    await own.kill();
    const discovery = new NatsDiscovery('app', { servers: url });
    const events = discovery.subscribe()[Symbol.asyncIterator]();
    const error = await rejection(events.next());
    expect(error).toBeInstanceOf(DiscoveryError);
    expect((error as Error).message).toMatch(
      /^Workers can't be looked for on NATS: .*127\.0\.0\.1/,
    );
    const failure = await rejection(discovery.publisher.publish('worker-added', worker('a')));
    expect(failure).toBeInstanceOf(DiscoveryError);
  });
});
