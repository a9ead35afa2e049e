import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  LocalDiscovery,
  type PoolOptions,
  type PoolWorker,
  RoutineNotFound,
  routine,
  SerializationError,
  ValueTooLarge,
  WorkerLost,
  WorkerStartError,
} from '../../src/index.ts';
import { EnvelopeWriter, type OutFrame, PROTOCOL_VERSION } from '../../src/wire/frame.ts';
import {
  isAlive,
  moduleUrl,
  ROOT,
  rejection,
  runScript,
  scratchFolder,
  trace,
  until,
  untilGone,
} from './helpers.ts';
import { huge } from './routines/errors.ts';
import { counter, hanging, large } from './routines/generators.ts';
import { gate, once, pid } from './routines/tasks.ts';
import { byteLength, bytes, echo, plus } from './routines/values.ts';
import { isNats, WorkerPool } from './runtime.ts';

const folder = scratchFolder();

describe('a worker killed with SIGKILL', () => {
  let pool: WorkerPool;
  beforeAll(async () => {
    pool = await WorkerPool.open({ size: 1, restarts: { limit: 1_000 } });
  });
  afterAll(() => pool.close({ grace: 0 }));

  const onlyPid = () => pool.workers[0]?.pid as number;

  /** The next call runs, on another process. */
  async function expectReplaced(old: number): Promise<void> {
    await until(() => expect(pool.workers.map((worker) => worker.pid)).not.toContain(old));
    expect(await pid()).not.toBe(old);
    expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, deadlines: 0 });
  }

  test('while it is idle is not noticed by the next call', async () => {
    const old = await pid();
    process.kill(old, 'SIGKILL');
    await expectReplaced(old);
  });

  test('while it runs a task: the call fails with WorkerLost in the phase `running`', async () => {
    const file = trace(folder);
    const call = rejection(gate(file.path));
    await file.has('start');
    const [{ uid, pid: old }] = pool.workers as unknown as [PoolWorker & { pid: number }];
    // What the worker has said of the first call has come by then.
    expect(await pid()).toBe(old);
    process.kill(old, 'SIGKILL');
    const error = await call;
    expect(error).toBeInstanceOf(WorkerLost);
    expect(error).toMatchObject({ code: 'WORKER_LOST', phase: 'running', worker: uid });
    expect((error as Error).message).toContain('It had begun');
    await expectReplaced(old);
    expect(file.lines).toEqual(['start gate']);
  });

  test('in the middle of a generator’s step: the step fails, and the generator is over', async () => {
    const file = trace(folder);
    const steps = hanging(file.path);
    const old = (await steps.next()).value as number;
    const step = rejection(steps.next());
    await file.has('hanging');
    process.kill(old, 'SIGKILL');
    expect(await step).toMatchObject({ code: 'WORKER_LOST', phase: 'running' });
    expect(await steps.next()).toEqual({ value: undefined, done: true });
    await expectReplaced(old);
  });

  test('between two steps of a generator: the next step tells', async () => {
    const file = trace(folder);
    const steps = counter(file.path, 10);
    await steps.next();
    const old = onlyPid();
    process.kill(old, 'SIGKILL');
    await expectReplaced(old);
    expect(await rejection(steps.next())).toMatchObject({ code: 'WORKER_LOST', phase: 'running' });
    expect(await steps.next()).toEqual({ value: undefined, done: true });
    expect(file.lines).toEqual(['begin', 'yield 0']);
  });

  test('while many calls are on their way: each body has run once or not at all, each call ends', async () => {
    await using four = await WorkerPool.open({ size: 4, restarts: { limit: 1_000 } });
    const file = trace(folder);
    const lost: string[] = [];
    const ran: string[] = [];
    let calls = 0;
    let over = false;
    const caller = async () => {
      while (!over) {
        calls += 1;
        const name = `call ${calls}`;
        try {
          ran.push(await once.on(four)(file.path, name));
        } catch (error) {
          expect(error).toBeInstanceOf(WorkerLost);
          lost.push(name);
        }
      }
    };
    const callers = Array.from({ length: 16 }, caller);
    for (let kill = 0; kill < 6; kill += 1) {
      // Others work on meanwhile, and some of their calls go to the worker that dies.
      const goal = ran.length + 100;
      await until(() => expect(ran.length).toBeGreaterThan(goal));
      const [victim] = await until(() => {
        expect(four.workers.length).toBeGreaterThan(1);
        return four.workers as readonly [PoolWorker];
      });
      process.kill(victim.pid as number, 'SIGKILL');
    }
    over = true;
    await Promise.all(callers);
    const counts = new Map<string, number>();
    for (const name of file.lines) counts.set(name, (counts.get(name) ?? 0) + 1);
    expect(Math.max(...counts.values())).toBe(1);
    for (const name of ran) expect(counts.get(name)).toBe(1);
    expect(ran.length + lost.length).toBe(calls);
  });
});

