/**
 * What never happens, whoever calls: a module outside of the root is run, a stack or a path leaves a worker that
 * exposes none, a secret shows.
 */
import { once } from 'node:events';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createActor, fromCallback, type InspectionEvent } from 'xstate';
import { PoolProxy } from '../../src/actors/proxy.ts';
import { roundRobin } from '../../src/balancing/policies.ts';
import { systemEnv } from '../../src/env.ts';
import {
  type Logger,
  type PoolWorker,
  RoutineNotFound,
  SerializationError,
  StaticDiscovery,
  stopWorker,
  Worker,
  WorkerCredentials,
  WorkerPool,
  workerStatus,
} from '../../src/index.ts';
import { natsTransport } from '../../src/nats/index.ts';
import { secretOf } from '../../src/security/own-workers.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import { defaultLimits } from '../../src/transport/link.ts';
import { TAG_CLASS, TAG_INSTANCE, TAG_ROUTINE } from '../../src/wire/tags.ts';
import { encodeArgs } from '../../src/wire/value.ts';
import { Authority } from './certificates.ts';
import { ROOT, rejection, scratchFolder, thrown, until } from './helpers.ts';
import { gives, kinds, leaks, recall, refuses, tells, yields } from './routines/leaky.ts';
import { nested } from './routines/math.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Calls whatever somebody wants to call. */
class AnyCaller {
  readonly #proxy: PoolProxy;

  constructor(uid: string, address: string) {
    const parent = createActor(fromCallback(() => {})).start();
    const transports = [grpcTransport()];
    const env = systemEnv;
    const options = { env, limits: defaultLimits, transports, policy: roundRobin(), maxQueue: 10 };
    this.#proxy = new PoolProxy(parent, options);
    this.#proxy.send({ type: 'added', worker: { uid, address, tags: [] } });
  }

  ask(module: string, name: string, args = encodeArgs([])): Promise<unknown> {
    const routine = { module, name, key: `${module}#${name}` };
    const terms = { timeoutMs: 10_000, tag: '', caller: '', signal: undefined };
    return this.#proxy.call({ routine, generator: false, attempts: 1, ...terms }, args);
  }

  end(): void {
    this.#proxy.send({ type: 'abort', error: new Error('over') });
  }
}

