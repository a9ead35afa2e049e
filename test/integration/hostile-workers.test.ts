/** Workers that mean harm to those who call them, by hand. */
import { afterEach, describe, expect, test } from 'vitest';
import {
  LimitExceeded,
  type PeerLimits,
  StaticDiscovery,
  ValueTooLarge,
  Worker,
  WorkerLost,
  WorkerPool,
} from '../../src/index.ts';
import { encodeContext, encodeVariable } from '../../src/wire/context.ts';
import { GoodbyeReason, type OutFrame } from '../../src/wire/frame.ts';
import { encodeValue } from '../../src/wire/value.ts';
import { rejection, until } from './helpers.ts';
import { RawWorker, type RawWorkerLink } from './raw-link.ts';
import { echo, mark, steps } from './routines/hostile.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A pool whose one worker does as it is told when a task comes. The pool asks it first who it is. */
async function pair(
  limits: Partial<PeerLimits>,
  answer: (link: RawWorkerLink, call: number, nth: number) => unknown,
): Promise<{ pool: WorkerPool; worker: RawWorker }> {
  let tasks = 0;
  const worker = await RawWorker.listen(async (link) => {
    await link.greet();
    for (let seen = 0; !link.ended; ) {
      const { length } = link.of('task');
      for (; seen < length; seen += 1) {
        tasks += 1;
        await answer(link, link.of('task')[seen]?.call as number, tasks);
      }
      await new Promise((later) => setTimeout(later, 2));
    }
  });
  cleanups.push(() => worker.close());
  const discovery = new StaticDiscovery([worker.address]);
  const pool = await WorkerPool.open({ discovery, limits, logger });
  cleanups.push(() => pool.close({ grace: 0 }));
  return { pool, worker };
}

const result = (call: number, value: unknown): OutFrame => ({
  call,
  result: { value: { item: encodeValue(value) as Uint8Array }, done: true },
});
const many = <T>(count: number, make: (i: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i));

/** That the link ends since a limit was exceeded, and the call with it; the next one gets a new link. */
async function expectCut(
  limits: Partial<PeerLimits>,
  harm: (link: RawWorkerLink, call: number) => unknown,
): Promise<void> {
  const [limit] = Object.keys(limits);
  const { pool, worker } = await pair(limits, (link, call, nth) =>
    nth === 1 ? harm(link, call) : link.send(result(call, 'well')),
  );
  const error = await rejection(echo.on(pool)(1));
  expect(error).toBeInstanceOf(WorkerLost);
  const { cause } = error as WorkerLost;
  expect(cause).toBeInstanceOf(LimitExceeded);
  expect(cause).toMatchObject({ limit });
  expect(pool.breaches).toEqual({ [limit as string]: 1 });
  const link = worker.links.find((one) => one.of('task').length > 0) as RawWorkerLink;
  const { reason, breach } = await link.goodbye();
  expect([reason, breach?.limit]).toEqual([GoodbyeReason.LIMIT, limit]);
  expect(await echo.on(pool)(1)).toBe('well');
}