describe('a caller killed with', () => {
  test.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)(
    '%s: its tasks are aborted, its workers end, and its sockets are removed',
    async (signal) => {
      const file = trace(folder);
      const script = runScript(join(ROOT, 'test/fixtures/caller.ts'), [file.path]);
      await file.has('start', 2);
      const workers = JSON.parse(script.stdout()) as PoolWorker[];
      const pids = workers.map((worker) => worker.pid as number);
      expect(pids.map(isAlive)).toEqual([true, true]);
      process.kill(script.child.pid as number, signal);
      expect(await script.ended).toBe(signal);
      await file.has('aborted the task was aborted', 2);
      await untilGone(pids);
      expect(existsSync(dirname((workers[0]?.address ?? '').slice('unix://'.length)))).toBe(false);
    },
  );
});

test('a caller killed while its workers start: they end, and leave nothing', async () => {
  const env = { ...process.env, TMPDIR: join(folder, 'starting') };
  mkdirSync(env.TMPDIR);
  const left = () => readdirSync(env.TMPDIR).filter((name) => name.startsWith('skein-'));
  const fixture = join(ROOT, 'test/fixtures/starting.ts');
  // The later the longer the caller takes: while Node starts, while files load, when some are up.
  for (const ms of [0, 30, 100, 200, 300, 400, 600]) {
    const script = runScript(fixture, [String(ms)], { env });
    expect(await script.ended).toBe('SIGKILL');
    expect(script.stderr()).toBe('');
    const pids = JSON.parse(script.stdout()) as number[];
    expect(pids).toHaveLength(2);
    await untilGone(pids);
    expect(left()).toEqual([]);
  }
}, 120_000);

describe('Ctrl-C on a terminal, which goes to the workers too', () => {
  /** Runs the program in a process group of its own, and interrupts the group when it says so. */
  async function interrupt(mode: string) {
    const file = trace(folder);
    const fixture = join(ROOT, 'test/fixtures/interrupted.ts');
    const script = runScript(fixture, [mode, file.path], { detached: true });
    await file.has('start');
    const workers = JSON.parse(script.stdout().split('\n')[0] as string) as PoolWorker[];
    process.kill(-(script.child.pid as number), 'SIGINT');
    const code = await script.ended;
    await untilGone(workers.map((worker) => worker.pid as number));
    expect(existsSync(dirname((workers[0]?.address ?? '').slice('unix://'.length)))).toBe(false);
    return { ...script, code };
  }

  test('leaves nothing, though a task listens to nothing', async () => {
    const { code, stderr } = await interrupt('plain');
    expect(code).toBe('SIGINT');
    expect(stderr()).toBe('');
  });

  test('lets a program go on that handles it: what it calls then runs on new workers', async () => {
    const { code, stdout, stderr } = await interrupt('handled');
    expect(stderr()).toBe('');
    expect(stdout()).toContain('interrupted: stop, then 3\n');
    expect(code).toBe(0);
  });

  test('lets a program close its pool, which waits for its tasks', async () => {
    const { code, stdout, stderr } = await interrupt('closes');
    expect(stderr()).toBe('');
    expect(stdout()).toContain('closed after gate\n');
    expect(code).toBe(0);
  });
});

describe('a worker', () => {
  test('whose module ends the process while it loads: WorkerLost, and the worker is replaced', async () => {
    await using pool = await WorkerPool.open({ size: 1 });
    const module = moduleUrl('fixtures/broken/exits.ts');
    const exits = routine(async () => {}, { name: 'exits', module });
    const error = await rejection(exits.on(pool)());
    expect(error).toMatchObject({ code: 'WORKER_LOST', phase: 'offered' });
    await until(async () => expect(await plus.on(pool)(1, 2)).toBe(3));
  });

  test.skipIf(isNats)(
    'that can’t listen: opening the pool fails with the reason, and leaves nothing',
    async () => {
      // The path of a Unix socket has about a hundred bytes.
      const deep = join(folder, 'x'.repeat(120));
      mkdirSync(deep);
      const { TMPDIR } = process.env;
      process.env.TMPDIR = deep;
      try {
        const error = (await rejection(WorkerPool.open({ size: 2 }))) as Error;
        expect(error).toBeInstanceOf(WorkerStartError);
        expect(error.message).toMatch(
          /is too long for the workers' sockets.*set TMPDIR to another folder, or use transport: 'tcp'/,
        );
      } finally {
        if (TMPDIR === undefined) delete process.env.TMPDIR;
        else process.env.TMPDIR = TMPDIR;
      }
    },
  );
});

