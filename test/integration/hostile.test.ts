/** Callers that mean harm, by hand: each limit at its value, and one past it. */
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { PbfWriter } from 'pbf';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type Logger,
  type PeerLimits,
  StaticDiscovery,
  Worker,
  WorkerCredentials,
  type WorkerOptions,
  WorkerPool,
  workerStatus,
} from '../../src/index.ts';
import { GrpcCaller } from '../../src/transport/grpc-caller.ts';
import { encodeContext, encodeVariable } from '../../src/wire/context.ts';
import { decodeError } from '../../src/wire/error.ts';
import { GoodbyeReason, NackReason, type OutFrame } from '../../src/wire/frame.ts';
import { writeEnvelope } from '../../src/wire/generated/worker.js';
import { decodeValue, encodeArgs } from '../../src/wire/value.ts';
import { Authority } from './certificates.ts';
import { until } from './helpers.ts';
import {
  envelope,
  hangUpAll,
  MODULE,
  message,
  RawCaller,
  type TaskFrame,
  taskOf,
} from './raw-link.ts';
import { begun, echo, releaseAll } from './routines/hostile.ts';

const KiB = 1024;
const workers: Worker[] = [];
const warnings: string[] = [];
const logger: Logger = {
  debug: () => {},
  info: () => {},
  warn: (_fields, message) => warnings.push(message),
  error: () => {},
};

afterEach(() => {
  hangUpAll();
  releaseAll();
});
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.stop(0)));
});

async function serve(
  limits: Partial<PeerLimits> = {},
  options: WorkerOptions = {},
): Promise<Worker> {
  const worker = new Worker({ host: '127.0.0.1', limits, logger, ...options });
  workers.push(worker);
  await worker.start();
  return worker;
}

const addressOf = (worker: Worker) => worker.address as string;
const dial = (worker: Worker, options?: Parameters<typeof RawCaller.greeted>[1]) =>
  RawCaller.greeted(addressOf(worker), options);

/** That the link ends since this limit was exceeded, and no other; that it is counted, and somebody is told. */
async function expectBreach(
  worker: Worker,
  caller: RawCaller,
  breach: { limit: keyof PeerLimits; value?: number; max: number },
): Promise<void> {
  const goodbye = await caller.goodbye();
  expect(goodbye).toMatchObject({ reason: GoodbyeReason.LIMIT, breach });
  expect(goodbye.message).toContain(`the limit is ${breach.max} (${breach.limit})`);
  await caller.end();
  expect(worker.breaches).toEqual({ [breach.limit]: 1 });
  expect((await workerStatus(addressOf(worker))).breaches).toEqual(worker.breaches);
  expect(warnings.filter((text) => text.includes(worker.uid.slice(0, 8)))).toEqual([
    expect.stringMatching(new RegExp(`a peer, tcp://127.*exceeded a limit: .*${breach.limit}`)),
  ]);
}

/** That a call fails by its limit, and its link goes on. */
async function expectRefused(worker: Worker, caller: RawCaller, call: number, limit: string) {
  const { nack } = await caller.first('nack', call);
  expect(nack.reason).toBe(NackReason.FAILED);
  const error = decodeError(nack.error?.item as Uint8Array) as Error;
  expect(error).toMatchObject({ code: 'LIMIT_EXCEEDED', limit });
  expect(worker.breaches).toEqual({ [limit]: 1 });
  await caller.echo('still there');
}

/** A task with a tag of so many characters. */
function tagged(caller: RawCaller, length: number): TaskFrame {
  const frame = caller.task(1, 1);
  return { ...frame, task: { ...frame.task, tag: 'x'.repeat(length) } };
}

/** How long the tag must be for an envelope of these frames, and a tagged one, to have as many bytes. */
function tagFor(bytes: number, caller: RawCaller, ...frames: OutFrame[]): number {
  // Where it takes as many bytes to say how long it is.
  const length = bytes - 1_000;
  return length + (bytes - envelope(9, [...frames, tagged(caller, length)]).length);
}

