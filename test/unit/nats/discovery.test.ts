/** Workers that are announced on NATS: how they come and go, and who is believed. */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { AnnouncedWorker, DiscoveryEvent } from '../../../src/discovery/discovery.ts';
import { DiscoveryError } from '../../../src/errors.ts';
import { NatsDiscovery } from '../../../src/nats/discovery.ts';
import { discoveryContract } from '../../../src/testing/index.ts';
import { type FakeBus, FakeServer } from './fake-bus.ts';

const HOST = 'here';

let server: FakeServer;
let warnings: string[];

beforeEach(() => {
  server = new FakeServer();
  warnings = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => {
    warnings.push(String(warning));
  });
});

function open(identity = 'gpu', name = 'app', may?: (subject: string) => boolean) {
  const bus = server.connection(identity, may);
  const discovery = new NatsDiscovery(name, {}, { env: server.env(), bus, host: HOST });
  return { bus, discovery, publish: discovery.publisher.publish.bind(discovery.publisher) };
}

function worker(uid: string, fields: Partial<AnnouncedWorker> = {}): AnnouncedWorker {
  const address = `nats://default/gpu/at-${uid}`;
  return { uid, address, pid: 7, host: 'there', version: '1.2.3', ...fields };
}

/** What a subscriber is told, as it comes. */
function listen(discovery: NatsDiscovery): string[] {
  const told: string[] = [];
  const take = async () => {
    for await (const { type, worker } of discovery.subscribe()) told.push(format(type, worker));
  };
  take().catch((error) => told.push(`failed: ${error}`));
  return told;
}

function format(
  type: DiscoveryEvent['type'],
  { uid, tags = [] }: DiscoveryEvent['worker'],
): string {
  return [type.slice('worker-'.length), uid, ...tags].join(' ');
}

/** Says something on a subject, as whoever may. */
function say(bus: FakeBus, subject: string, what: unknown): void {
  const data = typeof what === 'string' ? what : JSON.stringify(what);
  bus.publish(subject, Buffer.from(data));
}

describe('NatsDiscovery', () => {
  test.each(discoveryContract)('$name', ({ run }) => {
    const parts = () => ({ bus: server.connection('gpu') });
    return run(() => ({ open: () => new NatsDiscovery('app', {}, parts()) }));
  });
});

test('a late subscriber hears at once of the workers that there are', async () => {
  for (const uid of ['a', 'b']) await open().publish('worker-added', worker(uid));
  await server.pass(500);
  const told = listen(open('alice').discovery);
  await server.pass(1);
  expect(told.sort()).toEqual(['added a', 'added b']);
});

test('200 workers are found, and dropped once they are silent', async () => {
  const workers = Array.from({ length: 200 }, (_, n) => ({ ...open(), n }));
  for (const { publish, n } of workers) await publish('worker-added', worker(`w${n}`));
  const told = listen(open('alice').discovery);
  await server.pass(10_000);
  expect(told).toHaveLength(200);
  for (const { bus } of workers) bus.cut();
  await server.pass(5_500);
  expect(told).toHaveLength(200);
  await server.pass(3_000);
  expect(told).toHaveLength(400);
  expect(told.slice(200).every((line) => line.startsWith('dropped '))).toBe(true);
});

test('a worker is announced each 2 s, and by an answer to each who asks', async () => {
  await open().publish('worker-added', worker('a'));
  await server.pass(20_500);
  const announced = server.published.filter((subject) => subject.includes('.announce.'));
  expect(announced).toHaveLength(11);
  expect(new Set(announced)).toEqual(new Set(['skein.default.announce.app.gpu.at-a']));
  listen(open('alice').discovery);
  await server.pass(1);
  expect(server.published.slice(-2)).toEqual([
    'skein.default.who.app.alice.uid-2',
    'skein.default.caller.alice.gpu.uid-2',
  ]);
});

test('many who ask at the same time are answered all at once', async () => {
  const { bus, publish } = open();
  await publish('worker-added', worker('a'));
  await server.pass(100);
  const before = server.published.length;
  for (let n = 0; n < 1_000; n += 1) say(bus, `skein.default.who.app.alice.c${n}`, '');
  await server.pass(200);
  const answers = server.published.slice(before).filter((subject) => !subject.includes('.who.'));
  expect(answers).toEqual([
    'skein.default.caller.alice.gpu.c0',
    expect.stringContaining('announce'),
  ]);
});

