/** The thread that answers for a worker's process, as those see it who call it. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type PoolWorker,
  WorkerCredentials,
  WorkerPool,
  WorkerUnreachable,
} from '../../src/index.ts';
import { RuntimeLog } from '../../src/logger.ts';
import { defaultPeerLimits } from '../../src/security/limits.ts';
import type { CertificateBytes } from '../../src/security/material.ts';
import { CredentialSource } from '../../src/security/source.ts';
import { beatTransport } from '../../src/transport/beat.ts';
import { stopWorker } from '../../src/transport/stop.ts';
import type { CloseReason } from '../../src/transport/transport.ts';
import { type Beat, decodeBeat, encodeBeat } from '../../src/wire/beat.js';
import { startBeat } from '../../src/worker/beat.ts';
import { WorkerOutput } from '../../src/worker/output.ts';
import { WorkerProcess } from '../../src/worker/process.ts';
import { Authority, type Certificates } from './certificates.ts';
import { rejection, scratchFolder, trace, until } from './helpers.ts';
import { block } from './routines/busy.ts';

const folder = scratchFolder();

/** A channel to a beat, and what came of it. */
function dial(address: string, credentials?: CredentialSource) {
  const beats: (Beat | undefined)[] = [];
  const channel = beatTransport({ credentials }).connect(address);
  const closed = new Promise<CloseReason>((resolve) => {
    channel.open({
      packet: (bytes) => beats.push(decodeBeat(bytes)),
      drain: () => {},
      closed: resolve,
    });
  });
  return { channel, beats, closed };
}

describe.each(['unix', 'tcp'] as const)('the beat of a worker, over %s', (transport) => {
  let pool: WorkerPool;
  let worker: PoolWorker;
  beforeAll(async () => {
    pool = await WorkerPool.open({ size: 1, transport });
    worker = pool.workers[0] as PoolWorker;
  });
  afterAll(() => pool.close({ grace: 0 }));

  test('says how long ago the event loop turned, also while it is blocked', async () => {
    const { channel, beats, closed } = await until(async () => {
      const line = dial(worker.beat as string);
      line.channel.send(encodeBeat('poke'));
      await until(() => expect(line.beats).toHaveLength(1), 1_000);
      return line;
    });
    expect(beats[0]?.kind).toBe('beat');
    const file = trace(folder);
    const blocked = block.on(pool)(file.path, 60_000);
    await file.has('start');
    await until(() => {
      channel.send(encodeBeat('poke'));
      expect(beats.at(-1)?.ms).toBeGreaterThan(500);
    });
    file.open();
    await blocked;
    await until(() => {
      channel.send(encodeBeat('poke'));
      expect(beats.at(-1)?.ms).toBeLessThan(250);
    });
    channel.close({ code: 'closed', message: 'enough' });
    expect(await closed).toEqual({ code: 'closed', message: 'enough' });
  });

  test.each([
    ['a packet that is none', Buffer.from('GET / HTTP/1.1\r\n')],
    ['an answer', encodeBeat('beat', 1)],
  ])('hangs up on %s, and serves others on', async (_what, bytes) => {
    const bad = dial(worker.beat as string);
    bad.channel.send(bytes);
    expect(await bad.closed).toMatchObject({ code: 'lost' });
    const good = dial(worker.beat as string);
    good.channel.send(encodeBeat('poke'));
    await until(() => expect(good.beats).toHaveLength(1));
    good.channel.close({ code: 'closed', message: 'enough' });
  });
});

