/** Which workers of a discovery a pool takes, and what it makes of those that are not what they seem. */
import { describe, expect, test } from 'vitest';
import { Finder, type FinderOptions, goTogether } from '../../src/actors/finder.ts';
import type { ProxyEvent } from '../../src/actors/proxy.ts';
import type {
  AnnouncedWorker,
  DiscoveryLike,
  WorkerMetadata,
} from '../../src/discovery/discovery.ts';
import { StaticDiscovery } from '../../src/discovery/static.ts';
import { type Env, systemEnv } from '../../src/env.ts';
import { AuthenticationError } from '../../src/errors.ts';
import { MemoryDiscovery } from '../../src/testing/memory-discovery.ts';
import { CannotAsk } from '../../src/transport/transport.ts';
import { until } from '../integration/helpers.ts';

const worker = (uid: string, fields: Partial<AnnouncedWorker> = {}): AnnouncedWorker => ({
  uid,
  address: `tcp://10.0.0.7:${4000 + uid.charCodeAt(0)}`,
  pid: 7,
  host: 'host',
  version: '1.2.3',
  ...fields,
});

/** A finder, and what it says. Its pauses are short. */
function look(options: Partial<FinderOptions> = {}) {
  const discovery = new MemoryDiscovery();
  const events: ProxyEvent[] = [];
  const warnings: string[] = [];
  const taken = new Set<string>();
  const finder = new Finder({
    env: { ...systemEnv, timer: (ms, fn) => systemEnv.timer(ms / 20, fn) },
    discovery,
    send: (event) => {
      events.push(event);
      if (event.type === 'added') taken.add(event.worker.uid);
      if (event.type === 'unlisted') taken.delete(event.uid);
    },
    probe: async ({ address }) => ({ address, uid: `at-${address.slice(-4)}` }),
    version: '1.2.0',
    warn: (message) => warnings.push(message),
    ...options,
  });
  finder.start();
  const { publish } = discovery.publisher;
  const has = (...uids: string[]) => until(() => expect([...taken].sort()).toEqual(uids.sort()));
  return { finder, publish, events, warnings, has };
}

/** Time goes on by `advance` alone. */
function stoppedClock() {
  const timers: { at: number; fn: (() => void) | undefined }[] = [];
  let time = 0;
  const env: Env = {
    ...systemEnv,
    now: () => time,
    timer: (ms, fn) => {
      const timer = { at: time + ms, fn: fn as (() => void) | undefined };
      timers.push(timer);
      return { cancel: () => (timer.fn = undefined) };
    },
  };
  const advance = (ms: number) => {
    time += ms;
    for (const timer of timers.filter(({ at }) => at <= time)) {
      timer.fn?.();
      timer.fn = undefined;
    }
  };
  return { env, advance };
}

describe('a pool takes', () => {
  test('each worker that is announced, until it is dropped', async () => {
    const { publish, has, events, finder } = look();
    await publish('worker-added', worker('a', { tags: ['gpu'], channel: { concurrency: 2 } }));
    await publish('worker-added', worker('b'));
    await has('a', 'b');
    expect(events[0]).toMatchObject({ worker: { uid: 'a', tags: ['gpu'], capacity: 2 } });
    expect(finder.metadata('a')).toMatchObject({ pid: 7, host: 'host' });
    await publish('worker-dropped', worker('a'));
    await has('b');
    finder.stop();
    await has();
  });

  test('what changes of them', async () => {
    const { publish, has, events } = look();
    await publish('worker-added', worker('a'));
    await has('a');
    await publish('worker-updated', worker('a', { tags: ['new'] }));
    await until(() =>
      expect(events.at(-1)).toMatchObject({ type: 'updated', worker: { tags: ['new'] } }),
    );
  });

  test('those only that it wants, also when they come to be or cease to', async () => {
    const accept = ({ tags = [] }: WorkerMetadata) => tags.includes('gpu');
    const { publish, has } = look({ accept });
    await publish('worker-added', worker('a'));
    await publish('worker-added', worker('b', { tags: ['gpu'] }));
    await has('b');
    await publish('worker-updated', worker('a', { tags: ['gpu'] }));
    await has('a', 'b');
    await publish('worker-updated', worker('b', { tags: [] }));
    await has('a');
  });

  test('as many as it may, and the next when one goes', async () => {
    const { publish, has } = look({ lease: 2 });
    for (const uid of ['a', 'b', 'c', 'd']) await publish('worker-added', worker(uid));
    await has('a', 'b');
    await publish('worker-dropped', worker('a'));
    await has('b', 'c');
  });

  test('another one in place of one that does not answer', async () => {
    const { publish, has, finder, warnings } = look({ lease: 1 });
    await publish('worker-added', worker('a'));
    await publish('worker-added', worker('b'));
    await has('a');
    finder.failed('a', { code: 'unreachable', message: 'nobody listens' });
    await has('b');
    expect(warnings).toEqual([
      'worker a at tcp://10.0.0.7:4097: it does not answer: nobody listens',
    ]);
    // It is the next when the other one goes.
    await publish('worker-dropped', worker('b'));
    await has('a');
  });

  test('none that it has spawned itself', async () => {
    const { publish, has } = look({ own: (uid) => uid === 'a' });
    await publish('worker-added', worker('a'));
    await publish('worker-added', worker('b'));
    await has('b');
  });
});