describe('a worker that floods its caller with', () => {
  test('answers to nothing', async () => {
    await expectCut({ maxStrayFrames: 100 }, (link) =>
      link.send(...many(1_000, (i) => result(1_000 + i, 1))),
    );
  });

  test('acknowledgements', async () => {
    await expectCut({ maxStrayFrames: 100 }, (link, call) =>
      link.send(...many(1_000, () => ({ call, ack: {} }))),
    );
  });

  test('chunks', async () => {
    await expectCut({ maxFramesPerCall: 16 }, (link) =>
      link.send(
        ...many(17, (i) => ({
          call: 0,
          chunk: { transfer: 1, data: Uint8Array.of(0), ...(i === 0 && { total: 100 }) },
        })),
      ),
    );
  });

  test('values that never come to an end', async () => {
    await expectCut({ maxIncomingBytes: 1_000_000, maxValueBytes: 1_000_000 }, (link) =>
      link.send(
        ...many(11, (i) => ({
          call: 0,
          chunk: { transfer: i + 1, data: Uint8Array.of(0), total: 100_000 },
        })),
      ),
    );
  });

  test('bytes of a frame', async () => {
    await expectCut({ maxFrameBytes: 128 * 1024 }, (link, call) =>
      link.send(result(call, 'x'.repeat(128 * 1024))),
    );
  });

  test('bytes of an envelope', async () => {
    await expectCut({ maxEnvelopeBytes: 192 * 1024 }, (link, call) =>
      link.send(...many(3, () => result(call, 'x'.repeat(64 * 1024)))),
    );
  });

  test('steps that nobody has asked for', async () => {
    const { pool } = await pair({}, async (link, call) => {
      const yielded = (value: number): OutFrame => ({
        call,
        result: { value: { item: encodeValue(value) as Uint8Array } },
      });
      await link.send(yielded(1), yielded(2), yielded(3));
      await until(() => expect(link.of('next')).toHaveLength(2));
      await link.send({ call, result: { done: true } });
    });
    const taken: unknown[] = [];
    for await (const value of steps.on(pool)()) taken.push(value);
    expect(taken).toEqual([1]);
    expect(pool.breaches).toEqual({});
  });
});

describe('one call fails, and the link goes on, when its answer', () => {
  test('is too large', async () => {
    const { pool, worker } = await pair({ maxValueBytes: 1_000 }, (link, call, nth) =>
      link.send(
        {
          call: 0,
          chunk: { transfer: nth, data: new Uint8Array(1_001).fill(0x60, 0), total: 1_001 },
        },
        { call, result: { value: { transfer: nth, lengths: [1_001] }, done: true } },
      ),
    );
    for (const count of [1, 2]) {
      expect(await rejection(echo.on(pool)(1))).toBeInstanceOf(ValueTooLarge);
      expect(pool.breaches).toEqual({ maxValueBytes: count });
    }
    // The first one was asked who is there.
    expect(worker.links).toHaveLength(2);
  });

  test('is nested too deeply', async () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    const { pool } = await pair({ maxDepth: 16 }, (link, call, nth) =>
      link.send(result(call, nested(nth === 1 ? 17 : 16))),
    );
    expect(await rejection(echo.on(pool)(1))).toMatchObject({
      code: 'LIMIT_EXCEEDED',
      limit: 'maxDepth',
      value: 17,
      max: 16,
    });
    expect(pool.breaches).toEqual({ maxDepth: 1 });
    expect(await echo.on(pool)(1)).toEqual(nested(16));
  });

  test('has too many context variables: these do not arrive', async () => {
    const { pool } = await pair({ maxContextVars: 2 }, (link, call) => {
      const item = encodeValue('well') as Uint8Array;
      const variables = Buffer.concat(
        many(3, (i) =>
          encodeVariable({ namespace: 'hostile', name: i === 0 ? 'mark' : `v${i}` }, item),
        ),
      );
      const context = encodeContext({
        ...{ chain: 'chain', whole: true, tokens: [], spent: [] },
        variables,
      });
      return link.send({ call, result: { value: { item, context }, done: true } });
    });
    expect(await echo.on(pool)(1)).toBe('well');
    expect(mark.get('unset')).toBe('unset');
    expect(pool.breaches).toEqual({ maxContextVars: 1 });
  });
});

test('a step of what is no generator ends the link', async () => {
  const { pool, worker } = await pair({}, (link, call) =>
    link.send({ call, result: { done: false } }),
  );
  const error = await rejection(echo.on(pool)(1));
  expect(error).toBeInstanceOf(WorkerLost);
  expect((error as WorkerLost).cause).toHaveProperty('code', 'PROTOCOL');
  expect((await (worker.links.at(-1) as RawWorkerLink).goodbye()).reason).toBe(
    GoodbyeReason.PROTOCOL,
  );
});

