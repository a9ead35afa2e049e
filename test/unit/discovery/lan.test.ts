/** Workers of a network: what others may put on it, and how they come and go. */
import { createSocket } from 'node:dgram';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ListInterfaces } from '../../../src/discovery/adapters/interfaces.ts';
import { LanDiscovery, type LanDiscoveryOptions } from '../../../src/discovery/adapters/lan.ts';
import { Outbox } from '../../../src/discovery/adapters/lan-outbox.ts';
import { encodeTxt, SERVICE } from '../../../src/discovery/adapters/lan-record.ts';
import {
  type DnsRecord,
  LanSocket,
  type MulticastGroup,
} from '../../../src/discovery/adapters/lan-socket.ts';
import type { AnnouncedWorker } from '../../../src/discovery/discovery.ts';
import { DiscoveryError } from '../../../src/errors.ts';
import { privateGroup } from './lan-group.ts';

/** Shorter than that of users, so that workers which vanish are missed soon. */
const INTERVAL_MS = 100;

let group: MulticastGroup;
let opened: AsyncDisposable[];
let warnings: string[];

beforeEach(() => {
  group = privateGroup();
  opened = [];
  warnings = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => {
    warnings.push(String(warning));
  });
});

afterEach(async () => {
  for (const one of opened) await one[Symbol.asyncDispose]();
});

function open(options: LanDiscoveryOptions = {}, name?: string): LanDiscovery {
  const basic = { group, interfaces: ['127.0.0.1'], interval: INTERVAL_MS };
  const discovery = new LanDiscovery(name, { ...basic, ...options });
  opened.push(discovery);
  return discovery;
}

function worker(uid: string, fields: Partial<AnnouncedWorker> = {}): AnnouncedWorker {
  return { uid, address: 'tcp://10.0.0.7:4000', pid: 7, host: 'there', version: '1', ...fields };
}

/** What a subscriber was told, as it comes: `added a`. */
function listen(discovery: LanDiscovery): string[] {
  const events: string[] = [];
  void (async () => {
    try {
      for await (const { type, worker } of discovery.subscribe()) {
        events.push(`${type.slice('worker-'.length)} ${worker.uid} ${worker.address}`);
      }
    } catch (error) {
      events.push(String(error));
    }
  })();
  return events;
}

const until = <T>(check: () => T | Promise<T>) =>
  vi.waitFor(check, { timeout: 8_000, interval: 5 });

/** Another machine, which may say anything and answers nothing; when it heard questions, and answers. */
async function stranger(address = '127.0.0.2') {
  const asked: number[] = [];
  const said: number[] = [];
  const outbox = new Outbox();
  const socket = await LanSocket.open(
    { name: 'lo', address, netmask: '255.0.0.0', internal: true },
    group,
    {
      query: () => asked.push(performance.now()),
      response: ({ id }) => {
        if (id !== 1) said.push(performance.now());
      },
      failed() {},
    },
  );
  const stranger = {
    asked,
    said,
    ask: (name: string) => socket.ask(1, [{ name, type: 'PTR' }]),
    say: (...records: DnsRecord[]) => socket.say(1, records),
    announce: (worker: AnnouncedWorker, revision = 1) =>
      outbox.send(() =>
        socket.say(1, [txt(worker.uid, encodeTxt({ name: 'skein', revision, worker }))]),
      ),
    goodbye: (label: string) =>
      socket.say(1, [{ name: SERVICE, type: 'PTR', ttl: 0, data: `${label}.${SERVICE}` }]),
    [Symbol.asyncDispose]: () => socket.close(),
  };
  opened.push(stranger);
  return stranger;
}

const txt = (label: string, fields: Record<string, string>): DnsRecord => ({
  name: `${label}.${SERVICE}`,
  type: 'TXT',
  ttl: 120,
  data: Object.entries(fields).map(([key, value]) => Buffer.from(`${key}=${value}`)),
});

