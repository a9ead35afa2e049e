/** What a worker says of itself in its Hello, and who takes it. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { createActor, fromCallback } from 'xstate';
import { PoolProxy } from '../../src/actors/proxy.ts';
import { roundRobin } from '../../src/balancing/policies.ts';
import { systemEnv } from '../../src/env.ts';
import { WorkerUnreachable } from '../../src/errors.ts';
import { defaultLimits } from '../../src/transport/link.ts';
import { memoryTransport } from '../../src/transport/memory.ts';
import { probe } from '../../src/transport/probe.ts';
import type { ListenerService } from '../../src/transport/transport.ts';
import { VERSION } from '../../src/transport/version.ts';
import { EnvelopeWriter, type OutFrame, PROTOCOL_VERSION } from '../../src/wire/frame.ts';
import { WorkerCore, type WorkerCoreOptions } from '../../src/worker/core.ts';
import { until } from '../integration/helpers.ts';

const shared = { env: systemEnv, limits: { ...defaultLimits, helloTimeoutMs: 200 } };
const address = 'memory://host';
const transport = memoryTransport();
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function start(options: Partial<WorkerCoreOptions>): Promise<WorkerCore> {
  const worker = new WorkerCore({ ...shared, transports: [transport], address, ...options });
  await worker.start();
  cleanups.push(() => worker.stop(0));
  return worker;
}

/** Whoever connects hears these frames, and no more. */
async function answer(...frames: OutFrame[]): Promise<void> {
  const link: ListenerService['link'] = (channel) => {
    channel.open({ packet: () => {}, drain: () => {}, closed: () => {} });
    const writer = new EnvelopeWriter();
    for (const frame of frames) writer.add(frame);
    if (frames.length > 0) channel.send(writer.finish(1));
  };
  const status = () => ({ uid: 'w', inFlight: 0, idleMs: 0, draining: false, uptimeMs: 0 });
  const listener = await transport.listen(address, { link, stop: async () => {}, status });
  cleanups.push(() => listener.close());
}

function greeting(about: object): OutFrame {
  const uid = 'worker0000000001';
  const limits = { max_value_bytes: 1_000, window: 1_000 };
  return { call: 0, hello: { version: PROTOCOL_VERSION, uid, ...limits, about } };
}

describe('a probe', () => {
  test('gives what the worker says of itself', async () => {
    const beat = 'beat+tcp://10.0.0.7:4001';
    const about = { host: 'a', pid: 7, version: '0.1.0', extra: { zone: 'b' }, beat };
    const worker = await start({ about, tags: ['gpu'], concurrency: 3 });
    expect(await probe([transport], { address }, shared)).toEqual({
      ...about,
      uid: worker.uid,
      address,
      tags: ['gpu'],
      secure: false,
      channel: { concurrency: 3, maxValueBytes: defaultLimits.maxValueBytes },
    });
    await until(() => expect(worker.stats.sessions).toBe(0));
  });

  test('takes a worker that says nothing', async () => {
    await answer({
      call: 0,
      hello: { version: PROTOCOL_VERSION, uid: 'w1', max_value_bytes: 0, window: 0 },
    });
    expect(await probe([transport], { address }, shared)).toEqual({
      uid: 'w1',
      address,
      channel: {},
    });
  });

  test('says why there is no answer', async () => {
    const failure = await probe([transport], { address }, shared).catch((error) => error);
    expect(failure).toBeInstanceOf(WorkerUnreachable);
    expect(failure.address).toBe(address);
    expect(failure.message).toBe(`No worker answers at ${address}.`);
    await answer();
    await expect(probe([transport], { address }, shared)).rejects.toThrow(
      `no worker can be reached at ${address}: no Hello within 200 ms`,
    );
  });

  test.each([
    ['a control character', { host: 'a\u001bb' }, 'host must have no control characters'],
    ['a beat that is no address', { beat: 'x' }, 'beat must be an address'],
    ['too many tags', { tags: Array(65).fill('a') }, 'tags must be an array of up to 64'],
    ['an empty tag', { tags: [''] }, 'each of tags must be a text'],
    ['a bad key', { extra: [{ key: 'a b', value: 'c' }] }, 'a key of extra must be'],
    ['a long version', { version: 'x'.repeat(2_000) }, 'version must be a text'],
  ])('refuses %s', async (_what, about, message) => {
    await answer(greeting(about));
    await expect(probe([transport], { address }, shared)).rejects.toThrow(message);
  });

  test('refuses a uid that no worker has', async () => {
    await answer({
      call: 0,
      hello: { version: PROTOCOL_VERSION, uid: 'a b', max_value_bytes: 0, window: 0 },
    });
    await expect(probe([transport], { address }, shared)).rejects.toThrow('uid must be');
  });
});

test('a worker can say nothing of itself that its callers refuse', () => {
  const options = { ...shared, transports: [transport], address };
  expect(() => new WorkerCore({ ...options, tags: [''] })).toThrow('each of tags must be a text');
});

test('a caller takes tags and places from the Hello', async () => {
  const { uid } = await start({ tags: ['gpu'], concurrency: 2 });
  const root = createActor(fromCallback(() => {})).start();
  const options = { ...shared, transports: [transport], policy: roundRobin(), maxQueue: 1 };
  const proxy = new PoolProxy(root, { ...options, eager: true });
  cleanups.push(() => proxy.send({ type: 'abort', error: undefined }));
  proxy.send({ type: 'added', worker: { uid, address, tags: ['old'], capacity: 9 } });
  await until(() => expect(proxy.workers).toMatchObject([{ tags: ['gpu'], capacity: 2 }]));
});

test('the version is that of the package', () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  expect(VERSION).toBe(JSON.parse(text).version);
});