describe('bytes of', () => {
  test('a frame', async () => {
    const max = 128 * KiB;
    const worker = await serve({ maxFrameBytes: max });
    const caller = await dial(worker);
    // Around it are a tag and a length of 3 bytes, and the number of the envelope.
    const length = tagFor(max + 4 + 2, caller);
    const most = tagged(caller, length);
    await caller.send(most);
    await caller.first('result', most.call);
    expect(worker.breaches).toEqual({});
    await caller.send(tagged(caller, length + 1));
    await expectBreach(worker, caller, { limit: 'maxFrameBytes', value: max + 1, max });
  });

  test('an envelope', async () => {
    const max = 192 * KiB;
    const worker = await serve({ maxEnvelopeBytes: max });
    const caller = await dial(worker);
    const first = tagged(caller, 100_000);
    const length = tagFor(max, caller, first);
    const most = tagged(caller, length);
    await caller.send({ ...first, call: most.call - 1 }, most);
    await caller.first('result', most.call);
    expect(worker.breaches).toEqual({});
    await caller.send(tagged(caller, 100_000), tagged(caller, length + 1));
    await expectBreach(worker, caller, { limit: 'maxEnvelopeBytes', value: max + 1, max });
  });

  test('an envelope that is far larger, which ends the connection', async () => {
    const worker = await serve({ maxEnvelopeBytes: 192 * KiB });
    const caller = await dial(worker);
    await caller.raw(message(new Uint8Array(300 * KiB)));
    await caller.end();
    expect(worker.breaches).toEqual({ maxEnvelopeBytes: 1 });
  });

  test('a value', async () => {
    const worker = await serve({ maxValueBytes: 10_000 });
    const caller = await dial(worker);
    const send = async (bytes: number) => {
      const call = caller.task(1).call;
      const item = encodeArgs(['x'.repeat(bytes - 4)]) as Uint8Array;
      const value = { transfer: call, lengths: [item.length] };
      await caller.send(
        { call: 0, chunk: { transfer: call, data: item, total: item.length } },
        taskOf(call, 1, value),
      );
      return { call, bytes: item.length };
    };
    const most = await send(10_000);
    expect(most.bytes).toBe(10_000);
    await caller.first('result', most.call);
    const { call } = await send(10_001);
    const { nack } = await caller.first('nack', call);
    const error = decodeError(nack.error?.item as Uint8Array);
    expect(error).toMatchObject({ code: 'VALUE_TOO_LARGE', bytes: 10_001, limit: 10_000 });
    expect(worker.breaches).toEqual({ maxValueBytes: 1 });
    await caller.echo('still there');
  });

  test('values that are on their way', async () => {
    const max = 10_000;
    const worker = await serve({ maxIncomingBytes: max, maxValueBytes: max });
    const caller = await dial(worker);
    const begin = (transfer: number, total: number) =>
      caller.send({ call: 0, chunk: { transfer, data: Uint8Array.of(0), total } });
    await begin(1, 6_000);
    await begin(2, 4_000);
    await caller.echo(1);
    // What was given up is not counted.
    await caller.send({ call: 0, chunk: { transfer: 1, abandoned: true } });
    await begin(3, 6_000);
    await caller.echo(1);
    await begin(4, 1);
    await expectBreach(worker, caller, { limit: 'maxIncomingBytes', value: max + 1, max });
  });

  test('answers that nobody reads', async () => {
    const max = 1_000_000;
    const worker = await serve({ maxHeldBytes: max, readTimeoutMs: 200 });
    const [few, many] = [
      await dial(worker, { reads: false }),
      await dial(worker, { reads: false }),
    ];
    // Each result takes some bytes more.
    await few.send(few.task(2, 490_000), few.task(2, 490_000));
    await many.send(many.task(2, 490_000), many.task(2, 590_000));
    await until(() => expect(worker.status.inFlight).toBe(4));
    releaseAll();
    await until(() => expect(worker.breaches).toEqual({ maxHeldBytes: 1 }));
    await until(() => expect(many.closed).toBe(true));
    expect(few.closed).toBe(false);
    expect(worker.breaches).toEqual({ maxHeldBytes: 1 });
  });
});