describe('of workers that do not answer', () => {
  const reason = { code: 'unreachable', message: 'nobody listens' } as const;

  test('a new one has the place at once, unless the other has answered since', async () => {
    const { publish, has, finder } = look({ lease: 1 });
    await publish('worker-added', worker('a'));
    await has('a');
    finder.failed('a', reason);
    await publish('worker-added', worker('b'));
    await has('b');
    finder.failed('b', reason);
    finder.answered('b');
    await publish('worker-added', worker('c'));
    await until(() => expect(finder.workers).toHaveLength(3));
    await has('b');
  });

  test('none is tried again without a pause', async () => {
    const pauses: number[] = [];
    const timer = (ms: number, fn: () => void) => {
      pauses.push(ms);
      return systemEnv.timer(ms / 100, fn);
    };
    const send = (event: ProxyEvent) => {
      if (event.type !== 'added') return;
      const { uid } = event.worker;
      queueMicrotask(() => finder.failed(uid, reason));
    };
    const { publish, finder } = look({ env: { ...systemEnv, timer }, lease: 1, send });
    for (const uid of ['a', 'b', 'c']) await publish('worker-added', worker(uid));
    await until(() => expect(pauses.length).toBeGreaterThan(12));
    finder.stop();
    expect(pauses.slice(0, 3)).toEqual([100, 100, 100]);
    expect(Math.max(...pauses)).toBeGreaterThan(1_000);
  });
});

describe('workers that can not be reached for a reason on this side', () => {
  const served = worker('s');
  const unserved = ({ address, alternatives = [] }: { address: string; alternatives?: unknown }) =>
    [address, ...(alternatives as string[])].includes(served.address) ? undefined : 'no way';
  const mayNot = { code: 'unreachable', message: 'No.', cause: new CannotAsk('No.') } as const;

  test('are left out, and hopeless as long as there is no other one', async () => {
    let despairs = 0;
    const despair = () => {
      despairs += 1;
    };
    const { publish, has, finder, warnings } = look({ unserved, despair });
    expect(finder.isHopeless).toBe(false);
    await publish('worker-added', worker('a'));
    await until(() => expect([finder.isHopeless, despairs]).toEqual([true, 1]));
    await publish('worker-added', served);
    await has('s');
    expect(finder.isHopeless).toBe(false);
    await publish('worker-dropped', served);
    await until(() => expect([finder.isHopeless, despairs]).toEqual([true, 2]));
    // It can be reached somewhere else, too.
    await publish('worker-updated', worker('a', { alternatives: [served.address] }));
    await has('a');
    expect(finder.isHopeless).toBe(false);
    expect(warnings).toEqual([
      "worker a at tcp://10.0.0.7:4097: it can't be reached, and is left out: no way",
    ]);
    expect(finder.why).toBe('discovery has named 1, and tcp://10.0.0.7:4097 has not answered');
  });

  test('are not said to give no answer, and are asked again', async () => {
    const { publish, has, finder, warnings } = look();
    await publish('worker-added', worker('a'));
    await has('a');
    finder.failed('a', mayNot);
    expect(finder.isHopeless).toBe(true);
    expect(warnings).toEqual(["worker a at tcp://10.0.0.7:4097: it can't be asked: No."]);
    finder.answered('a');
    expect(finder.isHopeless).toBe(false);
    finder.failed('a', { code: 'unreachable', message: 'nobody listens' });
    expect(finder.isHopeless).toBe(false);
  });

  test('are noticed where only their addresses are known', async () => {
    let allowed = false;
    const { has, finder, warnings } = look({
      discovery: new StaticDiscovery(['tcp://10.0.0.7:4001']),
      probe: async ({ address }) => {
        if (allowed) return { address, uid: 'a' };
        throw new Error('No.', { cause: mayNot.cause });
      },
    });
    await until(() => expect(finder.isHopeless).toBe(true));
    expect(warnings).toEqual(["the worker at tcp://10.0.0.7:4001: it can't be asked: No."]);
    allowed = true;
    await has('a');
    expect(finder.isHopeless).toBe(false);
  });
});