test('a caller gives a worker no more calls at a time than it says that it takes', async () => {
  let most = 0;
  const worker = await RawWorker.listen(async (link) => {
    await link.greet(3);
    for (let answered = 0; !link.ended; ) {
      await new Promise((later) => setTimeout(later, 2));
      const open = link.of('task').slice(answered);
      most = Math.max(most, open.length);
      answered += open.length;
      for (const { call } of open) await link.send(result(call, call));
    }
  });
  cleanups.push(() => worker.close());
  const pool = await WorkerPool.open({ discovery: new StaticDiscovery([worker.address]), logger });
  cleanups.push(() => pool.close({ grace: 0 }));
  await echo.on(pool)(0);
  const results = await Promise.all(many(20, (i) => echo.on(pool)(i)));
  expect(new Set(results).size).toBe(20);
  expect(most).toBe(3);
});

describe('a pool is told which limit it was', () => {
  test('where a worker takes no more links, and calls time out', async () => {
    const worker = new Worker({ host: '127.0.0.1', limits: { maxLinks: 1 }, logger });
    cleanups.push(() => worker.stop(0));
    const discovery = new StaticDiscovery([await worker.start()]);
    const first = await WorkerPool.open({ discovery, logger });
    cleanups.push(() => first.close({ grace: 0 }));
    expect(await echo.on(first)(1)).toBe(1);
    const second = await WorkerPool.open({ discovery, logger, startTimeout: 300 });
    cleanups.push(() => second.close({ grace: 0 }));
    const error = await rejection(echo.on(second)(1));
    expect(error).toMatchObject({
      code: 'NO_WORKERS_AVAILABLE',
      message: expect.stringContaining('it takes no more'),
      cause: { code: 'LIMIT_EXCEEDED', limit: 'maxLinks', max: 1 },
    });
    expect(await echo.on(first)(2)).toBe(2);
  });

  test('where a value comes in more pieces than a worker takes: it is not sent again', async () => {
    const worker = new Worker({ host: '127.0.0.1', limits: { maxFramesPerCall: 16 }, logger });
    cleanups.push(() => worker.stop(0));
    const discovery = new StaticDiscovery([await worker.start()]);
    const pool = await WorkerPool.open({ discovery, logger });
    cleanups.push(() => pool.close({ grace: 0 }));
    const most = 'x'.repeat(15 * 64 * 1024);
    expect(await echo.on(pool)(most)).toBe(most);
    expect(await rejection(echo.on(pool)(most + most))).toMatchObject({
      code: 'LIMIT_EXCEEDED',
      limit: 'maxFramesPerCall',
    });
    expect(worker.breaches).toEqual({ maxFramesPerCall: 1 });
    expect(await echo.on(pool)(1)).toBe(1);
  });

  test('and sends no more values at a time than a worker takes', async () => {
    const bytes = 300_000;
    const limits = { maxValueBytes: bytes, maxIncomingBytes: bytes };
    const worker = new Worker({ host: '127.0.0.1', limits, logger });
    cleanups.push(() => worker.stop(0));
    const discovery = new StaticDiscovery([await worker.start()]);
    const pool = await WorkerPool.open({ discovery, logger });
    cleanups.push(() => pool.close({ grace: 0 }));
    const text = 'x'.repeat(200_000);
    const results = await Promise.all(many(20, () => echo.on(pool)(text)));
    expect(results.every((result) => result === text)).toBe(true);
    expect(worker.breaches).toEqual({});
  });
});

describe('a link that ends since it was idle', () => {
  test('comes again with the next call; one that was on its way is sent again', async () => {
    const { pool, worker } = await pair({}, async (link, call, nth) => {
      if (nth !== 2) return link.send(result(call, nth));
      // It has not seen the second task, it says.
      const last_call = call - 1;
      await link.send({
        call: 0,
        goodbye: { reason: GoodbyeReason.IDLE, message: 'idle', last_call },
      });
    });
    expect([await echo.on(pool)(1), await echo.on(pool)(1)]).toEqual([1, 3]);
    expect(worker.links.filter((link) => link.of('task').length > 0)).toHaveLength(2);
    expect(pool.workers).toMatchObject([{ unreachable: false }]);
  });
});