describe('the number of', () => {
  test('frames in an envelope', async () => {
    const max = 16_384;
    const worker = await serve({ maxFramesPerEnvelope: max, maxStrayFrames: 1_000_000 });
    const caller = await dial(worker);
    const ping = { call: 0, ping: {} };
    await caller.send(...new Array(max).fill(ping));
    await caller.first('pong');
    await caller.send(...new Array(max + 1).fill(ping));
    await expectBreach(worker, caller, { limit: 'maxFramesPerEnvelope', value: max + 1, max });
  });

  test('frames of a call: the chunks of its value', async () => {
    const max = 16;
    const worker = await serve({ maxFramesPerCall: max });
    const caller = await dial(worker);
    const send = async (transfer: number, pieces: number) => {
      const item = encodeArgs(['x'.repeat(pieces - 2)]) as Uint8Array;
      const chunks = Array.from(item, (byte, i) => ({
        call: 0,
        chunk: { transfer, data: Uint8Array.of(byte), ...(i === 0 && { total: item.length }) },
      }));
      const { call } = caller.task(1);
      await caller.send(...chunks, taskOf(call, 1, { transfer, lengths: [item.length] }));
      return { call, pieces: item.length };
    };
    const { call, pieces } = await send(1, max);
    expect(pieces).toBe(max);
    await caller.first('result', call);
    await send(2, max + 1);
    await expectBreach(worker, caller, { limit: 'maxFramesPerCall', value: max + 1, max });
  });

  test('chunks without end', async () => {
    const max = 100;
    const worker = await serve({ maxStrayFrames: max });
    const caller = await dial(worker);
    const empty = { call: 0, chunk: { transfer: 1, total: 1_000 } };
    await caller.send(...new Array(max).fill(empty));
    await caller.echo(1);
    await caller.send(...new Array(10 * max).fill(empty));
    await expectBreach(worker, caller, { limit: 'maxStrayFrames', max });
  });

  test('frames for calls of others', async () => {
    const max = 100;
    const worker = await serve({ maxStrayFrames: max });
    const owner = await dial(worker);
    await owner.send(owner.task(2));
    const caller = await dial(worker);
    const cancels = (from: number, count: number) =>
      Array.from({ length: count }, (_, i) => ({ call: from + i, cancel: {} }));
    await caller.send(...cancels(1, max));
    await caller.echo(1);
    expect(worker.status.inFlight).toBe(1);
    await caller.send(...cancels(2, 10 * max));
    await expectBreach(worker, caller, { limit: 'maxStrayFrames', max });
    releaseAll();
    await owner.first('result', 1);
  });

  test('call numbers that come again', async () => {
    const max = 100;
    const worker = await serve({ maxStrayFrames: max });
    const caller = await dial(worker);
    const before = begun.echo;
    const again = caller.task(1, 1);
    await caller.send(again, again);
    await caller.first('result', again.call);
    await caller.send(again);
    expect((await caller.first('nack')).nack.reason).toBe(NackReason.DUPLICATE);
    await caller.send(...new Array(10 * max).fill(again));
    await expectBreach(worker, caller, { limit: 'maxStrayFrames', max });
    expect(begun.echo).toBe(before + 1);
  });

  test('pings', async () => {
    const max = 100;
    const worker = await serve({ maxStrayFrames: max });
    const caller = await dial(worker);
    await caller.send(...new Array(max).fill({ call: 0, ping: {} }));
    await caller.echo(1);
    await caller.send(...new Array(10 * max).fill({ call: 0, ping: {} }));
    await expectBreach(worker, caller, { limit: 'maxStrayFrames', max });
  });

  test('calls on a link', async () => {
    const max = 3;
    const worker = await serve({ maxCallsPerLink: max });
    const caller = await dial(worker);
    expect((await caller.first('hello')).hello.max_calls).toBe(max);
    const before = begun.wait;
    const tasks = Array.from({ length: max + 1 }, () => caller.task(2));
    await caller.send(...tasks);
    await until(() => expect(begun.wait).toBe(before + max));
    releaseAll();
    for (const { call } of tasks.slice(0, max)) await caller.first('result', call);
    await expectRefused(worker, caller, max + 1, 'maxCallsPerLink');
  });

  test('links', async () => {
    const max = 2;
    const worker = await serve({ maxLinks: max });
    const callers = [await dial(worker), await dial(worker)] as const;
    for (const caller of callers) await caller.echo(1);
    const more = await dial(worker);
    await expectBreach(worker, more, { limit: 'maxLinks', value: max + 1, max });
    for (const caller of callers) await caller.echo(1);
    callers[0].hangUp();
    await until(async () => {
      const next = await dial(worker);
      await until(() => expect(next.frames).not.toEqual([]));
      expect(next.frames[0]?.body).toBe('hello');
      await next.echo(1);
    });
  });

  test('routines', async () => {
    const max = 3;
    const worker = await serve({ maxRoutines: max });
    const caller = await dial(worker);
    await caller.echo(1);
    await caller.send({ call: 0, routine: { number: max + 1, module: MODULE, name: 'more' } });
    await expectBreach(worker, caller, { limit: 'maxRoutines', value: max + 1, max });
  });

  test('characters of the name of a routine', async () => {
    const max = 256;
    const worker = await serve({ maxNameLength: max });
    const caller = await dial(worker);
    const name = 'x'.repeat(max - MODULE.length);
    await caller.send({ call: 0, routine: { number: 4, module: MODULE, name } });
    await caller.echo(1);
    await caller.send({ call: 0, routine: { number: 5, module: MODULE, name: `${name}x` } });
    await expectBreach(worker, caller, { limit: 'maxNameLength', value: max + 1, max });
  });

  test('levels of a value', async () => {
    const max = 16;
    const worker = await serve({ maxDepth: max });
    const caller = await dial(worker);
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    // The arguments are a level, too.
    await caller.echo(nested(max - 1));
    const task = caller.task(1, nested(max));
    await caller.send(task);
    await expectRefused(worker, caller, task.call, 'maxDepth');
  });

  test('steps that nobody has answered: one', async () => {
    const worker = await serve();
    const caller = await dial(worker);
    const task = caller.task(3);
    await caller.send(task, { call: task.call, next: {} });
    await caller.first('result', task.call);
    await caller.send({ call: task.call, next: {} }, { call: task.call, next: {} });
    expect((await caller.goodbye()).reason).toBe(GoodbyeReason.PROTOCOL);
  });
});