describe('nobody is dropped while this side', () => {
  test('has no connection', async () => {
    await open().publish('worker-added', worker('a'));
    const { bus, discovery } = open('alice');
    const told = listen(discovery);
    await server.pass(1_000);
    bus.cut();
    await server.pass(60_000);
    bus.mend();
    await server.pass(20_000);
    expect(told).toEqual(['added a']);
  });

  test('has a server that stands still', async () => {
    await open().publish('worker-added', worker('a'));
    const { bus, discovery } = open('alice');
    const told = listen(discovery);
    await server.pass(1_000);
    bus.stopped = true;
    await server.pass(60_000);
    bus.cut();
    bus.mend();
    await server.pass(20_000);
    expect(told).toEqual(['added a']);
  });

  test('hears a worker again that was away, within 6 s after both came back', async () => {
    const { bus, publish } = open();
    await publish('worker-added', worker('a'));
    const looking = open('alice');
    const told = listen(looking.discovery);
    await server.pass(5_000);
    bus.cut();
    looking.bus.cut();
    await server.pass(30_000);
    looking.bus.mend();
    await server.pass(5_500);
    bus.mend();
    await server.pass(10_000);
    expect(told).toEqual(['added a']);
  });
});

test('a worker that was dropped, since its connection was away, is found again with it', async () => {
  const { bus, publish } = open();
  await publish('worker-added', worker('a'));
  const told = listen(open('alice').discovery);
  await server.pass(1_000);
  bus.cut();
  await server.pass(9_000);
  expect(told).toEqual(['added a', 'dropped a']);
  bus.mend();
  await server.pass(1);
  expect(told.at(-1)).toBe('added a');
});

test('a worker that is added or changed while the connection is away is announced once it is back', async () => {
  const { bus, publish } = open();
  await publish('worker-added', worker('a'));
  const told = listen(open('alice').discovery);
  await server.pass(1);
  bus.cut();
  let published = 0;
  for (const one of [worker('a', { tags: ['new'] }), worker('b'), worker('c')]) {
    void publish('worker-updated', one).then(() => {
      published += 1;
    });
  }
  await server.pass(1_000);
  // Nobody waits for what was withdrawn meanwhile.
  await publish('worker-dropped', worker('c'));
  await server.pass(1_000);
  expect({ published, told }).toEqual({ published: 1, told: ['added a'] });
  bus.mend();
  await server.pass(1);
  expect({ published, told }).toEqual({
    published: 3,
    told: ['added a', 'updated a new', 'added b'],
  });
  expect(bus.holds).toBe(0);
  bus.cut();
  void publish('worker-added', worker('d')).then(() => {
    published += 1;
  });
  await server.pass(6_000);
  expect(published).toBe(4);
  expect(warnings.join()).toContain('once the connection to the server is back');
  bus.mend();
  await server.pass(1);
  expect(told.at(-1)).toBe('added d');
});

test('what comes late does not undo what is newer', async () => {
  const { bus, publish } = open();
  const taken: Uint8Array[] = [];
  bus.subscribe('skein.default.announce.app.gpu.at-a', ({ data }) => taken.push(data));
  const told = listen(open('alice').discovery);
  await publish('worker-added', worker('a'));
  await publish('worker-updated', worker('a', { tags: ['new'] }));
  await server.pass(1);
  for (const data of [...taken]) bus.publish('skein.default.announce.app.gpu.at-a', data);
  await server.pass(1);
  expect(told).toEqual(['added a', 'updated a new']);
  await publish('worker-dropped', worker('a'));
  await publish('worker-added', worker('a', { tags: ['again'] }));
  await server.pass(1);
  const events = ['added a', 'updated a new', 'dropped a new', 'added a again'];
  expect(told).toEqual(events);
  for (const data of [...taken]) bus.publish('skein.default.announce.app.gpu.at-a', data);
  // Nor does it keep the worker from being announced.
  await server.pass(9_000);
  expect(told).toEqual(events);
  await publish('worker-dropped', worker('a'));
  for (const data of taken.slice(0, -1)) bus.publish('skein.default.announce.app.gpu.at-a', data);
  await server.pass(1);
  expect(told).toEqual([...events, 'dropped a again']);
});

test('the token of a beat is not announced', async () => {
  const { bus, publish } = open();
  const taken: string[] = [];
  bus.subscribe('skein.default.announce.app.gpu.at-a', ({ data }) => taken.push(String(data)));
  await publish('worker-added', worker('a', { beat: 'beat+nats://default/gpu/at-a#5ec2e7' }));
  await server.pass(1);
  expect(taken).toHaveLength(1);
  expect(taken[0]).not.toContain('5ec2e7');
});