describe('a name that somebody calls a module by', () => {
  const scratch = scratchFolder();
  const root = join(scratch, 'root');
  const evaluated: string[] = [];
  const files = [
    ...['outside/x.mjs', 'root/lib/x.mjs', 'root/hidden.mjs', 'root/.env', 'root/notes.txt'],
    ...['root/node_modules/dep/x.mjs', 'outside/package/x.mjs', 'root/lib/addon.node'],
    'node_modules/above/x.mjs',
  ];
  const packages: Readonly<Record<string, object>> = {
    root: {
      name: 'app',
      exports: { '.': './hidden.mjs', './alias': './hidden.mjs', './far': '../outside/x.mjs' },
      imports: { '#inside': './hidden.mjs' },
    },
    'root/node_modules/dep': { name: 'dep', main: '../../../outside/x.mjs' },
    'outside/package': { name: 'linked' },
    'node_modules/above': { name: 'above' },
  };
  const links: Readonly<Record<string, string>> = {
    'root/out': '../outside',
    'root/lib/link.mjs': '../../outside/x.mjs',
    'root/node_modules/linked': '../../outside/package',
    'root/node_modules/up': '../..',
    'root/lib/again.mjs': 'x.mjs',
  };
  let hits = 0;
  let http: ReturnType<typeof createHttp>;
  let worker: Worker;
  let caller: AnyCaller;

  beforeAll(async () => {
    (globalThis as { neverEvaluated?: string[] }).neverEvaluated = evaluated;
    const code = "globalThis.neverEvaluated.push(import.meta?.url ?? 'data')";
    for (const file of files) {
      mkdirSync(join(scratch, file, '..'), { recursive: true });
      writeFileSync(join(scratch, file), code);
    }
    for (const [folder, about] of Object.entries(packages)) {
      writeFileSync(join(scratch, folder, 'package.json'), JSON.stringify(about));
    }
    for (const [path, target] of Object.entries(links)) symlinkSync(target, join(scratch, path));
    http = createHttp((_request, response) => {
      hits += 1;
      response.setHeader('content-type', 'text/javascript').end(code);
    }).listen(0, '127.0.0.1');
    await once(http, 'listening');
    worker = new Worker({ root, host: '127.0.0.1' });
    const address = await worker.start();
    caller = new AnyCaller(worker.uid, address);
  });
  afterAll(async () => {
    caller.end();
    await worker.stop(0);
    http.close();
  });

  const outside = pathToFileURL(join(scratch, 'outside/x.mjs')).href;
  const inside = pathToFileURL(join(root, 'lib/x.mjs')).href;
  const names = (): Record<string, string> => ({
    'goes up': '../outside/x.mjs',
    'goes up from a package': 'app/../outside/x.mjs',
    'goes up, encoded': 'app/%2e%2e/outside/x.mjs',
    'goes up, with an encoded separator': 'app/..%2foutside%2fx.mjs',
    'goes up, encoded twice': 'app/%252e%252e/outside/x.mjs',
    'goes up as on Windows': 'app\\..\\..\\outside\\x.mjs',
    'goes up beside a dependency': 'dep/../../../outside/x.mjs',
    'goes up behind a name': '@scope/../../outside/x.mjs',
    'is a path': join(scratch, 'outside/x.mjs'),
    'is a path inside': join(root, 'lib/x.mjs'),
    'is a path with slashes': `//${join(scratch, 'outside/x.mjs')}`,
    'is a URL': outside,
    'is a URL inside': inside,
    'is a URL in capitals': outside.replace('file:', 'FILE:'),
    'is a URL with a host': outside.replace('file://', 'file://localhost'),
    'is a URL with a query': `${inside}?again`,
    'is a URL without slashes': `file:${join(scratch, 'outside/x.mjs')}`,
    'is on the network': `http://127.0.0.1:${(http.address() as AddressInfo).port}/x.mjs`,
    'is code': "data:text/javascript,globalThis.neverEvaluated.push('data')",
    'is of Node': 'node:child_process',
    'is of Node, without its scheme': 'child_process',
    'is a blob': 'blob:nodedata:1',
    'is a package': 'app',
    'is an entry of a package': 'app/alias',
    'is an entry of a package that leads out': 'app/far',
    'is an import of the package': '#inside',
    'is a main of a dependency': 'dep',
    'is behind a linked folder': 'app/out/x.mjs',
    'is a linked file': 'app/lib/link.mjs',
    'is a linked file inside, by its other name': 'app/lib/again.mjs',
    'is a linked package': 'linked/x.mjs',
    'is behind a link up': 'up/outside/x.mjs',
    'is a package above the root': 'above/x.mjs',
    'is a dependency, by its folder': 'app/node_modules/dep/x.mjs',
    'has other capitals': 'APP/lib/x.mjs',
    'has other capitals in its path': 'app/LIB/X.mjs',
    'has a NUL': 'app/lib/x.mjs\0.txt',
    'has a query': 'app/lib/x.mjs?again',
    'has a fragment': 'app/lib/x.mjs#again',
    'has an empty step': 'app//lib/x.mjs',
    'has a dot': 'app/./lib/x.mjs',
    'ends with a slash': 'app/lib/x.mjs/',
    'ends with a space': 'app/lib/x.mjs ',
    'ends with a dot': 'app/lib/x.mjs.',
    'ends in a stream of Windows': 'app/lib/x.mjs::$DATA',
    'is a folder': 'app/lib',
    'is no code': 'app/notes.txt',
    'is hidden': 'app/.env',
    'is an addon': 'app/lib/addon.node',
    'is of Skein': 'skein/src/worker/main.ts',
    'is very long': `app/${'a/'.repeat(2_000)}x.mjs`,
    'is empty': '',
    'means something to JavaScript': '__proto__',
    'is of another alphabet': 'app/lib/х.mjs',
  });

  test('leads to no module outside of the root, nor to one by another name, for a routine', async () => {
    for (const [what, module] of Object.entries(names())) {
      const error = await rejection(caller.ask(module, 'run'));
      expect(error, what).toBeInstanceOf(RoutineNotFound);
      expect((error as Error).message.replace(module, ''), what).not.toContain(scratch);
    }
    expect(evaluated).toEqual([]);
    expect(hits).toBe(0);
  });

  test.each([
    ['class', TAG_CLASS],
    ['instance', TAG_INSTANCE],
    ['routine', TAG_ROUTINE],
  ])('nor for one of a %s in an argument', async (_what, tag) => {
    for (const [what, module] of Object.entries(names())) {
      const name = Buffer.concat([Buffer.of(0x82), textOf(module), textOf('Thing')]);
      const item = tag === TAG_INSTANCE ? [Buffer.of(0x82), name, Buffer.of(0xa0)] : [name];
      const args = Buffer.concat([Buffer.of(0x81, 0xd9, tag >> 8, tag & 0xff), ...item]);
      const error = await rejection(caller.ask(MATH, 'add', args));
      expect(error, what).toBeInstanceOf(SerializationError);
      expect((error as Error).message.replace(module, ''), what).not.toContain(scratch);
    }
    expect(evaluated).toEqual([]);
    expect(hits).toBe(0);
  });

  test('leads to no other function of a module that is there, by whatever name', async () => {
    const asked = ['__proto__', 'constructor', 'hasOwnProperty', 'then', 'default', 'add.local'];
    for (const name of [...asked, 'add.constructor', 'add\0', ' add', 'ADD', '', 'prototype']) {
      const error = await rejection(caller.ask(MATH, name));
      expect(error, name).toBeInstanceOf(RoutineNotFound);
    }
  });

  test('leads to those inside', async () => {
    for (const module of ['app/lib/x.mjs', 'dep/x.mjs']) {
      expect(String(await rejection(caller.ask(module, 'run')))).toContain(
        'it has no routines at all',
      );
    }
    const dependency = pathToFileURL(join(root, 'node_modules/dep/x.mjs')).href;
    expect(evaluated).toEqual([inside, dependency]);
  });
});