describe('what is announced', () => {
  test('is found under the same name only', async () => {
    const [events, others] = [listen(open({}, 'mine')), listen(open({}, 'other'))];
    await open({}, 'mine').publisher.publish('worker-added', worker('a'));
    await open({}, 'other').publisher.publish('worker-added', worker('b'));
    await until(() => expect(events).toEqual(['added a tcp://10.0.0.7:4000']));
    await until(() => expect(others).toEqual(['added b tcp://10.0.0.7:4000']));
    await open({}, 'mine').publisher.publish('worker-dropped', worker('a'));
    await until(() => expect(events).toHaveLength(2));
    expect(others).toHaveLength(1);
  });

  test('goes with the discovery', async () => {
    const discovery = open();
    const events = listen(open({ interval: 60_000 }));
    await discovery.publisher.publish('worker-added', worker('a'));
    await until(() => expect(events).toHaveLength(1));
    await discovery[Symbol.asyncDispose]();
    await until(() => expect(events.at(-1)).toMatch(/^dropped a /));
  });

  test('has an address of the network instead of a wildcard', async () => {
    const events = listen(open());
    const { publisher } = open();
    expect(publisher.bindHost).toBe('0.0.0.0');
    for (const [uid, host] of [
      ['a', '0.0.0.0'],
      ['b', '[::]'],
    ]) {
      const address = `tcp://${host}:4000`;
      await publisher.publish('worker-added', worker(uid ?? '', { address }));
    }
    await until(() =>
      expect(events).toEqual(['added a tcp://127.0.0.1:4000', 'added b tcp://127.0.0.1:4000']),
    );
    expect(warnings).toEqual([]);
  });

  test('at a loopback address is warned about, once', async () => {
    const { publisher } = open({ interfaces: ['loop0'], list: () => ({ loop0: loopback }) });
    await publisher.publish('worker-added', worker('a', { address: 'tcp://127.0.0.1:1' }));
    await publisher.publish('worker-added', worker('b', { address: 'tcp://localhost:1' }));
    expect(warnings).toEqual([
      expect.stringContaining(
        'worker a is announced to the network at 127.0.0.1, where this machine alone can reach it',
      ),
    ]);
  });

  test('on all addresses of a machine without a network is warned about as what it is', async () => {
    const { publisher } = open({ interfaces: ['loop0'], list: () => ({ loop0: loopback }) });
    await publisher.publish('worker-added', worker('a', { address: 'tcp://0.0.0.0:1' }));
    await publisher.publish('worker-added', worker('b', { address: 'tcp://0.0.0.0:2' }));
    expect(warnings).toEqual([
      expect.stringMatching(/^this machine is in no network: until .* worker a is announced on it/),
    ]);
  });

  test('must fit, and be reached from elsewhere', async () => {
    const { publisher } = open();
    const refused = (fields: Partial<AnnouncedWorker>) =>
      expect(publisher.publish('worker-added', worker('a', fields))).rejects;
    await refused({ tags: ['x'.repeat(300)] }).toThrow(/^tag\.0 takes 306 bytes, and 255 fit/);
    await refused({ extra: { long: 'é'.repeat(200) } }).toThrow(/^extra\.long takes 411 bytes/);
    await refused({ tags: Array.from({ length: 20 }, () => 'x'.repeat(50)) }).toThrow(
      /^the metadata of a worker may take 1000 bytes on a network, and this takes \d+: announce fewer/,
    );
    await refused({ address: 'unix:///run/a.sock' }).toThrow('address must be tcp://host:port');
    await refused({ address: 'tcp://host:0' }).toThrow(TypeError);
  });

  test('has those of its other addresses that fit, and make sense elsewhere', () => {
    const long = `own://${'x'.repeat(200)}`;
    const alternatives = ['unix:///run/a.sock', long, 'own://a', long];
    const tags = Array.from({ length: 13 }, () => 'x'.repeat(50));
    const txt = encodeTxt({ name: 'a', revision: 1, worker: worker('a', { alternatives, tags }) });
    expect(Object.entries(txt).filter(([key]) => key.startsWith('alt.'))).toEqual([
      ['alt.2', 'own://a'],
    ]);
  });

  test('does not have the secret of a beat', async () => {
    const [discovery, found] = [open(), [] as unknown[]];
    void (async () => {
      for await (const { worker } of discovery.subscribe()) found.push(worker.beat);
    })();
    const beat = 'beat+tcp://10.0.0.7:1#secret';
    await open().publisher.publish('worker-added', worker('a', { beat }));
    await until(() => expect(found).toEqual([undefined]));
  });
});