describe('an identity', () => {
  test.each([
    ['nats://default/gpu/x', {}],
    ['nats://other/evil/x', {}],
    ['tcp://10.0.0.7:1', { alternatives: ['nats://default/gpu/x'] }],
    ['nats://default/evil/x', { alternatives: ['nats://default/gpu/x'] }],
    ['nats://default/evil/x', { beat: 'beat+nats://default/gpu/x' }],
    ['nats://default/evil/x', { beat: 'beat+nats://default/evil/y' }],
    ['nats://default/evil/y', {}],
    ['nats://default/evil', {}],
  ])('is not believed that announces another one: %s %j', async (address, fields) => {
    const { bus } = open('evil');
    const told = listen(open('alice').discovery);
    await server.pass(1);
    const forged = { ...worker('a', { address }), ...fields };
    say(bus, 'skein.default.announce.app.evil.x', { v: 1, rev: 1, worker: forged });
    if (!address.endsWith('/y')) {
      say(bus, 'skein.default.caller.alice.evil.uid-2', { v: 1, rev: 1, worker: forged });
    }
    await server.pass(1);
    expect(told).toEqual([]);
    expect(warnings).toEqual([
      expect.stringContaining('by the identity evil is left out: its addr'),
    ]);
  });

  test('is refused that would announce another one', async () => {
    const { publish } = open('evil');
    const publishing = publish('worker-added', worker('a'));
    await expect(publishing).rejects.toThrow(TypeError);
    await expect(publishing).rejects.toThrow('speaks for nats://default/evil/... alone');
  });

  test("does not change or drop another one's worker", async () => {
    const { publish } = open();
    await publish('worker-added', worker('a'));
    const told = listen(open('alice').discovery);
    const { bus } = open('evil');
    await server.pass(1);
    const forged = worker('a', { address: 'nats://default/evil/x' });
    const subject = 'skein.default.announce.app.evil.x';
    say(bus, subject, { v: 1, rev: 9e15, worker: forged });
    say(bus, subject, { v: 1, rev: 9e15, gone: 'a' });
    say(bus, subject, { v: 1, gone: 'a' });
    await server.pass(10_000);
    expect(told).toEqual(['added a']);
    expect(warnings).toEqual([expect.stringContaining('identity gpu, and by evil, too')]);
  });

  test('that says beforehand that a worker has gone hides none of another one', async () => {
    const told = listen(open('alice').discovery);
    const { bus } = open('evil');
    await server.pass(1);
    say(bus, 'skein.default.announce.app.evil.x', { v: 1, rev: 9e15, gone: 'a' });
    await open().publish('worker-added', worker('a'));
    await server.pass(1);
    expect(told).toEqual(['added a']);
  });
});

test.each<[unknown, string]>([
  ['{', 'it is not JSON in UTF-8'],
  ['null', 'it is not an object'],
  [{ v: 2, rev: 1, worker: worker('a') }, 'it is not of version 1'],
  [{ v: 1, rev: -1, worker: worker('a') }, 'rev must be'],
  [{ v: 1, rev: '1', worker: worker('a') }, 'rev must be'],
  [{ v: 1, rev: 1, gone: 'a.b' }, 'gone must be'],
  [{ v: 1, rev: 1 }, 'the metadata of a worker must be an object'],
  [{ v: 1, rev: 1, worker: worker('a', { host: '\u001b[31m' }) }, 'host must have no control'],
  [{ v: 1, rev: 1, worker: worker('a', { uid: '../a' }) }, 'uid must be'],
  [{ v: 1, rev: 1, worker: worker('a'), more: 'x'.repeat(8_192) }, 'it has over 8192 bytes'],
  [
    { v: 1, rev: 1, worker: worker('a', { address: 'unix:///run/a' }) },
    'its address is one that its own machine alone',
  ],
  [
    { v: 1, rev: 1, worker: worker('a', { address: 'tcp://127.0.0.1:5432' }) },
    'its address is one that its own machine alone',
  ],
])(
  'an announcement that can not be used is left out, with a warning: %j',
  async (what, message) => {
    const told = listen(open('alice').discovery);
    const { bus } = open();
    await server.pass(1);
    for (const _ of [1, 2]) say(bus, 'skein.default.announce.app.gpu.a', what);
    await server.pass(1);
    expect(told).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining(`gpu is left out: ${message}`)]);
    await open().publish('worker-added', worker('b'));
    await server.pass(1);
    expect(told).toEqual(['added b']);
  },
);