describe('in a context, the number of', () => {
  const max = 5;
  const key = (i: number) => ({ namespace: 'hostile', name: `v${i}` });
  const many = <T>(count: number, make: (i: number) => T) =>
    Array.from({ length: count }, (_, i) => make(i));
  const contexts: Record<string, (count: number) => Uint8Array> = {
    maxContextVars: (count) =>
      context({ variables: Buffer.concat(many(count, (i) => encodeVariable(key(i), ONE))) }),
    maxContextTokens: (count) =>
      context({ tokens: many(count, (i) => ({ id: `t${i}`, ...key(i), state: 0 })) }),
    maxSpentTokens: (count) => context({ spent: many(count, (i) => `t${i}`) }),
  };
  const ONE = Uint8Array.of(1);
  const context = (parts: Partial<Parameters<typeof encodeContext>[0]>) =>
    encodeContext({
      ...{ chain: 'chain', whole: true, variables: new Uint8Array(), tokens: [], spent: [] },
      ...parts,
    });

  test.each(Object.entries(contexts))('%s', async (limit, make) => {
    const worker = await serve({ [limit]: max });
    const caller = await dial(worker);
    const send = async (count: number) => {
      const { call } = caller.task(1);
      const item = encodeArgs([1]) as Uint8Array;
      await caller.send(taskOf(call, 1, { item, context: make(count) }));
      return call;
    };
    await caller.first('result', await send(max));
    expect(worker.breaches).toEqual({});
    await expectRefused(worker, caller, await send(max + 1), limit);
  });
});

