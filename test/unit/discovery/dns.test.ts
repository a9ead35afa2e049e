/** What answers of the DNS, and its failures, mean for the workers behind a name. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { DnsDiscovery, type Resolver } from '../../../src/discovery/adapters/dns.ts';
import type { DiscoveryEvent } from '../../../src/discovery/discovery.ts';
import { type Env, systemEnv } from '../../../src/env.ts';

const failure = (code: string) => Object.assign(new Error(code), { code });

/** A DNS whose answers are set, and an Env whose timers come when the test says so. */
class World {
  readonly answers = {
    a: [] as unknown,
    aaaa: [] as unknown,
    srv: [] as unknown,
    system: [] as unknown,
  };
  #timers: { ms: number; fn: () => void }[] = [];

  readonly resolver: Resolver = {
    resolve4: () => this.#answer('a'),
    resolve6: () => this.#answer('aaaa'),
    resolveSrv: () => this.#answer('srv'),
    lookup: () => this.#answer('system'),
  };

  readonly env: Env = {
    ...systemEnv,
    timer: (ms, fn) => {
      const timer = { ms, fn };
      this.#timers.push(timer);
      return { cancel: () => void this.#timers.splice(this.#timers.indexOf(timer), 1) };
    },
  };

  get pauses(): number[] {
    return this.#timers.map(({ ms }) => ms);
  }

  /** The next question is asked, and its answer taken. */
  async ask(answers: Partial<World['answers']> = {}): Promise<void> {
    Object.assign(this.answers, answers);
    await vi.waitFor(() => expect(this.#timers).toHaveLength(1));
    for (const { fn } of this.#timers.splice(0)) fn();
    await vi.waitFor(() => expect(this.#timers).toHaveLength(1));
  }

  async #answer(kind: keyof World['answers']): Promise<never> {
    const answer = this.answers[kind];
    if (answer instanceof Error) throw answer;
    return answer as never;
  }
}

function events(discovery: DnsDiscovery): {
  taken: string[];
  iterator: AsyncIterator<DiscoveryEvent>;
} {
  const iterator = discovery.subscribe()[Symbol.asyncIterator]();
  const taken: string[] = [];
  void (async () => {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) return;
      expect(Object.keys(value.worker)).toEqual(['address']);
      taken.push(`${value.type.slice('worker-'.length)} ${value.worker.address}`);
    }
  })();
  return { taken, iterator };
}

afterEach(() => vi.restoreAllMocks());

test('A and AAAA records are workers at the port', async () => {
  const world = new World();
  Object.assign(world.answers, { a: ['10.0.0.1', '10.0.0.2'], aaaa: ['fd00::1'] });
  const { taken } = events(
    new DnsDiscovery('workers.test', { port: 4000, interval: 700, ...world }),
  );
  await world.ask();
  expect(world.pauses).toEqual([700]);
  expect(taken.splice(0)).toEqual([
    'added tcp://10.0.0.1:4000',
    'added tcp://10.0.0.2:4000',
    'added tcp://[fd00::1]:4000',
  ]);
  await world.ask({ a: ['10.0.0.2', '10.0.0.3'], aaaa: failure('ENODATA') });
  expect(taken).toEqual([
    'dropped tcp://10.0.0.1:4000',
    'dropped tcp://[fd00::1]:4000',
    'added tcp://10.0.0.3:4000',
  ]);
});

test('SRV records have ports of their own', async () => {
  const world = new World();
  const one = { name: 'one.workers.test', port: 4001, priority: 0, weight: 0 };
  world.answers.srv = [
    one,
    { ...one, name: 'two.workers.test', port: 4002 },
    { ...one, name: '.' },
  ];
  const { taken } = events(new DnsDiscovery('_skein._tcp.workers.test', world));
  await world.ask();
  expect(taken).toEqual(['added tcp://one.workers.test:4001', 'added tcp://two.workers.test:4002']);
});

test('a name that the DNS does not know is asked of the system', async () => {
  const world = new World();
  const none = failure('ENOTFOUND');
  Object.assign(world.answers, { a: none, aaaa: none, system: ['10.0.0.1'] });
  const { taken } = events(new DnsDiscovery('workers', { port: 4000, ...world }));
  await world.ask();
  expect(taken).toEqual(['added tcp://10.0.0.1:4000']);
  await world.ask({ system: none });
  expect(taken.at(-1)).toBe('dropped tcp://10.0.0.1:4000');
});

test('while the DNS fails, workers are kept, with one warning for each time', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const world = new World();
  world.answers.a = ['10.0.0.1'];
  const { taken } = events(new DnsDiscovery('workers.test', { port: 4000, ...world }));
  await world.ask();
  for (const a of [failure('ESERVFAIL'), failure('ETIMEOUT')]) await world.ask({ a, aaaa: a });
  expect(taken).toEqual(['added tcp://10.0.0.1:4000']);
  expect(warn).toHaveBeenCalledOnce();
  const message =
    "workers.test can't be asked for workers; those that are known are kept: Error: ESERVFAIL";
  expect(warn).toHaveBeenCalledWith(message, 'SkeinDiscoveryWarning');
  await world.ask({ a: ['10.0.0.2'], aaaa: [] });
  expect(taken).toEqual([
    'added tcp://10.0.0.1:4000',
    'dropped tcp://10.0.0.1:4000',
    'added tcp://10.0.0.2:4000',
  ]);
  await world.ask({ a: failure('ETIMEOUT'), aaaa: failure('ETIMEOUT') });
  expect(warn).toHaveBeenCalledTimes(2);
});

test('half an answer drops nobody, and says what it says', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const world = new World();
  Object.assign(world.answers, { a: ['10.0.0.1'], aaaa: ['fd00::1'] });
  const { taken } = events(new DnsDiscovery('workers.test', { port: 4000, ...world }));
  await world.ask();
  taken.splice(0);
  await world.ask({ a: ['10.0.0.2'], aaaa: failure('ESERVFAIL') });
  expect(taken).toEqual(['dropped tcp://10.0.0.1:4000', 'added tcp://10.0.0.2:4000']);
  await world.ask({ aaaa: [] });
  expect(taken.at(-1)).toBe('dropped tcp://[fd00::1]:4000');
  expect(warn).not.toHaveBeenCalled();
});

test('answers that are no hosts are skipped, with one warning', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const world = new World();
  const srv = (name: string) => ({ name, port: 1 });
  world.answers.srv = [srv('a\u0000b'), srv('a b'), srv('c\u001b[2J'), srv('ok.test')];
  const { taken } = events(new DnsDiscovery('_skein._tcp.workers.test', world));
  await world.ask();
  await world.ask();
  expect(taken).toEqual(['added tcp://ok.test:1']);
  expect(new Set(warn.mock.calls.map(([message]) => message)).size).toBe(warn.mock.calls.length);
});