describe.skipIf(isNats)('malformed bytes on the Link stream', () => {
  let pool: WorkerPool;
  let client: grpc.Client;
  beforeAll(async () => {
    // Announced, and so for whoever comes.
    const discovery = new LocalDiscovery('faults', { folder: `${folder}/found` });
    pool = await WorkerPool.open({ size: 1, transport: 'tcp', discovery });
    const address = (pool.workers[0]?.address ?? '').replace('tcp://', '');
    client = new grpc.Client(address, grpc.credentials.createInsecure());
  });
  afterAll(async () => {
    client.close();
    await pool.close();
  });

  const hello: OutFrame = {
    call: 0,
    hello: {
      version: PROTOCOL_VERSION,
      uid: 'raw0000000000000',
      expects: '',
      max_value_bytes: 1_000_000,
      window: 100_000,
    },
  };
  const numbered = (sequence: number, ...frames: OutFrame[]) => {
    const writer = new EnvelopeWriter();
    for (const frame of frames) writer.add(frame);
    return Buffer.from(writer.finish(sequence));
  };
  const envelope = (...frames: OutFrame[]) => numbered(1, ...frames);
  const task = { routine: 1, sequence: 1, generator: false, caller: '', timeout_ms: 0, tag: '' };
  const declare = { number: 1, module: 'file:///nowhere.mjs', name: 'none' };

  /** Sends raw packets, and resolves with what came back when the worker has ended the stream. */
  async function speak(packets: readonly Buffer[]): Promise<Buffer[]> {
    const stream = client.makeBidiStreamRequest(
      '/skein.v1.Worker/Link',
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
    );
    const received: Buffer[] = [];
    stream.on('data', (data: Buffer) => received.push(data));
    stream.on('error', () => {});
    for (const packet of packets) stream.write(packet);
    await new Promise((resolve) => stream.on('status', resolve));
    return received;
  }

  test.each<[string, Buffer[]]>([
    ['bytes that are no envelope', [Buffer.from([0xff, 0xff, 0xff, 0xff])]],
    ['text', [Buffer.from('GET / HTTP/1.1\r\n\r\n')]],
    ['a length that lies', [Buffer.from([0x0a, 0x7f, 0x08])]],
    ['a frame without a body', [Buffer.from([0x0a, 0x02, 0x08, 0x01])]],
    ['an unknown body', [Buffer.from([0x0a, 0x04, 0xfa, 0x07, 0x01, 0x00])]],
    ['a frame before Hello', [envelope({ call: 1, next: {} })]],
    ['a Hello without a uid', [envelope({ call: 0, hello: { ...hello.hello, uid: '' } as never })]],
    ['another version', [envelope({ call: 0, hello: { ...hello.hello, version: 99 } as never })]],
    [
      'another worker’s uid',
      [envelope({ call: 0, hello: { ...hello.hello, expects: 'x' } as never })],
    ],
    ['two Hellos', [numbered(1, hello), numbered(2, hello)]],
    ['an envelope that is missing', [numbered(1, hello), numbered(3, { call: 1, next: {} })]],
    [
      'an envelope without its end',
      [numbered(1, hello), envelope({ call: 1, next: {} }).subarray(0, -2)],
    ],
    ['garbage after Hello', [envelope(hello), Buffer.alloc(1000, 0x99)]],
    ['a task of a routine that was not declared', [envelope(hello, { call: 1, task })]],
    [
      'a routine with a wrong number',
      [envelope(hello, { call: 0, routine: { ...declare, number: 7 } })],
    ],
    [
      'a frame that only workers send',
      [envelope(hello, { call: 0, routine: declare }, { call: 1, task }, { call: 1, ack: {} })],
    ],
    [
      'more chunks than were announced',
      [
        envelope(hello, {
          call: 0,
          chunk: { transfer: 1, data: Buffer.alloc(10), total: 5, abandoned: false },
        }),
      ],
    ],
  ])('%s: the worker says goodbye, and serves its good caller on', async (_what, packets) => {
    const file = trace(folder);
    const running = gate.on(pool)(file.path);
    await file.has('start');
    const before = pool.workers[0]?.pid;
    await speak(packets);
    file.open();
    expect(await running).toBe('gate');
    expect(await pid.on(pool)()).toBe(before);
  });

  test('a task whose arguments are no value fails alone', async () => {
    const stream = client.makeBidiStreamRequest(
      '/skein.v1.Worker/Link',
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
    );
    const received: Buffer[] = [];
    stream.on('data', (data: Buffer) => received.push(data));
    stream.on('error', () => {});
    const module = 'skein/test/integration/routines/values.ts';
    stream.write(
      envelope(
        { call: 0, hello: { ...hello.hello, uid: 'raw0000000000001' } },
        { call: 0, routine: { number: 1, module, name: 'plus' } },
        { call: 1, task: { ...task, args: { item: Buffer.from([0xff, 0x00]) } } as never },
      ),
    );
    // Hello, and then the Nack.
    await until(() => expect(Buffer.concat(received).includes('SerializationError')).toBe(true));
    expect(await plus.on(pool)(1, 2)).toBe(3);
    stream.cancel();
  });

  test('the worker ends by itself afterwards: no such stream holds it', async () => {
    const old = pool.workers[0]?.pid as number;
    process.kill(old, 'SIGINT');
    await untilGone([old]);
    await until(async () => expect(await plus.on(pool)(1, 2)).toBe(3));
  });
});