test('of several addresses those are kept that can be reached from here', async () => {
  const found: DiscoveryEvent[] = [];
  const take = async () => {
    for await (const event of open('alice').discovery.subscribe()) found.push(event);
  };
  void take();
  const nats = 'nats://default/gpu/x';
  const both = {
    address: 'tcp://127.0.0.1:4000',
    alternatives: [nats],
    beat: 'beat+tcp://127.0.0.1:1',
  };
  const { publish } = open();
  await publish('worker-added', worker('elsewhere', both));
  await publish('worker-added', worker('here', { ...both, host: HOST }));
  await publish('worker-added', worker('lan', { ...both, address: 'tcp://10.0.0.7:4000' }));
  await server.pass(1);
  expect(
    found.map(({ worker: { address, alternatives, beat } }) => [address, alternatives, beat]),
  ).toEqual([
    [nats, undefined, undefined],
    [both.address, [nats], both.beat],
    ['tcp://10.0.0.7:4000', [nats], undefined],
  ]);
  expect(warnings).toEqual([]);
});

test('a worker that its own machine alone can reach is announced with a warning', async () => {
  const { publish } = open();
  await publish('worker-added', worker('a', { address: 'unix:///run/a.sock' }));
  expect(warnings).toEqual([expect.stringContaining('give it transport: natsTransport(...)')]);
});

test('metadata that takes too many bytes is refused', async () => {
  const { bus, publish } = open();
  bus.maxPayload = 100;
  const small = publish('worker-added', worker('a'));
  await expect(small).rejects.toThrow('it takes more than 100 bytes'.slice(3));
  expect(bus.users).toBe(0);

  const tags = Array.from({ length: 20 }, () => 'x'.repeat(500));
  const publishing = open().publish('worker-added', worker('a', { tags }));
  await expect(publishing).rejects.toThrow(TypeError);
  await expect(publishing).rejects.toThrow('may take 8192 bytes on NATS');
});

describe('a server that', () => {
  test('does not let workers be announced fails that', async () => {
    const { bus, publish } = open('alice', 'app', (subject) => !subject.includes('announce'));
    const publishing = publish('worker-added', worker('a', { address: 'nats://default/alice/x' }));
    await expect(publishing).rejects.toThrow(DiscoveryError);
    await expect(publishing).rejects.toThrow(
      "Worker a can't be announced on NATS: not on skein.default.announce.app.alice.x",
    );
    expect(bus.users).toBe(0);
  });

  test('does not let anybody listen to announcements fails the subscription', async () => {
    const { bus, discovery } = open('alice', 'app', (subject) => !subject.includes('announce'));
    const told = listen(discovery);
    await server.pass(1);
    expect(told).toEqual([
      expect.stringContaining(
        "Workers can't be looked for on NATS: not to skein.default.announce.app.*.*",
      ),
    ]);
    expect(told[0]).toContain('DiscoveryError');
    expect(bus.users).toBe(0);
  });

  test('is not there fails both, and later ones may try again', async () => {
    const { bus, discovery, publish } = open();
    bus.unreachable = true;
    const told = listen(discovery);
    await expect(publish('worker-added', worker('a'))).rejects.toThrow(
      "Workers can't be announced on NATS: connection refused",
    );
    expect(told).toEqual([
      expect.stringContaining("can't be looked for on NATS: connection refused"),
    ]);
    bus.unreachable = false;
    const later = listen(discovery);
    await publish('worker-added', worker('a'));
    await server.pass(1);
    expect(later).toEqual(['added a']);
  });
});

test('the connection is used as long as there is something to announce or to hear', async () => {
  const { bus, discovery, publish } = open();
  expect(bus.users).toBe(0);
  await publish('worker-added', worker('a'));
  expect(bus.users).toBe(1);
  const events = discovery.subscribe()[Symbol.asyncIterator]();
  await server.pass(1);
  expect(bus.users).toBe(2);
  await events.return?.();
  expect(bus.users).toBe(1);
  await publish('worker-dropped', worker('a'));
  expect({ users: bus.users, holds: bus.holds, subjects: bus.subjects }).toEqual({
    users: 0,
    holds: 0,
    subjects: [],
  });
  await publish('worker-added', worker('a'));
  bus.cut();
  await publish('worker-dropped', worker('a'));
  // What is announced now waits for it.
  expect(bus.users).toBe(1);
  bus.mend();
  expect(bus.users).toBe(0);
  await publish('worker-added', worker('a'));
  const told = listen(open('alice').discovery);
  await server.pass(100);
  await discovery[Symbol.asyncDispose]();
  await server.pass(1);
  expect(told).toEqual(['added a', 'dropped a']);
  expect({ users: bus.users, subjects: bus.subjects }).toEqual({ users: 0, subjects: [] });
});

test.each<[unknown, string]>([
  ['', '""'],
  ['a.b', '"a.b" is none'],
  ['x'.repeat(65), '1 to 64'],
  [7, '7 is none'],
])('NatsDiscovery(%j) is refused', (name, message) => {
  expect(() => new NatsDiscovery(name as string)).toThrow(TypeError);
  expect(() => new NatsDiscovery(name as string)).toThrow(message);
});