describe('the time', () => {
  test('until Hello has come, also bit by bit', async () => {
    const helloTimeoutMs = 400;
    const worker = await serve({ helloTimeoutMs });
    const [silent, slow] = [
      await RawCaller.open(addressOf(worker)),
      await RawCaller.open(addressOf(worker)),
    ];
    const good = await dial(worker);
    const dripping = setInterval(() => void slow.raw(Uint8Array.of(0)), 50);
    for (const caller of [silent, slow]) {
      expect(await caller.goodbye()).toMatchObject({
        reason: GoodbyeReason.LIMIT,
        breach: { limit: 'helloTimeoutMs', max: helloTimeoutMs },
      });
    }
    clearInterval(dripping);
    expect(worker.breaches).toEqual({ helloTimeoutMs: 2 });
    await good.echo(1);
  });

  test('of a link on which nothing is done; pings do not count, and tasks do', async () => {
    const worker = await serve({ idleLinkTimeoutMs: 300 });
    const [idle, busy] = [await dial(worker), await dial(worker)];
    await busy.send(busy.task(2));
    await idle.echo(1);
    const pinging = setInterval(() => void idle.send({ call: 0, ping: {} }), 50);
    const began = performance.now();
    const goodbye = await idle.goodbye();
    clearInterval(pinging);
    expect(goodbye).toMatchObject({ reason: GoodbyeReason.IDLE, last_call: idle.lastCall });
    expect(performance.now() - began).toBeGreaterThan(200);
    expect(busy.of('goodbye')).toEqual([]);
    releaseAll();
    await busy.first('result', 1);
    expect((await busy.goodbye()).reason).toBe(GoodbyeReason.IDLE);
    expect(worker.breaches).toEqual({});
  });

  test.each([true, false])(
    'of the link of a pool, which has another one for its next call (lazy: %s)',
    async (lazy) => {
      let links = 0;
      const worker = await serve(
        { idleLinkTimeoutMs: 100 },
        {
          inspect: (event) => {
            if (event.type === '@xstate.event' && event.event.type === 'up') links += 1;
          },
        },
      );
      const discovery = new StaticDiscovery([addressOf(worker)]);
      await using pool = await WorkerPool.open({ discovery, lazy });
      expect(await echo.on(pool)(1)).toBe(1);
      const before = links;
      // Where it is lazy it connects with the call, and else by itself.
      await until(() => {
        const { via } = pool.workers[0] ?? {};
        if (lazy) expect(via).toBeUndefined();
        else expect(links).toBeGreaterThan(before);
      });
      expect(await echo.on(pool)(2)).toBe(2);
      expect(links).toBeGreaterThan(before);
      expect(pool.workers).toMatchObject([{ unreachable: false }]);
    },
  );

  test('of connections that ask nothing', async () => {
    const worker = await serve({ strangerMs: 300 });
    const socket = connectTcp(Number(new URL(addressOf(worker)).port), '127.0.0.1');
    socket.resume();
    await new Promise((ended) => socket.once('close', ended));
  });

  test('of requests that never end', async () => {
    const worker = await serve({ helloTimeoutMs: 300 });
    const session = connectHttp2(addressOf(worker).replace('tcp:', 'http:'));
    session.on('error', () => {});
    const stream = session.request({
      ...{ ':method': 'POST', ':path': '/grpc.health.v1.Health/Check' },
      ...{ 'content-type': 'application/grpc', te: 'trailers' },
    });
    stream.on('error', () => {});
    await new Promise((ended) => session.once('close', ended));
    await (await dial(worker)).echo(1);
  });

  test('of strangers, and their number', async () => {
    const limits = { maxStrangers: 2, strangerMs: 500 };
    const worker = await serve(limits, { authkey: 'a secret of some length' });
    const port = Number(new URL(addressOf(worker)).port);
    const ended: number[] = [];
    for (const number of [1, 2, 3]) {
      const socket = connectTcp(port, '127.0.0.1');
      socket.on('close', () => ended.push(number)).resume();
      await new Promise((connected) => socket.once('connect', connected));
    }
    await until(() => expect(ended).toEqual([1]));
    expect(worker.breaches).toEqual({ maxStrangers: 1 });
    await until(() => expect(ended.sort()).toEqual([1, 2, 3]));
    await until(() => expect(worker.breaches).toEqual({ maxStrangers: 1, strangerMs: 2 }));
  });
});