describe('a value over maxValueBytes', () => {
  const LIMIT = 200_000;
  let pool: WorkerPool;
  beforeAll(async () => {
    pool = await WorkerPool.open({
      size: 1,
      limits: { maxValueBytes: LIMIT },
    } satisfies PoolOptions);
  });
  afterAll(() => pool.close());

  /** Another call is in flight meanwhile; it and the worker are not harmed. */
  async function failure(fail: () => Promise<unknown>): Promise<ValueTooLarge> {
    const file = trace(folder);
    const other = gate(file.path);
    await file.has('start');
    const before = pool.workers[0]?.pid;
    const error = await rejection(fail());
    file.open();
    expect(await other).toBe('gate');
    expect(await pid()).toBe(before);
    expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, deadlines: 0 });
    return error as ValueTooLarge;
  }

  test('fits up to the limit', async () => {
    const data = new Uint8Array(LIMIT - 100);
    expect(await byteLength(data)).toBe(data.length);
    expect((await bytes(data.length)).length).toBe(data.length);
  });

  test('as an argument fails its call alone', async () => {
    const error = await failure(() => byteLength(new Uint8Array(LIMIT + 1)));
    expect(error).toBeInstanceOf(ValueTooLarge);
    expect(error).toMatchObject({ code: 'VALUE_TOO_LARGE', limit: LIMIT });
    expect(error.bytes).toBeGreaterThan(LIMIT);
    expect(error.message).toContain('maxValueBytes');
  });

  test('as a result fails its call alone', async () => {
    const error = await failure(() => bytes(LIMIT + 1));
    expect(error).toBeInstanceOf(ValueTooLarge);
    expect(error).toMatchObject({ code: 'VALUE_TOO_LARGE', limit: LIMIT });
  });

  test('as a yielded value fails its generator alone', async () => {
    const steps = large(3, LIMIT + 1);
    expect(await failure(() => steps.next())).toBeInstanceOf(ValueTooLarge);
    expect(await steps.next()).toEqual({ value: undefined, done: true });
  });

  test('as what is sent to a generator fails that call alone', async () => {
    const steps = counter(trace(folder).path, 3) as AsyncGenerator<number, string, unknown>;
    await steps.next();
    const error = await failure(() => steps.next(new Uint8Array(LIMIT + 1)));
    expect(error).toBeInstanceOf(ValueTooLarge);
    expect(await steps.next()).toEqual({ value: undefined, done: true });
  });

  test('as an error is replaced by one that says how it begins', async () => {
    const error = await failure(() => huge(LIMIT + 1));
    expect(error).toBeInstanceOf(SerializationError);
    expect((error as Error).message).toMatch(/too large to travel; it begins: xxx/);
  });
});

test('a module that loads again and again without success costs one worker nothing', async () => {
  await using pool = await WorkerPool.open({ size: 1 });
  const module = moduleUrl('fixtures/broken/throws.ts');
  const broken = routine(async () => {}, { name: 'broken', module });
  const before = pool.workers[0]?.pid;
  const errors = await Promise.all(Array.from({ length: 20 }, () => rejection(broken.on(pool)())));
  for (const error of errors) expect(error).toBeInstanceOf(RoutineNotFound);
  expect(await echo.on(pool)(before)).toBe(before);
  expect(pool.workers[0]?.pid).toBe(before);
});