describe('a pool leaves out', () => {
  test('workers of another version', async () => {
    const { publish, has, warnings } = look();
    await publish('worker-added', worker('a', { version: '2.0.0' }));
    await publish('worker-added', worker('b', { version: '1.9.9' }));
    await has('b');
    expect(warnings).toEqual([
      'worker a at tcp://10.0.0.7:4097: it runs Skein 2.0.0, and this is 1.2.0: it is left out',
    ]);
  });

  test('one that refused the link, until something of it changes', async () => {
    const { publish, has, finder, warnings, events } = look();
    await publish('worker-added', worker('a'));
    await has('a');
    finder.gone('a', { code: 'refused', message: 'another authkey' });
    expect(warnings.join()).toContain('refused the link, and is left out: another authkey');
    const before = events.length;
    await publish('worker-added', worker('b'));
    await has('a', 'b');
    expect(events.slice(before)).not.toContainEqual(
      expect.objectContaining({ worker: expect.objectContaining({ uid: 'a' }) }),
    );
    await publish('worker-updated', worker('a', { tags: ['new'] }));
    await until(() => expect(events.at(-1)).toMatchObject({ worker: { uid: 'a', tags: ['new'] } }));
  });

  test('those for which its filter throws', async () => {
    const accept = ({ uid }: WorkerMetadata) => {
      if (uid === 'a') throw new Error('of my own');
      return true;
    };
    const { publish, has, warnings } = look({ accept });
    await publish('worker-added', worker('a'));
    await publish('worker-added', worker('b'));
    await has('b');
    expect(warnings).toEqual([
      'worker a at tcp://10.0.0.7:4097: the filter threw, and it is left out: of my own',
    ]);
  });

  test('what a discovery names and is none', async () => {
    const worker = { address: 'nowhere' };
    async function* subscribe() {
      yield { type: 'worker-added' as const, worker };
      await new Promise(() => {});
    }
    const { warnings } = look({ discovery: { subscribe } });
    await until(() => expect(warnings.join()).toContain("a worker that can't be used: address"));
  });
});

describe('a worker that is known by its address alone', () => {
  test('is asked who it is', async () => {
    const { has, finder } = look({
      discovery: new StaticDiscovery(['tcp://10.0.0.7:4001', 'tcp://10.0.0.8:4002']),
      accept: ({ tags }) => tags?.includes('gpu') === true,
      probe: async ({ address }) => ({
        address: 'tcp://its.own.word:1',
        uid: `at-${address.slice(-4)}`,
        tags: address.endsWith('1') ? ['gpu'] : [],
      }),
    });
    await has('at-4001');
    expect(finder.metadata('at-4001')).toMatchObject({ address: 'tcp://10.0.0.7:4001' });
  });

  test('is one, also when it has two addresses', async () => {
    const discovery = new StaticDiscovery(['tcp://10.0.0.7:4001', 'tcp://10.0.0.8:4001']);
    const { has, events } = look({ discovery });
    await has('at-4001');
    await until(() => expect(events.filter(({ type }) => type === 'added')).toHaveLength(1));
  });

  test('is asked again until it answers, with one warning', async () => {
    let times = 0;
    const { has, warnings } = look({
      discovery: new StaticDiscovery(['tcp://10.0.0.7:4001']),
      probe: async ({ address }) => {
        times += 1;
        if (times < 4) throw new Error('nobody listens');
        return { address, uid: 'a' };
      },
    });
    await has('a');
    expect(warnings).toEqual([
      'the worker at tcp://10.0.0.7:4001: it does not answer: nobody listens',
    ]);
  });

  test('is named where nothing else is known of it', async () => {
    const { finder } = look({
      discovery: new StaticDiscovery(['tcp://10.0.0.7:4001']),
      probe: () => new Promise(() => {}),
    });
    await until(() =>
      expect(finder.why).toBe('discovery has named 1, and tcp://10.0.0.7:4001 has not answered'),
    );
  });

  test('is asked again when another one is there', async () => {
    let uid = 'a';
    const { has, finder } = look({
      discovery: new StaticDiscovery(['tcp://10.0.0.7:4001']),
      probe: async ({ address }) => ({ address, uid }),
    });
    await has('a');
    uid = 'b';
    finder.gone('a', { code: 'refused', message: 'this is worker b, not a' });
    await until(() => expect(finder.metadata('b')).toBeDefined());
  });
});

