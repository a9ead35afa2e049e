/** What can be given as a discovery, fixed addresses, and subscribers that come late to what waits. */
import { describe, expect, test, vi } from 'vitest';
import type { DiscoveryLike, WorkerMetadata } from '../../../src/discovery/discovery.ts';
import { type DiscoveryGiven, takeDiscovery } from '../../../src/discovery/given.ts';
import { Roster } from '../../../src/discovery/roster.ts';
import { StaticDiscovery } from '../../../src/discovery/static.ts';
import { MAX_WAITING } from '../../../src/discovery/subscription.ts';

const discovery = new StaticDiscovery(['tcp://10.0.0.7:4000']);

describe('a discovery can be given', () => {
  test('as it is; it stays with its owner', async () => {
    const dispose = vi.fn();
    const given = { subscribe: () => discovery.subscribe(), [Symbol.asyncDispose]: dispose };
    const taken = await takeDiscovery(given);
    expect(taken.discovery).toBe(given);
    await taken[Symbol.asyncDispose]();
    expect(dispose).not.toHaveBeenCalled();
  });

  test('as a function', async () => {
    for (const make of [() => discovery, async () => discovery]) {
      const taken = await takeDiscovery(make);
      expect(taken.discovery).toBe(discovery);
      await taken[Symbol.asyncDispose]();
    }
  });

  test.each([Symbol.asyncDispose, Symbol.dispose])(
    'as a function that gives a disposable',
    async (symbol) => {
      const dispose = vi.fn();
      const made = { subscribe: () => discovery.subscribe(), [symbol]: dispose };
      const taken = await takeDiscovery(() => made);
      expect(taken.discovery).toBe(made);
      expect(dispose).not.toHaveBeenCalled();
      await taken[Symbol.asyncDispose]();
      expect(dispose).toHaveBeenCalledOnce();
    },
  );

  test.each([
    [undefined, 'discovery is undefined'],
    [null, 'discovery is null'],
    ['local:app', 'discovery is a string'],
    [[discovery], 'discovery is an array'],
    [{ host: 'a', port: 1 }, 'discovery is an object with host, port'],
    [Promise.resolve(discovery), 'discovery is a promise: await it'],
    [StaticDiscovery, 'write new StaticDiscovery(...), or () => new StaticDiscovery(...)'],
    [() => undefined, 'the function given as discovery gave undefined'],
    [{ subscribe: () => {}, publisher: {} }, "one whose publisher can't publish"],
    [
      { subscribe: () => {}, publisher: { publish: () => {}, bindHost: 7 } },
      'one whose publisher.bindHost is a number',
    ],
  ])('but nothing else: %o', async (given, message) => {
    const error = await takeDiscovery(given as DiscoveryGiven).catch((error) => error);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(message);
  });

  test('and what a function gave that is none is disposed of', async () => {
    const dispose = vi.fn();
    const given = () => ({ [Symbol.dispose]: dispose }) as unknown as DiscoveryLike;
    await expect(takeDiscovery(given)).rejects.toThrow(TypeError);
    expect(dispose).toHaveBeenCalledOnce();
  });

  test('an error of the function is its own', async () => {
    const given = () => Promise.reject(new RangeError('own'));
    await expect(takeDiscovery(given)).rejects.toThrow(new RangeError('own'));
  });
});

describe('StaticDiscovery', () => {
  test('tells of each address once, and knows nothing else', async () => {
    const addresses = ['tcp://a:1', 'unix:///run/b.sock', 'tcp://a:1'];
    const iterator = new StaticDiscovery(addresses).subscribe()[Symbol.asyncIterator]();
    for (const address of ['tcp://a:1', 'unix:///run/b.sock']) {
      const value = { type: 'worker-added', worker: { address } };
      expect(await iterator.next()).toEqual({ done: false, value });
    }
    const waiting = iterator.next();
    await iterator.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  test('needs addresses', () => {
    expect(() => new StaticDiscovery([])).toThrow('at least one address');
    expect(() => new StaticDiscovery('tcp://a:1' as never)).toThrow('needs an array');
    const wrong = () => new StaticDiscovery(['tcp://a:1', 'b:2']);
    expect(wrong).toThrow('addresses[1] must be an address, such as tcp://host:port, not "b:2"');
  });

  test('wants a function as the filter', () => {
    expect(() => discovery.subscribe('gpu' as never)).toThrow(TypeError);
  });
});

describe('a subscriber that takes nothing for long', () => {
  const worker = (n: number, version = '1'): WorkerMetadata => ({
    address: `tcp://a:${n}`,
    version,
  });

  test('is told the difference in the end', async () => {
    const roster = new Roster();
    const iterator = roster.subscribe()[Symbol.asyncIterator]();
    for (const n of [1, 2, 3]) roster.put(worker(n));
    for (const _ of [1, 2, 3]) await iterator.next();

    roster.drop('tcp://a:1');
    roster.put(worker(2, '2'));
    for (let n = 4; n < MAX_WAITING; n += 1) {
      roster.put(worker(n));
      roster.drop(`tcp://a:${n}`);
    }
    roster.put(worker(MAX_WAITING));

    const events: string[] = [];
    const last = `worker-added tcp://a:${MAX_WAITING}`;
    while (events.at(-1) !== last) {
      const { value } = await iterator.next();
      events.push(`${value?.type} ${value?.worker.address}`);
    }
    expect(events.length).toBeLessThan(MAX_WAITING);
    expect(events.slice(0, 2)).toEqual(['worker-dropped tcp://a:1', 'worker-updated tcp://a:2']);
    expect(events.filter((event) => event.endsWith('tcp://a:3'))).toEqual([]);
  });

  test('is told all until then', async () => {
    const roster = new Roster();
    const iterator = roster.subscribe()[Symbol.asyncIterator]();
    for (let n = 0; n < 100; n += 1) {
      roster.put(worker(n));
      roster.drop(`tcp://a:${n}`);
    }
    for (let n = 0; n < 100; n += 1) {
      expect((await iterator.next()).value).toEqual({ type: 'worker-added', worker: worker(n) });
      expect((await iterator.next()).value).toEqual({ type: 'worker-dropped', worker: worker(n) });
    }
  });
});