describe('a worker that exposes no stacks', () => {
  const scratch = scratchFolder();
  const root = join(scratch, 'root');
  const heard: Buffer[] = [];
  const relay = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    near.on('data', (bytes) => far.write(bytes)).on('close', () => far.destroy());
    far.on('data', (bytes: Buffer) => {
      heard.push(bytes);
      near.write(bytes);
    });
    far.on('close', () => near.destroy());
    for (const socket of [near, far]) socket.on('error', () => {});
  });
  let target = 0;
  let worker: Worker;
  let pool: WorkerPool;

  beforeAll(async () => {
    mkdirSync(join(root, 'lib'), { recursive: true });
    writeFileSync(join(root, 'package.json'), '{ "name": "broken-app" }');
    for (const [file, code] of Object.entries(BROKEN)) writeFileSync(join(root, 'lib', file), code);
    worker = new Worker({ root, host: '127.0.0.1', exposeStacks: false });
    target = Number(new URL(await worker.start()).port);
    relay.listen(0, '127.0.0.1');
    await once(relay, 'listening');
    const address = `tcp://127.0.0.1:${(relay.address() as AddressInfo).port}`;
    pool = await WorkerPool.open({ discovery: new StaticDiscovery([address]) });
  });
  afterAll(async () => {
    await pool.close({ grace: 0 });
    await worker.stop(0);
    relay.close();
  });
  afterEach(() => {
    const bytes = Buffer.concat(heard.splice(0));
    for (const place of [scratch, ROOT, process.execPath, 'file:/', '    at ', 'nowhere-at-all']) {
      const at = bytes.indexOf(place);
      expect(at === -1 ? '' : String(bytes.subarray(at - 60, at + 120)), place).toBe('');
    }
  });

  test.each(kinds)('tells nothing of where it is: %s', async (kind) => {
    await rejection(leaks.on(pool)(kind));
    await gives.on(pool)(kind);
    const steps = yields.on(pool)(kind);
    await steps.next();
    await rejection(steps.next());
    await pool.run(() => recall(kind));
    expect(Buffer.concat(heard).toString()).toMatch(/path not sent|EISDIR|copied/);
  });

  test('keeps what else its errors say', async () => {
    const error = await rejection(leaks.on(pool)('an error around others'));
    expect(error).toBeInstanceOf(AggregateError);
    expect(error).toMatchObject({
      message: 'several',
      cause: { message: 'second', cause: { message: '[path not sent]' } },
      errors: [{ message: 'first at [path not sent]:3:5', file: '[path not sent]' }, {}, {}],
    });
  });

  test('nor why a module does not load, or a value does not travel', async () => {
    const [{ address }] = pool.workers as [PoolWorker];
    const caller = new AnyCaller(worker.uid, address);
    cleanups.push(() => caller.end());
    for (const file of Object.keys(BROKEN)) {
      const error = await rejection(caller.ask(`broken-app/lib/${file}`, 'run'));
      expect(error).toBeInstanceOf(RoutineNotFound);
      expect(String(error)).toContain(`can't load broken-app/lib/${file}: `);
    }
    expect(String(await rejection(refuses.on(pool)()))).toContain('no [path not sent]');
  });

  test('nor why it does not stop, or say how it is', async () => {
    const failed = () => {
      throw new Error(`can't remove '${scratch}/x' of ${process.execPath}`);
    };
    const service = { link: () => {}, stop: async () => failed(), status: failed };
    const listener = await grpcTransport().listen('tcp://127.0.0.1:0', service);
    cleanups.push(() => listener.close());
    for (const ask of [stopWorker, workerStatus]) {
      const { message } = (await rejection(ask(listener.address))) as Error;
      expect(message).toContain("can't remove '[path not sent]' of [path not sent]");
    }
  });

  test('nor to workers that its tasks call', async () => {
    const heard = await tells.on(pool)();
    expect(heard).toMatchObject({ message: 'about [path not sent]' });
    expect((heard as Error).stack).not.toContain('leaky');
  });
});