describe('a worker', () => {
  test('that answers nobody is dropped', async () => {
    const events = listen(open());
    const other = await stranger();
    await other.announce(worker('dead'));
    await open().publisher.publish('worker-added', worker('alive'));
    await until(() => expect(events).toContain('dropped dead tcp://10.0.0.7:4000'));
    expect(events).not.toContain('dropped alive tcp://10.0.0.7:4000');
  });

  test('is there at once for whoever comes late', async () => {
    await open().publisher.publish('worker-added', worker('a'));
    const start = performance.now();
    const events = listen(open({ interval: 60_000 }));
    await until(() => expect(events).toHaveLength(1));
    expect(performance.now() - start).toBeLessThan(1_000);
  });

  test('that is announced from two hosts is the first one, with one warning', async () => {
    const events = listen(open());
    await open().publisher.publish('worker-added', worker('a'));
    await until(() => expect(events).toHaveLength(1));
    const forger = await stranger();
    const forged = worker('a', { address: 'tcp://10.6.6.6:666', tags: ['forged'] });
    await forger.announce(forged, Number.MAX_SAFE_INTEGER);
    await forger.announce(forged, 1);
    await forger.goodbye('a');
    await forger.announce(worker('marker'));
    await until(() => expect(events).toContain('added marker tcp://10.0.0.7:4000'));
    expect(events.filter((event) => event.includes(' a '))).toEqual([
      'added a tcp://10.0.0.7:4000',
    ]);
    expect(warnings).toEqual([
      expect.stringMatching(
        /worker a is announced from 127\.0\.0\.1, and differently from 127\.0\.0\.2/,
      ),
    ]);
  });

  test('does not take the place of the one whose address it names', async () => {
    const events = listen(open());
    await open().publisher.publish('worker-added', worker('a'));
    const forger = await stranger();
    await forger.announce(worker('b'));
    await forger.goodbye('b');
    await until(() => expect(events).toContain('dropped b tcp://10.0.0.7:4000'));
    expect(events).not.toContain('dropped a tcp://10.0.0.7:4000');
  });

  test('keeps its latest metadata when earlier ones come late', async () => {
    const events = listen(open());
    const other = await stranger();
    await other.announce(worker('a', { address: 'tcp://10.0.0.7:2' }), 2);
    await other.announce(worker('a', { address: 'tcp://10.0.0.7:1' }), 1);
    await other.announce(worker('b'));
    await until(() => expect(events).toHaveLength(2));
    expect(events).toEqual(['added a tcp://10.0.0.7:2', 'added b tcp://10.0.0.7:4000']);
  });
});