describe('a discovery that fails', () => {
  const failing = (times: number): DiscoveryLike => {
    const memory = new MemoryDiscovery();
    void memory.publisher.publish('worker-added', worker('a'));
    let left = times;
    return {
      subscribe: () => {
        left -= 1;
        if (left >= 0) throw new Error('no such folder');
        return memory.subscribe();
      },
    };
  };

  test.each([
    ['a promise', async () => []],
    ['an array', () => []],
    ['undefined', () => undefined],
  ])('as it gives %s in the place of events', async (what, subscribe) => {
    const { finder } = look({ discovery: { subscribe } as unknown as DiscoveryLike });
    await expect(finder.began).rejects.toThrow(
      `discovery.subscribe() gave ${what}, and must give an async iterable of events`,
    );
    finder.stop();
  });

  test('is asked again; the first who waits learns of it', async () => {
    const { finder, has, warnings } = look({ discovery: failing(3) });
    await expect(finder.began).rejects.toThrow('no such folder');
    expect(finder.why).toBe('discovery failed: no such folder');
    await has('a');
    expect(warnings).toHaveLength(1);
  });

  test('does not keep a finder from its end', async () => {
    const { finder } = look({ discovery: failing(Number.POSITIVE_INFINITY) });
    finder.stop();
    await finder.began.catch(() => {});
  });
});

describe('workers that are not trusted', () => {
  const expired = new AuthenticationError('its certificate has expired', {
    reason: 'worker-expired',
  });
  const unreachable = (cause: AuthenticationError) =>
    ({ code: 'unreachable', message: `No worker answers at x: ${cause.message}.`, cause }) as const;

  test.each([
    [true, 'plaintext', 'it speaks plain text, and credentials are given here'],
    [false, 'tls', 'it takes TLS only'],
  ])('are left out that announce the other than TLS: %s here', async (secure, reason, words) => {
    const { publish, has, finder, warnings } = look({ secure });
    await publish('worker-added', worker('a', { secure: !secure }));
    await until(() => expect(finder.distrust).toMatchObject({ reason }));
    expect(finder.isHopeless).toBe(true);
    expect(warnings).toEqual([
      expect.stringContaining(`worker a at tcp://10.0.0.7:4097: it is left out: ${words}`),
    ]);
    await publish('worker-added', worker('b', { secure }));
    await publish('worker-added', worker('c', { secure: !secure, address: 'nats://a/b/c' }));
    await has('b', 'c');
    expect(finder.isHopeless).toBe(false);
    expect(finder.distrust).toBeUndefined();
    await publish('worker-updated', worker('a', { secure }));
    await has('a', 'b', 'c');
    finder.stop();
  });

  test('are kept when a handshake fails, and hopeless until it does not', async () => {
    let despairs = 0;
    const { publish, has, finder, warnings } = look({ despair: () => (despairs += 1) });
    await publish('worker-added', worker('a'));
    await has('a');
    finder.failed('a', unreachable(expired));
    expect(finder.isHopeless).toBe(true);
    expect(finder.distrust).toBe(expired);
    expect(despairs).toBe(1);
    expect(warnings).toEqual([
      'worker a at tcp://10.0.0.7:4097: it is not used: its certificate has expired',
    ]);
    await has('a');
    finder.answered('a');
    expect(finder.isHopeless).toBe(false);
    finder.stop();
  });

  test('are out, and hopeless, when they refuse', async () => {
    const { publish, has, finder } = look();
    await publish('worker-added', worker('a'));
    await has('a');
    const cause = new AuthenticationError('it does not let this side in', {
      reason: 'unauthorized',
    });
    finder.gone('a', { code: 'refused', message: cause.message, cause });
    expect(finder.isHopeless).toBe(true);
    expect(finder.distrust).toBe(cause);
    finder.stop();
  });

  test('are warned of once a minute, each on its own', async () => {
    const clock = stoppedClock();
    const { publish, has, finder, warnings } = look({ env: clock.env });
    await publish('worker-added', worker('a'));
    await publish('worker-added', worker('b'));
    await has('a', 'b');
    const fail = (uid: string, message = 'expired') =>
      finder.failed(uid, unreachable(new AuthenticationError(message)));
    const said = () => warnings.splice(0).map((line) => line.replace(/ at .* used/, ''));
    for (let second = 0; second < 59; second += 1) {
      for (const uid of ['a', 'b']) fail(uid);
      clock.advance(1_000);
    }
    expect(said()).toEqual(['worker a: expired', 'worker b: expired']);
    clock.advance(1_000);
    for (const uid of ['a', 'b', 'a']) fail(uid);
    expect(said()).toEqual(['worker a: expired', 'worker b: expired']);
    // What has changed is said when its time has come, if it is so still.
    for (const uid of ['a', 'b']) fail(uid, 'wrong CA');
    finder.answered('b');
    clock.advance(59_999);
    expect(said()).toEqual([]);
    clock.advance(1);
    expect(said()).toEqual(['worker a: wrong CA']);
    finder.stop();
  });
});

test('versions go together that speak the same protocol', () => {
  expect(goTogether('1.2.3', '1.9.0')).toBe(true);
  expect(goTogether('1.2.3', '2.0.0')).toBe(false);
  expect(goTogether('0.1.3', '0.1.9')).toBe(true);
  expect(goTogether('0.1.3', '0.2.0')).toBe(false);
});
