/** Workers that are reached over gRPC and over NATS: gRPC first, NATS where it does not connect. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Front } from '../../chaos/relay.ts';
import { Worker, WorkerPool, workerStatus } from '../../src/index.ts';
import { NatsDiscovery, natsTransport } from '../../src/nats/index.ts';
import { openWith } from '../../src/pool/pool.ts';
import { until } from './helpers.ts';
import { type NatsServer, noNats, startNats } from './nats-server.ts';
import { pid } from './routines/tasks.ts';

describe.skipIf(noNats)('a worker on both', () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test('is found on the bus, and called over gRPC as long as that connects', async () => {
    const nats = natsTransport({ servers: server.url });
    const discovery = new NatsDiscovery('mixed', nats);
    const worker = new Worker({ transport: ['tcp', nats], discovery });
    await worker.start();
    const { address = '', alternatives = [], beat } = worker.metadata ?? {};
    const [overNats = ''] = alternatives;
    expect([address, overNats]).toEqual([
      expect.stringMatching(/^tcp:/),
      expect.stringMatching(/^nats:/),
    ]);
    // Each way leads to a beat of its own.
    expect((await workerStatus(address)).beat).toBe(beat);
    expect((await workerStatus(overNats, { transport: nats })).beat).toMatch(/^beat\+nats:/);

    const front = await Front.open(new Map());
    front.aim(address);
    const reach = (place: string) => (place === address ? front.address : place);
    const options = { discovery: new NatsDiscovery('mixed', nats), transport: nats };
    const pool = await WorkerPool[openWith](options, { reach });
    const way = () => pool.workers.map(({ via }) => via);
    expect(await pid.on(pool)()).toBe(process.pid);
    expect(way()).toEqual([front.address]);
    front.close();
    await until(() => expect(way()).toEqual([undefined]));
    expect(await pid.on(pool)()).toBe(process.pid);
    expect(way()).toEqual([overNats]);
    await pool.close();
    await worker.stop();
  });

  test('that a pool spawned is called over gRPC, also while the server is away', async () => {
    const transport = natsTransport({ servers: server.url });
    await using pool = await WorkerPool.open({ size: 2, transport: [transport, 'tcp'] });
    await server.kill();
    const seen = await pool.run(() => Promise.all([pid(), pid()]));
    expect(seen.sort()).toEqual(pool.workers.map((worker) => worker.pid).sort());
    for (const { via } of pool.workers) expect(via).toMatch(/^tcp:/);
    await server.restart();
  });
});