describe('lies', () => {
  let worker: Worker;
  beforeAll(async () => {
    worker = await serve();
  });

  const cases: Record<string, (caller: RawCaller) => unknown> = {
    'a second Hello': (caller) => caller.greet(),
    'a frame longer than its envelope': (caller) => caller.sendBytes(Uint8Array.of(0x0a, 100)),
    'a frame longer than all memory': (caller) =>
      caller.sendBytes(Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f)),
    'more bytes than a value has': (caller) =>
      caller.send({ call: 0, chunk: { transfer: 1, data: new Uint8Array(9), total: 8 } }),
    'parts of another sum': (caller) =>
      caller.send({
        call: 0,
        chunk: { transfer: 1, data: new Uint8Array(1), total: 8, lengths: [1, 2] },
      }),
    'more values at a time than there may be': (caller) =>
      caller.send(
        ...Array.from({ length: 33 }, (_, i) => ({
          call: 0,
          chunk: { transfer: i + 1, data: new Uint8Array(1), total: 8 },
        })),
      ),
    'a routine that was not named': (caller) => caller.send(taskOf(1, 99, {})),
    'a context that shares what is not there': (caller) => {
      const { task } = taskOf(1, 1, { context: new Uint8Array(1) });
      const writer = new PbfWriter();
      writeEnvelope(
        { frames: [{ call: 1, task: { ...task, context_shared: 1_000_000 } }] },
        writer,
      );
      return caller.sendBytes(writer.finish());
    },
    'what only workers say': async (caller) => {
      await caller.send(caller.task(2));
      await caller.send({ call: caller.lastCall, result: { done: true } });
    },
  };

  test.each(Object.entries(cases))('%s', async (_name, lie) => {
    const [caller, good] = [await dial(worker), await dial(worker)];
    await lie(caller);
    expect((await caller.goodbye()).reason).toBe(GoodbyeReason.PROTOCOL);
    await caller.end();
    await good.echo(1);
  });

  const grpc: Record<string, Buffer> = {
    'a message of 4 GiB': message(new Uint8Array(1), 0xffff_ffff),
    'a message that grows when it is unpacked': message(
      gzipSync(new Uint8Array(64 * 1024 * KiB)),
      undefined,
      1,
    ),
  };
  test.each(Object.entries(grpc))('%s', async (_name, bytes) => {
    const [caller, good] = [await dial(worker), await dial(worker)];
    await caller.raw(bytes);
    await caller.end();
    await good.echo(1);
  });

  test('who does not hang up is hung up on', async () => {
    const caller = await dial(worker);
    await caller.greet();
    await caller.end();
    expect(caller.closed).toBe(false);
    await until(() => expect(caller.closed).toBe(true));
  });
});

test('a value that has not come fails its call', async () => {
  const caller = await dial(await serve());
  await caller.send(taskOf(1, 1, { transfer: 7, lengths: [1] }));
  const { nack } = await caller.first('nack', 1);
  expect(decodeError(nack.error?.item as Uint8Array)).toHaveProperty('code', 'PROTOCOL');
  caller.task(1);
  await caller.echo('still there');
});