test('nothing is asked while nobody listens, and old answers mean nothing', async () => {
  const world = new World();
  world.answers.a = ['10.0.0.1'];
  const discovery = new DnsDiscovery('workers.test', { port: 4000, ...world });
  expect(world.pauses).toEqual([]);
  const first = events(discovery);
  await world.ask();
  await first.iterator.return?.();
  expect(world.pauses).toEqual([]);
  world.answers.a = ['10.0.0.2'];
  const second = events(discovery);
  await world.ask();
  expect(second.taken).toEqual(['added tcp://10.0.0.2:4000']);
  await discovery[Symbol.asyncDispose]();
  expect(world.pauses).toEqual([]);
});

test('a name of this machine is found', async () => {
  const discovery = new DnsDiscovery('localhost', { port: 4000 });
  const { taken } = events(discovery);
  await vi.waitFor(() => expect(taken).toContain('added tcp://127.0.0.1:4000'), 5_000);
  await discovery[Symbol.asyncDispose]();
});

describe('options', () => {
  test.each([
    ['', {}, 'needs a host name'],
    ['a b', {}, 'needs a host name'],
    ['tcp://a', {}, 'needs a host name'],
    ['a', { port: 0 }, 'port must be'],
    ['a', { port: 65_536 }, 'port must be'],
    ['a', { interval: Number.NaN }, 'interval must be'],
    ['a', { interval: 1 }, 'interval must be'],
  ])('%j %j: %s', (name, options, message) => {
    expect(() => new DnsDiscovery(name, options)).toThrow(TypeError);
    expect(() => new DnsDiscovery(name, options)).toThrow(message);
  });
});

test.each([
  [4000, 'addresses (A, AAAA) in the DNS'],
  [undefined, 'services (SRV; for its addresses give a port) in the DNS'],
])('a name that has nothing is warned of once, with the port %s', async (port, what) => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const world = new World();
  const none = failure('ENOTFOUND');
  Object.assign(world.answers, { a: none, aaaa: none, srv: none, system: none });
  const options = port === undefined ? world : { port, ...world };
  const { taken } = events(new DnsDiscovery('nope.test', options));
  await world.ask();
  await world.ask();
  expect(warn.mock.calls.map(([message]) => message)).toEqual([
    expect.stringContaining(`nope.test has no ${what}`),
  ]);
  expect(taken).toEqual([]);
});

test('a name whose workers have all ended is not warned of', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const world = new World();
  Object.assign(world.answers, { a: ['10.0.0.1'] });
  events(new DnsDiscovery('workers.test', { port: 4000, ...world }));
  await world.ask();
  await world.ask({ a: failure('ENOTFOUND') });
  expect(warn).not.toHaveBeenCalled();
});