describe('a secret shows nowhere', () => {
  const AUTHKEY = 'correct horse battery staple';
  const PASSWORD = 'Pa55-of-NATS';
  /** All that is logged, at the finest level. */
  const lines: string[] = [];
  const take = (fields: object, message: string) => lines.push(`${deep(fields)} ${message}`);
  const logger: Logger = { trace: take, debug: take, info: take, warn: take, error: take };
  const events: InspectionEvent[] = [];
  const observe = (event: InspectionEvent) => events.push(event);

  function expectNone(secrets: readonly string[], shown: Readonly<Record<string, string>>): void {
    for (const [where, text] of Object.entries(shown)) {
      for (const secret of secrets)
        expect(text.includes(secret), `${where}: ${secret}`).toBe(false);
    }
  }

  beforeEach(() => {
    vi.stubEnv('SKEIN_LOG', 'trace');
    lines.length = 0;
    events.length = 0;
  });
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test('of a pool and its workers: logs, events, objects, errors, processes', async () => {
    const options = { size: 1, transport: 'tcp', authkey: AUTHKEY, logger } as const;
    const pool = await WorkerPool.open({ ...options, inspect: observe });
    cleanups.push(() => pool.close({ grace: 0 }));
    expect(await nested.on(pool)(1)).toMatchObject({ sum: 2 });
    const [{ address, beat = '', pid }] = pool.workers as [PoolWorker];
    const token = beat.slice(beat.indexOf('#') + 1);
    expect(token).toMatch(/^[0-9a-f]{32,}$/);
    const secrets = [...formsOf(AUTHKEY), token];
    const refused = await rejection(workerStatus(address, { authkey: 'another one of 16 bytes' }));
    const unwilling = await rejection(stopWorker(address));
    const seen = new Worker({ authkey: AUTHKEY, logger, inspect: observe });
    cleanups.push(() => seen.stop(0));
    await seen.start();
    expectNone(secrets, {
      lines: lines.join('\n'),
      events: deep(events),
      pool: deep(pool),
      worker: deep(seen),
      process: deep(process.execArgv),
      refused: deep(refused),
      unwilling: deep(unwilling),
      ...(process.platform === 'linux' && {
        cmdline: readFileSync(`/proc/${pid}/cmdline`, 'utf8'),
        environ: readFileSync(`/proc/${pid}/environ`, 'utf8'),
      }),
    });
    expect([lines.length > 20, events.length > 20]).toEqual([true, true]);
  });

  test('that a pool has made for its own workers', async () => {
    const pool = await WorkerPool.open({ size: 1, transport: 'tcp', logger, inspect: observe });
    cleanups.push(() => pool.close({ grace: 0 }));
    expect(await nested.on(pool)(1)).toMatchObject({ sum: 2 });
    const [{ address, pid }] = pool.workers as [PoolWorker];
    const secret = Buffer.from(secretOf(address) as Uint8Array);
    expect(secret.length).toBe(32);
    const forms = [secret.toString('base64').slice(0, -1), secret.toString('hex')];
    const first = secret.subarray(0, 8);
    expectNone([...forms, [...first].join(', '), inspect(first).slice(8, -1)], {
      lines: lines.join('\n'),
      events: deep(events),
      pool: deep(pool),
      ...(process.platform === 'linux' && {
        cmdline: readFileSync(`/proc/${pid}/cmdline`, 'utf8'),
        environ: readFileSync(`/proc/${pid}/environ`, 'utf8'),
      }),
    });
  });

  test('of NATS: the transport, and why it does not connect', async () => {
    const servers = `nats://me:${PASSWORD}@127.0.0.1:1`;
    const transport = natsTransport({ servers });
    const worker = new Worker({ transport, logger, inspect: observe });
    cleanups.push(() => worker.stop(0));
    const failed = await rejection(worker.start());
    const wrong = ['a b', 'host:99999', 'host:x', '[::', ''].map((host) => {
      const servers = `nats://me:${PASSWORD}@${host}`;
      return thrown(() => natsTransport({ servers }));
    });
    expectNone(formsOf(PASSWORD), {
      transport: deep(transport) + JSON.stringify(transport),
      worker: deep(worker),
      failed: deep(failed),
      lines: lines.join('\n'),
      events: deep(events),
      wrong: deep(wrong),
    });
  });

  test('of a pool that gives its certificate to its workers, and renews it', async () => {
    const authority = await Authority.make();
    const issued = [await authority.issue(), await authority.issue()];
    const secrets = issued.flatMap(({ key }) => key.split('\n').slice(1, -2));
    let given = 0;
    const provider = {
      reloadable: true,
      credentials: () => WorkerCredentials.fromBytes(issued[Math.min(given++, 1)] as never),
    };
    const options = { size: 1, transport: 'tcp', credentials: provider, logger } as const;
    const pool = await WorkerPool.open({ ...options, inspect: observe });
    cleanups.push(() => pool.close({ grace: 0 }));
    expect(await nested.on(pool)(1)).toMatchObject({ sum: 2 });
    await until(() => expect(given).toBeGreaterThan(2));
    const [{ address, pid }] = pool.workers as [PoolWorker];
    const refused = await rejection(workerStatus(address));
    const wrong = await Authority.make().then((other) => other.issue());
    const credentials = WorkerCredentials.fromBytes(wrong);
    const unknown = await rejection(workerStatus(address, { credentials }));
    expectNone([...secrets, ...wrong.key.split('\n').slice(1, -2)], {
      lines: lines.join('\n'),
      events: deep(events),
      pool: deep(pool),
      provider: deep(provider),
      refused: deep(refused),
      unknown: deep(unknown),
      ...(process.platform === 'linux' && {
        cmdline: readFileSync(`/proc/${pid}/cmdline`, 'utf8'),
        environ: readFileSync(`/proc/${pid}/environ`, 'utf8'),
      }),
    });
  });

  test('of a certificate: credentials, and why they are refused', async () => {
    const authority = await Authority.make();
    const [one, other] = [await authority.issue(), await authority.issue()];
    const lost = one.key.split('\n').slice(1, -2);
    const credentials = WorkerCredentials.fromBytes({ ...one, identity: 'workers.test' });
    const provider = { credentials: () => credentials, reloadable: true };
    const wrong = [
      thrown(() => WorkerCredentials.fromBytes({ ...one, cert: other.cert })),
      thrown(() => WorkerCredentials.fromBytes({ ...one, ca: one.key })),
      thrown(() => WorkerCredentials.fromBytes({ ...one, cert: one.key })),
      thrown(() => WorkerCredentials.fromBytes({ ...one, key: one.key.replace('KEY', 'KEYS') })),
    ];
    const all = [credentials, credentials.as({ identity: 'a.test' }), provider, ...wrong];
    expectNone(lost, {
      inspected: all.map((value) => deep(value)).join('\n'),
      json: JSON.stringify(all),
      text: all.map(String).join('\n'),
      cloned: deep(all.map((value) => Object.assign({}, value))),
    });
  });
});

const deep = (value: unknown) =>
  inspect(value, { depth: 10, showHidden: true, maxStringLength: null, maxArrayLength: null });

/** A secret, and what else it may look like. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [secret, encodeURIComponent(secret), bytes.toString('base64'), bytes.toString('hex')];
}

const BROKEN = {
  'syntax.mjs': 'export const = 1;',
  'throws.mjs': "throw new Error('at ' + import.meta.url);",
  'imports.mjs': "import './not-there.mjs';",
  'package.mjs': "import 'not-there';",
  'reads.mjs': "import { readFileSync } from 'node:fs'; readFileSync(import.meta.filename + 'x');",
};

/** What routines of this repository are named by. */
const MATH = 'skein/test/integration/routines/math.ts';

/** A text as CBOR. */
function textOf(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(5, 0x7a);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}