test('a beat answers where modules of other transports have it answer, and says which can not', async () => {
  const path = join(folder, 'beside.beat');
  const module = new URL('../fixtures/own-beat.js', import.meta.url).href;
  const missing = new URL('./nowhere.js', import.meta.url).href;
  const warnings: string[] = [];
  const warned = ({ name, message }: Error) => warnings.push(`${name}: ${message}`);
  process.on('warning', warned);
  const beat = await startBeat(undefined, {
    mayKill: false,
    also: [
      { module, setup: { path } },
      { module, setup: { path: '' } },
      { module: missing, setup: {} },
    ],
  });
  // Nowhere on this machine.
  expect(beat.address).toBeUndefined();
  await until(async () => {
    const { channel, beats } = dial(`beat+unix://${path}`);
    channel.send(encodeBeat('poke'));
    await until(() => expect(beats).toMatchObject([{ kind: 'beat' }]), 500);
    channel.close({ code: 'closed', message: 'enough' });
  });
  await until(() => expect(warnings).toHaveLength(2));
  expect(warnings.sort()).toEqual([
    expect.stringMatching(/^SkeinBeatWarning: the beat can't be served by .*: Error: no path$/),
    expect.stringMatching(/^SkeinBeatWarning: the beat can't be served by .*nowhere\.js: /),
  ]);
  process.off('warning', warned);
  await beat.close();
});

test.each(['beat+tcp://127.0.0.1:0', `beat+unix://${join(folder, 'closed.beat')}`])(
  'a beat that is closed answers no more, and frees %s',
  async (place) => {
    const beat = await startBeat(place, { mayKill: false });
    const { address = '' } = beat;
    const line = dial(address);
    line.channel.send(encodeBeat('poke'));
    await until(() => expect(line.beats).toHaveLength(1));
    await beat.close();
    expect(await line.closed).toMatchObject({ code: 'lost' });
    expect(await dial(address).closed).toMatchObject({ code: 'unreachable' });
    const next = await startBeat(address, { mayKill: false });
    expect(next.address?.replace(/#.*/, '')).toBe(address.replace(/#.*/, ''));
    await next.close();
  },
);

describe('the beat of a worker over TCP', () => {
  let pool: WorkerPool;
  let beat: string;
  let place: string;
  beforeAll(async () => {
    pool = await WorkerPool.open({ size: 1, transport: 'tcp' });
    beat = pool.workers[0]?.beat as string;
    place = beat.replace(/#.*/, '');
  });
  afterAll(() => pool.close({ grace: 0 }));

  test('answers nobody who has not its token', async () => {
    expect(beat).toMatch(/^beat\+tcp:\/\/127\.0\.0\.1:\d+#[0-9a-f]{32}$/);
    const other = `${place}#${'0'.repeat(32)}`;
    for (const address of [place, other]) {
      const stranger = dial(address);
      // As many bytes as a token has, at least.
      for (let i = 0; i < 4; i += 1) stranger.channel.send(encodeBeat('stop'));
      expect(await stranger.closed).toMatchObject({ code: 'lost' });
      expect(stranger.beats).toEqual([]);
    }
    const friend = dial(beat);
    friend.channel.send(encodeBeat('poke'));
    await until(() => expect(friend.beats).toHaveLength(1));
    friend.channel.close({ code: 'closed', message: 'enough' });
  });

  test('answers who has its token though strangers take all its places', async () => {
    const { hostname, port } = new URL(place.replace('beat+', ''));
    const friend = dial(beat);
    friend.channel.send(encodeBeat('poke'));
    await until(() => expect(friend.beats).toHaveLength(1));
    const strangers = Array.from({ length: 1_100 }, () => connect(Number(port), hostname));
    const ended = strangers.map((socket) => once(socket.on('error', () => {}).resume(), 'close'));
    await Promise.all(strangers.map((socket) => once(socket, 'connect')));
    const late = dial(beat);
    for (const { channel } of [friend, late]) channel.send(encodeBeat('poke'));
    await until(() => expect([friend.beats.length, late.beats.length]).toEqual([2, 1]), 4_000);
    for (const socket of strangers) socket.destroy();
    await Promise.all(ended);
    for (const { channel } of [friend, late]) {
      channel.close({ code: 'closed', message: 'enough' });
    }
  });

  test('takes a token in pieces, and says it in no log', async () => {
    const { hostname, port } = new URL(place.replace('beat+', ''));
    const socket = connect(Number(port), hostname);
    const token = Buffer.from(beat.replace(/.*#/, ''), 'hex');
    for (const byte of Buffer.concat([token, encodeBeat('poke')])) {
      await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
    }
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(decodeBeat(answer)).toMatchObject({ kind: 'beat' });
    socket.destroy();
    const { channel, closed } = dial(beat);
    expect(channel.remote).toBe(place);
    channel.close({ code: 'closed', message: 'enough' });
    await closed;
    expect((await dial(`${place}#secret`).closed).message).not.toContain('secret');
  });

  test('is not taken for one that has ended by who stops it with another token', async () => {
    const address = 'tcp://127.0.0.1:1';
    const stopped = stopWorker(address, { beat: `${place}#${'0'.repeat(32)}`, grace: 0 });
    expect(await rejection(stopped)).toBeInstanceOf(WorkerUnreachable);
  });
});

describe('the beat of a worker with credentials', () => {
  let authority: Authority;
  let good: Certificates;
  beforeAll(async () => {
    authority = await Authority.make();
    good = await authority.issue();
  });
  const sourceOf = (given: CertificateBytes) =>
    new CredentialSource(WorkerCredentials.fromBytes(given), { warn: () => {} });
  const places = ['beat+tcp://127.0.0.1:0', `beat+unix://${join(folder, 'secure.beat')}`];

  test.each(places)('answers who has the certificates, and nobody else, at %s', async (place) => {
    const beat = await startBeat(place, { mayKill: false, credentials: sourceOf(good) });
    const { address = '' } = beat;
    const strangers: (CertificateBytes | undefined)[] = [
      undefined,
      { ca: good.ca, mutual: false },
      { ...(await (await Authority.make()).issue()), ca: good.ca },
      { ...good, identity: 'someone.else' },
    ];
    for (const given of strangers) {
      const { channel, beats, closed } = dial(address, given && sourceOf(given));
      channel.send(encodeBeat('poke'));
      // In plain text there was a connection, and what was sent on it is lost.
      expect((await closed).code).toBe(given ? 'unreachable' : 'lost');
      expect(beats).toEqual([]);
    }
    const fickle = dial(address, sourceOf(good));
    fickle.channel.close({ code: 'closed', message: 'enough' });
    expect(await fickle.closed).toEqual({ code: 'closed', message: 'enough' });
    const friend = dial(address, sourceOf(good));
    for (let i = 0; i < 3; i += 1) friend.channel.send(encodeBeat('poke'));
    await until(() => expect(friend.beats).toHaveLength(3));
    await beat.close();
    expect((await friend.closed).code).toBe('lost');
  });

  test('shows its token to no other server', async () => {
    const other = await Authority.make();
    const heard: Buffer[] = [];
    const server = createTlsServer({ ...(await other.issue()), ALPNProtocols: ['skein-beat'] });
    server.on('secureConnection', (socket) => {
      socket.on('data', (bytes) => heard.push(bytes));
      socket.on('error', () => {});
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as { port: number };
    const address = `beat+tcp://127.0.0.1:${port}#${'0'.repeat(32)}`;
    const { channel, closed } = dial(address, sourceOf(good));
    channel.send(encodeBeat('poke'));
    expect((await closed).code).toBe('unreachable');
    await new Promise((resolve) => server.close(resolve));
    expect(heard).toEqual([]);
  });

  test('takes new ones for new connections, and goes on with those that are open', async () => {
    const other = await Authority.make();
    const credentials = CredentialSource.pushed(sourceOf(good).material);
    const beat = await startBeat(places[0], { mayKill: false, credentials });
    const { address = '' } = beat;
    const before = dial(address, sourceOf(good));
    before.channel.send(encodeBeat('poke'));
    await until(() => expect(before.beats).toHaveLength(1));
    const next = sourceOf(await other.issue());
    credentials.push(next.material);
    await until(async () => {
      const after = dial(address, next);
      after.channel.send(encodeBeat('poke'));
      await until(() => expect(after.beats).toHaveLength(1), 500);
      after.channel.close({ code: 'closed', message: 'enough' });
    });
    before.channel.send(encodeBeat('poke'));
    await until(() => expect(before.beats).toHaveLength(2));
    await beat.close();
  });

  test('answers though strangers take all its places', async () => {
    const beat = await startBeat(places[0], { mayKill: false, credentials: sourceOf(good) });
    const { address = '' } = beat;
    const port = Number(/:(\d+)#/.exec(address)?.[1]);
    const friend = dial(address, sourceOf(good));
    friend.channel.send(encodeBeat('poke'));
    await until(() => expect(friend.beats).toHaveLength(1));
    const strangers = Array.from({ length: 1_100 }, () => connect(port, '127.0.0.1'));
    const ended = strangers.map((socket) => once(socket.on('error', () => {}).resume(), 'close'));
    await Promise.all(strangers.map((socket) => once(socket, 'connect')));
    const late = dial(address, sourceOf(good));
    for (const { channel } of [friend, late]) channel.send(encodeBeat('poke'));
    await until(() => expect([friend.beats.length, late.beats.length]).toEqual([2, 1]), 4_000);
    for (const socket of strangers) socket.destroy();
    await Promise.all(ended);
    await beat.close();
  });
});

test.each([
  ['beat+unix:///nowhere/at/all.beat', /No beat answers at .*ENOENT/],
  ['beat+tcp://127.0.0.1:1', /No beat answers at .*ECONNREFUSED/],
  ['unix:///a.sock', /is not the address of a beat/],
  ['beat+udp://a', /is not an address/],
])('a channel to %s tells that nobody is there', async (address, message) => {
  expect(await dial(address).closed).toMatchObject({
    code: 'unreachable',
    message: expect.stringMatching(message),
  });
});

test('Stop of a worker that is not there fails with the reason', async () => {
  const beat = 'beat+unix:///nowhere/at/all.beat';
  const stopped = stopWorker('unix:///nowhere/at/all.sock', { beat, grace: 0 });
  expect(await rejection(stopped)).toHaveProperty('message', expect.stringContaining('ENOENT'));
});

test.each(['unix', 'tcp'])(
  'a worker whose beat can’t listen over %s ends, and says why',
  async (scheme) => {
    const [place, said] =
      scheme === 'unix'
        ? [
            `unix://${join(folder, 'none', 'a.beat')}`,
            'a.beat (the beat): there is no such directory',
          ]
        : ['tcp://192.0.2.1:0', "Can't listen on 192.0.2.1: this host has no such address"];
    const output = new WorkerOutput(new RuntimeLog(undefined, 'warn'));
    const why = await new Promise<string>((exited) => {
      new WorkerProcess(
        {
          address: 'tcp://127.0.0.1:0',
          beat: `beat+${place}`,
          transports: [],
          tags: [],
          concurrency: undefined,
          limits: { ...defaultPeerLimits, maxValueBytes: 1_000 },
          exposeStacks: true,
          allowInline: false,
          strict: false,
          backpressure: undefined,
          authkey: undefined,
          secret: undefined,
          material: undefined,
          authorize: undefined,
          callerLostAfterMs: undefined,
          extra: undefined,
          modules: [],
          root: '.',
          files: true,
          lazy: true,
          proxyTtlMs: undefined,
          lostAfterMs: 1_000,
        },
        { startTimeoutMs: 20_000, killTimeoutMs: 1_000, output },
        { started: () => {}, leaving: () => {}, exited },
      );
    });
    expect(why).toContain(said);
  },
);