test('who greets in the name of another caller uses up none of its call numbers', async () => {
  const authority = await Authority.make();
  const credentials = WorkerCredentials.fromBytes(await authority.issue());
  const worker = await serve({}, { credentials });
  const port = new URL(addressOf(worker)).port;
  const caller = async (name: string) => {
    const { ca, cert, key } = await authority.issue({ names: [name], usages: ['client'] });
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca, cert, key });
    session.on('error', () => {});
    const raw = await RawCaller.open(addressOf(worker), { session });
    await raw.greet('victim----------');
    return raw;
  };
  const [victim, other] = [await caller('victim'), await caller('other')];
  await victim.echo(1);
  const late = taskOf(2 ** 52, 1, { item: encodeArgs([1]) as Uint8Array });
  await other.send(late);
  await other.first('result', late.call);
  await victim.echo(2);
  // The same caller, with a certificate that is new: its numbers stay used.
  const again = await caller('victim');
  await again.send(taskOf(1, 1, { item: encodeArgs([1]) as Uint8Array }));
  expect((await again.first('nack', 1)).nack.reason).toBe(NackReason.DUPLICATE);
});

test('no task shows the name that its caller greets with', async () => {
  const caller = await RawCaller.open(addressOf(await serve()));
  await caller.greet('a-secret-of-ours');
  const task = caller.task(4);
  await caller.send({ call: 0, routine: { number: 4, module: MODULE, name: 'whoAmI' } }, task);
  const { result } = await caller.first('result', task.call);
  const id = decodeValue(result.value?.item as Uint8Array);
  expect(id).toMatch(/^[0-9a-v]{16}-1$/);
  expect(id).not.toContain('a-secret-of-ours');
});

test('a name that a caller greets with has 256 characters, and no more', async () => {
  const worker = await serve();
  const [most, more] = [
    await RawCaller.open(addressOf(worker)),
    await RawCaller.open(addressOf(worker)),
  ];
  await most.greet('x'.repeat(256));
  await most.echo(1);
  await more.greet('x'.repeat(257));
  expect((await more.goodbye()).reason).toBe(GoodbyeReason.PROTOCOL);
});

test.each(['grpc.health.v1.Health/Check', 'skein.v1.Worker/Status', 'skein.v1.Worker/Stop'])(
  'a request of %s that is far too large is answered, and does nothing',
  async (path) => {
    const worker = await serve();
    const caller = new GrpcCaller(addressOf(worker));
    const request = Buffer.concat([Buffer.of(0x0a, 0xc0, 0x84, 0x3d), Buffer.alloc(1_000_000, 97)]);
    await expect(caller.unary(`/${path}`, request, 10_000)).rejects.toMatchObject({
      code: status.INTERNAL,
    });
    expect(worker.status.draining).toBe(false);
    caller.close();
    await (await dial(worker)).echo(1);
  },
);

test('one connection has 32 streams, and a further one waits or is refused', async () => {
  const worker = await serve();
  const session = connectHttp2(addressOf(worker).replace('tcp:', 'http:'));
  await until(() => expect(session.remoteSettings.maxConcurrentStreams).toBe(32));
  const callers: RawCaller[] = [];
  for (let i = 0; i < 32; i += 1) callers.push(await dial(worker, { session }));
  const more = await RawCaller.open(addressOf(worker), { session });
  void more.greet();
  for (const caller of callers) await caller.echo(1);
  expect(more.frames).toEqual([]);
  callers[0]?.close();
  // Which of the two it is, is a matter of when each side takes the one that has ended for gone.
  for (let next = more; next.of('result').length === 0; ) {
    if (next.ended) {
      next = await RawCaller.open(addressOf(worker), { session });
      await next.greet();
    }
    await next.send(next.task(1, 1));
    await until(() => expect(next.ended || next.of('result').length > 0).toBe(true));
  }
});