describe('what is no worker is left out:', () => {
  const right = encodeTxt({ name: 'skein', revision: 1, worker: worker('bad') });
  const { uid: _uid, ...withoutUid } = right;
  const wrong: [string, DnsRecord, RegExp | undefined][] = [
    ['no uid', txt('bad', withoutUid), /uid is missing/],
    ['a pid that is no number', txt('bad', { ...right, pid: '-7' }), /pid must be a whole number/],
    ['no revision', txt('bad', { ...right, rev: 'new' }), /rev must be a whole number/],
    ['another version', txt('bad', { ...right, txtvers: '2' }), /not of version 1/],
    ['another name', txt('bad', { ...right, name: 'other' }), undefined],
    ['control characters', txt('bad', { ...right, host: '\u001b[31m' }), /no control characters/],
    ['a uid that is a path', txt('bad', { ...right, uid: '../../x' }), /uid must be up to 64/],
    ['a local socket', txt('bad', { ...right, address: 'unix:///run/x' }), /must be tcp:\/\//],
    ['a wildcard', txt('bad', { ...right, address: 'tcp://0.0.0.0:1' }), /no wildcard/],
    ['a local socket beside', txt('bad', { ...right, 'alt.0': 'unix:///x' }), /another transport/],
    ['a local beat', txt('bad', { ...right, beat: 'beat+unix:///x' }), /must be beat\+tcp/],
    ['secure that is neither', txt('bad', { ...right, secure: 'yes' }), /secure must be true/],
    ['a channel of words', txt('bad', { ...right, 'channel.keepaliveMs': 'x' }), /channel\.keep/],
    ['a prototype', txt('bad', { ...right, 'extra.__proto__': 'x', pid: '' }), /pid must be/],
    ['too much text', txt('bad', { ...right, ...fields(100, 'x'.repeat(200)) }), /over 8192 bytes/],
    ['too many entries', txt('bad', { ...right, ...fields(300, 'x') }), /too many entries/],
    [
      'bytes that are no text',
      { ...txt('bad', right), data: [Buffer.from([0xff, 0xfe, 0x3d])] },
      /not UTF-8/,
    ],
    ['nothing at all', { ...txt('bad', right), data: [] }, undefined],
    ['a service of others', { ...txt('bad', right), name: 'bad._http._tcp.local' }, undefined],
    ['a goodbye', { ...txt('bad', right), ttl: 0 }, undefined],
  ];

  test.each(wrong)('%s', async (_what, record, expected) => {
    const events = listen(open());
    const other = await stranger();
    await other.say(record);
    await other.say(record);
    await other.announce(worker('good'));
    await until(() => expect(events).toEqual(['added good tcp://10.0.0.7:4000']));
    if (expected === undefined) expect(warnings).toEqual([]);
    else expect(warnings).toEqual([expect.stringMatching(expected)]);
    expect(warnings.join()).not.toContain('\u001b');
  });

  test('bytes that are no packet', async () => {
    const events = listen(open());
    const other = await stranger();
    const socket = createSocket('udp4');
    const send = (bytes: Uint8Array) =>
      new Promise<void>((done) => socket.send(bytes, group.port, '127.0.0.1', () => done()));
    for (let length = 0; length < 200; length += 1) {
      // Half of them with the flag of a response, and counts that promise records.
      const bytes = Uint8Array.from({ length }, () => Math.random() * 256);
      if (length % 2 === 0) bytes.set([0, 0, 0x84, 0, 0, 1, 0, 2, 0, 0, 0, 1].slice(0, length));
      await send(bytes);
    }
    socket.close();
    await other.announce(worker('good'));
    await until(() => expect(events).toEqual(['added good tcp://10.0.0.7:4000']));
  });

  test('one of a thousand that come at once', async () => {
    const events = listen(open());
    const other = await stranger();
    await open().publisher.publish('worker-added', worker('real'));
    await until(() => expect(events).toHaveLength(1));
    const forged = Array.from({ length: 1_000 }, (_, n) => worker(`forged-${n}`));
    await Promise.all(forged.map((worker) => other.announce(worker)));
    await until(() => expect(events).toHaveLength(1_001));
    expect(events.filter((event) => event.includes('real'))).toHaveLength(1);
  });
});

const loopback = [
  { address: '127.0.0.1', netmask: '255.0.0.0', family: 'IPv4', internal: true },
] as const;

test('a network that goes away and comes back drops nobody', async () => {
  let there = true;
  const list: ListInterfaces = () => (there ? { lo: loopback } : {});
  const events = listen(open({ list }));
  const { publisher } = open();
  await publisher.publish('worker-added', worker('a'));
  await until(() => expect(events).toHaveLength(1));
  there = false;
  await until(() => expect(warnings).toEqual([expect.stringContaining('127.0.0.1 is not up')]));
  await publisher.publish('worker-added', worker('b'));
  there = true;
  await until(() => expect(events).toHaveLength(2));
  expect(events).toEqual(['added a tcp://10.0.0.7:4000', 'added b tcp://10.0.0.7:4000']);
});

test('what was announced while there was no network is found once there is', async () => {
  let there = false;
  const list: ListInterfaces = () => (there ? { lo: loopback } : {});
  const events = listen(open({ interval: 60_000 }));
  await open({ list }).publisher.publish('worker-added', worker('a'));
  expect(events).toEqual([]);
  there = true;
  await until(() => expect(events).toHaveLength(1));
});

test('of several who look one asks', async () => {
  const other = await stranger();
  const discoveries = Array.from({ length: 5 }, () => open({ interval: 200 }));
  for (const discovery of discoveries) listen(discovery);
  await until(() => expect(other.asked.length).toBeGreaterThan(10));
  const from = other.asked.length;
  await until(() => expect(other.asked.length).toBeGreaterThanOrEqual(from + 10));
  const ms = (other.asked.at(-1) ?? 0) - (other.asked[from] ?? 0);
  // Each on its own: 5 questions in 200 ms.
  expect(10 / (ms / 200)).toBeLessThan(3);
});

test('many questions get few answers', async () => {
  const other = await stranger();
  const start = performance.now();
  await open().publisher.publish('worker-added', worker('a'));
  for (let n = 0; n < 100; n += 1) {
    await other.ask(n % 2 === 0 ? SERVICE.toUpperCase() : `a.${SERVICE}`);
  }
  await until(() => expect(other.said.length).toBeGreaterThan(1));
  const heard = other.said.length;
  await other.ask(SERVICE);
  await until(() => expect(other.said.length).toBeGreaterThan(heard));
  // Its two announcements, and an answer in each 100 ms.
  expect(other.said.length).toBeLessThanOrEqual(3 + (performance.now() - start) / 100);
});

test('a port that another program has for itself fails what needs it, with the reason', async () => {
  const socket = createSocket('udp4');
  await new Promise<void>((done) => socket.bind(group.port, '0.0.0.0', done));
  const discovery = open();
  const events = listen(discovery);
  const failure = `UDP port ${group.port} (group ${group.ip}) can't be used here`;
  await until(() => expect(events).toEqual([expect.stringContaining(failure)]));
  const publishing = discovery.publisher.publish('worker-added', worker('a'));
  await expect(publishing).rejects.toThrow(DiscoveryError);
  await new Promise<void>((done) => socket.close(done));
  await discovery.publisher.publish('worker-added', worker('a'));
  const later = listen(discovery);
  await until(() => expect(later).toEqual(['added a tcp://10.0.0.7:4000']));
});

test.each<[unknown, unknown, string]>([
  ['', {}, '""'],
  ['a.b', {}, '"a.b" is none'],
  ['x'.repeat(63), {}, '1 to 62'],
  [7, {}, '7 is none'],
  ['a', { interval: 5 }, 'interval must be'],
  ['a', { interfaces: [] }, 'interfaces must be'],
  ['a', { group: { ip: '10.0.0.1', port: 1 } }, 'multicast group'],
])('LanDiscovery(%j, %j) is refused', (name, options, message) => {
  const make = () => new LanDiscovery(name as string, options as LanDiscoveryOptions);
  expect(make).toThrow(TypeError);
  expect(make).toThrow(message);
});

function fields(count: number, value: string): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`more.${n}`, value]));
}
