/** The thread that answers for a worker's process, over a real NATS server. */
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PoolWorker, stopWorker, WorkerPool } from '../../src/index.ts';
import { natsTransport } from '../../src/nats/index.ts';
import type { CloseReason } from '../../src/transport/transport.ts';
import { type Beat, decodeBeat, encodeBeat } from '../../src/wire/beat.js';
import { isAlive, scratchFolder, trace, until } from './helpers.ts';
import { type NatsServer, noNats, startNats } from './nats-server.ts';
import { block } from './routines/busy.ts';

const GONE_AFTER_MS = 1_000;

describe.skipIf(noNats !== undefined)('the beat of a worker, over NATS', () => {
  const folder = scratchFolder();
  let server: NatsServer;
  let pool: WorkerPool;
  let nats: ReturnType<typeof natsTransport>;

  beforeAll(async () => {
    server = await startNats();
    nats = natsTransport({ servers: server.url, goneAfter: GONE_AFTER_MS });
    pool = await WorkerPool.open({ size: 1, transport: nats, lostAfter: 1_000 });
  });
  afterAll(async () => {
    await pool.close({ grace: 0 });
    await server[Symbol.asyncDispose]();
  });

  const worker = () => pool.workers[0] as PoolWorker;

  /** A channel to a beat, and what came of it. */
  function dial(address = worker().beat as string) {
    const beats: (Beat | undefined)[] = [];
    const channel = nats.connect(address);
    const closed = new Promise<CloseReason>((resolve) => {
      channel.open({
        packet: (bytes) => beats.push(decodeBeat(bytes)),
        drain: () => {},
        closed: resolve,
      });
    });
    const hangUp = () => channel.close({ code: 'closed', message: 'enough' });
    return { channel, beats, closed, hangUp };
  }

  /** Asks until there is an answer: the thread takes its time to start. */
  async function answered(address?: string) {
    return await until(async () => {
      const line = dial(address);
      line.channel.send(encodeBeat('poke'));
      await until(() => expect(line.beats).toHaveLength(1), 1_000);
      return line;
    });
  }

  test('says how long ago the event loop turned, and a task that blocks it is not lost', async () => {
    const { channel, beats, hangUp, closed } = await answered();
    expect(worker().beat).toMatch(/^beat\+nats:\/\/default\/anyone\/[\w-]+#[0-9a-f]{32}$/);
    const file = trace(folder);
    const blocked = block.on(pool)(file.path, 60_000);
    await file.has('start');
    await until(() => {
      channel.send(encodeBeat('poke'));
      // Longer than `lostAfter`.
      expect(beats.at(-1)?.ms).toBeGreaterThan(1_500);
    });
    expect(worker().stalled).toBe(true);
    file.open();
    await blocked;
    hangUp();
    expect(await closed).toEqual({ code: 'closed', message: 'enough' });
  });

  test('goes on when the server has gone and come back', async () => {
    const { channel, beats, hangUp } = await answered();
    await server.restart();
    await until(() => {
      channel.send(encodeBeat('poke'));
      expect(beats.length).toBeGreaterThan(1);
    });
    hangUp();
  });

  describe('to who writes its messages by hand', () => {
    let client: NatsConnection;
    beforeAll(async () => {
      client = await connect({ servers: server.url });
    });
    afterAll(() => client.close());

    const place = () =>
      (worker().beat as string).replace(/^.*default\/|#.*/g, '').replace('/', '.');
    const token = () => Buffer.from((worker().beat as string).replace(/.*#/, ''), 'hex');

    /** How many of some messages are answered. */
    async function answers(messages: readonly (readonly [verb: string, bytes: Uint8Array])[]) {
      let count = 0;
      const channel = `test${Math.random()}`.replace('.', '');
      const [identity, id] = place().split('.');
      const subscription = client.subscribe(`skein.default.caller.eve.${identity}.${channel}`, {
        callback: () => {
          count += 1;
        },
      });
      for (const [verb, bytes] of messages) {
        client.publish(`skein.default.worker.${identity}.${id}.${verb}.eve.${channel}`, bytes);
      }
      await client.flush();
      // By then it has come to the last of them, and its answers have come.
      await answered().then(({ hangUp }) => hangUp());
      await client.flush();
      subscription.unsubscribe();
      return count;
    }

    test('it answers nothing without the token, or that is not for the subject', async () => {
      await answered().then(({ hangUp }) => hangUp());
      const { pid } = worker();
      const stop = Buffer.concat([token(), encodeBeat('stop', 0)]);
      const count = await answers([
        ['beat', encodeBeat('poke')],
        ['beat', Buffer.concat([Buffer.alloc(16), encodeBeat('poke')])],
        ['beat', token()],
        ['beat', Buffer.concat([token(), encodeBeat('poke'), encodeBeat('poke')])],
        ['beat', Buffer.concat([token(), encodeBeat('beat', 1)])],
        ['halt', Buffer.concat([Buffer.alloc(16), encodeBeat('stop', 0)])],
        ['halt', Buffer.concat([token(), encodeBeat('poke')])],
        // Who may only poke can't end it.
        ['beat', stop],
        ['status', stop],
      ]);
      expect(count).toBe(0);
      expect(isAlive(pid as number)).toBe(true);
    });

    test('it answers in bounds, also to who has the token', async () => {
      const poke = Buffer.concat([token(), encodeBeat('poke')]);
      const count = await answers(Array.from({ length: 5_000 }, () => ['beat', poke] as const));
      expect(count).toBeGreaterThan(0);
      expect(count).toBeLessThan(3_000);
    });
  });

  test('tells where nobody is, and shows its token nowhere', async () => {
    const place = (worker().beat as string).replace(/#.*/, '');
    const { channel, hangUp } = await answered();
    expect(channel.remote).toBe(place);
    hangUp();
    const nobody = dial('beat+nats://default/anyone/nobody#00000000000000000000000000000000');
    nobody.channel.send(encodeBeat('poke'));
    expect(await nobody.closed).toMatchObject({ code: 'unreachable' });
    for (const wrong of [`${place}#secret`, 'beat+nats://default#secret']) {
      const { code, message } = await dial(wrong).closed;
      expect({ code, told: message.includes('secret') }).toEqual({
        code: 'unreachable',
        told: false,
      });
    }
  });

  test('ends a worker that a task blocks, and tells that it has ended', async () => {
    await answered().then(({ hangUp }) => hangUp());
    const { address, beat, pid } = worker();
    const file = trace(folder);
    const blocked = block
      .on(pool)(file.path, 60_000)
      .catch((error: Error) => error.name);
    await file.has('start');
    const patient = natsTransport({ servers: server.url, goneAfter: 20_000 });
    await stopWorker(address, { beat, grace: 0, transport: patient });
    // Long before a peer is given up that was not told to end.
    expect(isAlive(pid as number)).toBe(false);
    expect(await blocked).toBe('WorkerLost');
  });
});
