/** Workers of one machine: what may be in their folder, and who it may belong to. */
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  LocalDiscovery,
  type LocalDiscoveryOptions,
} from '../../../src/discovery/adapters/local.ts';
import { isRunning, processStart } from '../../../src/discovery/adapters/process-identity.ts';
import { encodeRecord } from '../../../src/discovery/adapters/records.ts';
import type { AnnouncedWorker } from '../../../src/discovery/discovery.ts';
import { type Env, systemEnv } from '../../../src/env.ts';

let folder: string;
let place: string;
let opened: LocalDiscovery[];
let warnings: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skein-local-'));
  place = join(folder, 'app');
  opened = [];
  warnings = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => {
    warnings.push(String(warning));
  });
});

afterEach(async () => {
  for (const discovery of opened) await discovery[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function open(options: LocalDiscoveryOptions = {}): LocalDiscovery {
  const discovery = new LocalDiscovery('app', { folder, ...options });
  opened.push(discovery);
  return discovery;
}

function worker(uid: string, fields: Partial<AnnouncedWorker> = {}): AnnouncedWorker {
  const address = `unix:///run/${uid}.sock`;
  return { uid, address, pid: process.pid, host: 'here', version: '1', ...fields };
}

/** What a subscriber was told, as it comes: `added a`. */
function listen(discovery: LocalDiscovery): string[] {
  const events: string[] = [];
  void (async () => {
    try {
      for await (const { type, worker } of discovery.subscribe()) {
        events.push(`${type.slice('worker-'.length)} ${worker.uid}`);
      }
    } catch (error) {
      events.push(String(error));
    }
  })();
  return events;
}

const until = <T>(check: () => T | Promise<T>) =>
  vi.waitFor(check, { timeout: 5_000, interval: 5 });

/** Puts a record there as somebody else would. */
function forge(name: string, content: string): void {
  writeFileSync(join(place, `.new-${name}`), content, { mode: 0o600 });
  renameSync(join(place, `.new-${name}`), join(place, name));
}

const record = (worker: AnnouncedWorker, start = processStart(worker.pid) ?? '') =>
  encodeRecord({ worker, start });

/** Waits until a subscriber has taken what was there until now. */
async function settled(discovery: LocalDiscovery, events: string[]): Promise<void> {
  const uid = `marker-${systemEnv.uid()}`;
  await discovery.publisher.publish('worker-added', worker(uid));
  await until(() => expect(events).toContain(`added ${uid}`));
  await discovery.publisher.publish('worker-dropped', worker(uid));
  await until(() => expect(events).toContain(`dropped ${uid}`));
  for (const event of [`added ${uid}`, `dropped ${uid}`]) events.splice(events.indexOf(event), 1);
}

describe('the folder', () => {
  test("is the user's own, and its records too", async () => {
    await open().publisher.publish('worker-added', worker('a'));
    expect(lstatSync(place).mode & 0o777).toBe(0o700);
    const [name = ''] = readdirSync(place);
    expect(lstatSync(join(place, name)).mode & 0o777).toBe(0o600);
  });

  const refused: [string, () => void, string][] = [
    [
      'is a link',
      () => {
        mkdirSync(join(folder, 'other'), { mode: 0o700 });
        symlinkSync(join(folder, 'other'), place);
      },
      'it is a symbolic link',
    ],
    ['is a file', () => writeFileSync(place, ''), 'it is not a folder'],
    [
      'is open to others',
      () => {
        mkdirSync(place);
        chmodSync(place, 0o777);
      },
      'others may use it too (mode 777): chmod 700 it',
    ],
    [
      'can be read by others',
      () => {
        mkdirSync(place);
        chmodSync(place, 0o750);
      },
      'others may use it too (mode 750)',
    ],
    ['is in one that is open to others', () => chmodSync(folder, 0o755), `${tmpdir()}/`],
    [
      'is in one that is a file',
      () => {
        rmSync(folder, { recursive: true });
        writeFileSync(folder, '');
      },
      'it is not a folder',
    ],
  ];
  if (process.getuid?.() === 0) {
    refused.push([
      'belongs to another user',
      () => {
        mkdirSync(place, { mode: 0o700 });
        chownSync(place, 65_534, 65_534);
      },
      'it belongs to another user (uid 65534)',
    ]);
  }

  test.each(refused)('is refused when it %s', async (_what, prepare, message) => {
    prepare();
    const discovery = open();
    const iterator = discovery.subscribe()[Symbol.asyncIterator]();
    const published = discovery.publisher.publish('worker-added', worker('a'));
    const errors = [iterator.next(), published].map((failing) => failing.catch((error) => error));
    for (const error of await Promise.all(errors)) {
      expect(error).toMatchObject({ name: 'DiscoveryError', code: 'DISCOVERY' });
      expect(error.message).toContain(message);
    }
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  test('is made in its folder, and that in one that is there', async () => {
    rmSync(folder, { recursive: true });
    await settled(open(), listen(open()));
    const nested = open({ folder: join(folder, 'no', 'such') });
    const publish = nested.publisher.publish('worker-added', worker('a'));
    await expect(publish).rejects.toThrow("can't be made: ENOENT");
  });

  test('can be subscribed to again once it is right', async () => {
    mkdirSync(place);
    chmodSync(place, 0o777);
    const discovery = open();
    const events = listen(discovery);
    await until(() => expect(events.join()).toContain('DiscoveryError'));
    chmodSync(place, 0o700);
    await settled(discovery, listen(discovery));
  });

  test('is made again with its records when somebody removes it', async () => {
    const ticks: (() => void)[] = [];
    const timer: Env['timer'] = (ms, fn) => {
      if (ms === 5_000) ticks.push(fn);
      return systemEnv.timer(ms, fn);
    };
    const discovery = open({ env: { ...systemEnv, timer }, pollInterval: 50 });
    const events = listen(discovery);
    await discovery.publisher.publish('worker-added', worker('a'));
    await until(() => expect(events).toEqual(['added a']));
    rmSync(place, { recursive: true });
    await until(() => expect(events).toEqual(['added a', 'dropped a']));
    ticks.at(-1)?.();
    await until(() => expect(events).toEqual(['added a', 'dropped a', 'added a']));
    await settled(discovery, events);
  });

  test.each(['', '.', '..', '../x', 'a/b', '.hidden', '-x', 'ä', 'a b', 'a\0', 'n'.repeat(65)])(
    'can not be named %j',
    (namespace) => {
      expect(() => new LocalDiscovery(namespace)).toThrow(TypeError);
    },
  );

  test('has a name of its own for each user', async () => {
    const runtime = process.env.XDG_RUNTIME_DIR;
    const { usersFolder } = await import('../../../src/discovery/adapters/own-folder.ts');
    const temporary = join(tmpdir(), `skein-${process.getuid?.()}`);
    try {
      delete process.env.XDG_RUNTIME_DIR;
      expect(usersFolder()).toBe(temporary);
      process.env.XDG_RUNTIME_DIR = folder;
      expect(usersFolder()).toBe(join(folder, 'skein'));
      process.env.XDG_RUNTIME_DIR = 'relative';
      expect(usersFolder()).toBe(temporary);
      process.env.XDG_RUNTIME_DIR = tmpdir(); // Anybody may write there.
      expect(usersFolder()).toBe(temporary);
    } finally {
      if (runtime === undefined) delete process.env.XDG_RUNTIME_DIR;
      else process.env.XDG_RUNTIME_DIR = runtime;
    }
  });
});

describe('a file that is no record', () => {
  const whole = () => record(worker('x'));

  test.each<[string, () => string, string]>([
    ['half-written', () => whole().slice(0, 40), 'it is not JSON, or not all of it'],
    ['empty', () => '', 'it is not JSON'],
    ['another uid', () => record(worker('y')), 'its uid is not that of its name'],
    ['of a later format', () => whole().replace('"format":1', '"format":2'), 'not of format 1'],
    ['null', () => 'null', 'not of format 1'],
    ['without a process', () => whole().replace(/"start":"[^"]*"/, '"start":1'), 'start must be'],
    ['wrong metadata', () => whole().replace('unix:', 'unix '), 'address must be an address'],
    ['huge', () => ' '.repeat(100_000) + whole(), 'it has over 65536 bytes'],
  ])('is skipped, with one warning: %s', async (_what, content, message) => {
    const discovery = open();
    const events = listen(discovery);
    await settled(discovery, events);
    forge('x.1.json', content());
    forge('x.2.json', content());
    await until(() => expect(warnings.join()).toContain(message));
    await settled(discovery, events);
    expect(events).toEqual([]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/^a record of a worker, .*\/app\/x\.[12]\.json, was skipped/);
    // It says nothing about what comes under the same name later.
    forge('x.2.json', whole());
    await until(() => expect(events).toEqual(['added x']));
  });

  test('is left alone when it is foreign', async () => {
    const discovery = open();
    const events = listen(discovery);
    await settled(discovery, events);
    const names = [
      'README',
      'x.json',
      'x.0.json',
      'x.1.json.bak',
      '.x.1.json',
      'x.1e3.json',
      'ä.1.json',
    ];
    for (const name of names) forge(name, record(worker('x')));
    mkdirSync(join(place, 'folder'));
    await settled(discovery, events);
    expect(events).toEqual([]);
    expect(warnings).toEqual([]);
    expect(readdirSync(place)).toEqual(expect.arrayContaining([...names, 'folder']));
  });

  test('neither leads elsewhere nor makes anybody wait', async () => {
    const discovery = open();
    const events = listen(discovery);
    await settled(discovery, events);
    writeFileSync(join(folder, 'elsewhere'), record(worker('link')));
    symlinkSync(join(folder, 'elsewhere'), join(place, 'link.1.json'));
    execFileSync('mkfifo', [join(place, 'pipe.1.json')]);
    mkdirSync(join(place, 'folder.1.json'));
    await settled(discovery, events);
    await until(() => expect(warnings).toHaveLength(2));
    expect(warnings.join()).toContain('it is not a file');
    expect(events).toEqual([]);
  });
});

describe('a record', () => {
  test('of a higher revision is the one that counts', async () => {
    const discovery = open();
    await discovery.publisher.publish('worker-added', worker('b'));
    forge('a.7.json', record(worker('a', { tags: ['old'] })));
    forge('a.10.json', record(worker('a', { tags: ['new'] })));
    for await (const { type, worker } of discovery.subscribe(({ uid }) => uid === 'a')) {
      expect([type, worker.tags]).toEqual(['worker-added', ['new']]);
      break;
    }
  });

  test('that is simply removed is a worker that is gone', async () => {
    const discovery = open();
    const events = listen(discovery);
    await discovery.publisher.publish('worker-added', worker('a'));
    await until(() => expect(events).toEqual(['added a']));
    for (const name of readdirSync(place)) rmSync(join(place, name));
    await until(() => expect(events).toEqual(['added a', 'dropped a']));
  });

  test('is not written for a process that does not run', async () => {
    const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
    await new Promise((resolve) => child.on('exit', resolve));
    const publish = open().publisher.publish('worker-added', worker('a', { pid: child.pid ?? 0 }));
    await expect(publish).rejects.toThrow(`no process has the pid ${child.pid}`);
  });

  test('has a limit', async () => {
    const extra = Object.fromEntries(Array.from({ length: 64 }, (_, n) => [n, 'ä'.repeat(1_000)]));
    const publish = open().publisher.publish('worker-added', worker('a', { extra }));
    await expect(publish).rejects.toThrow('may take 65536 bytes');
  });

  test('of a worker that is dropped as it is added is in order', async () => {
    const discovery = open();
    const events = listen(discovery);
    await settled(discovery, events);
    const { publisher } = discovery;
    await Promise.all([
      publisher.publish('worker-added', worker('a')),
      publisher.publish('worker-updated', worker('a', { tags: ['x'] })),
      publisher.publish('worker-dropped', worker('a')),
    ]);
    await until(() => expect(events.at(-1)).toBe('dropped a'));
    expect(events[0]).toBe('added a');
    expect(readdirSync(place).filter((name) => name.endsWith('.json'))).toEqual([]);
  });
});

describe.skipIf(!existsSync('/proc/self/stat'))('a process', () => {
  test('is not the one that has its pid later', () => {
    const start = processStart(process.pid) ?? '';
    expect(isRunning(process.pid, start)).toBe(true);
    const [boot, namespace, tick] = start.split(' ');
    expect(isRunning(process.pid, `${boot} ${namespace} ${Number(tick) + 1}`)).toBe(false);
    expect(isRunning(process.pid, `another-boot ${namespace} ${tick}`)).toBe(false);
    // Of a process in another container nothing can be told.
    expect(isRunning(process.pid, `${boot} pid:[1] 1`)).toBe(true);
  });

  test('is known by its pid alone where nothing else is said', async () => {
    expect(isRunning(process.pid, '')).toBe(true);
    const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
    const pid = child.pid ?? 0;
    await new Promise((resolve) => child.on('exit', resolve));
    expect(isRunning(pid, '')).toBe(false);
    expect(processStart(pid)).toBeUndefined();
  });

  test('that had the pid of another is swept with its record', async () => {
    mkdirSync(place, { mode: 0o700 });
    const [boot, namespace, tick] = (processStart(process.pid) ?? '').split(' ');
    forge('old.1.json', record(worker('old'), `${boot} ${namespace} ${Number(tick) - 1}`));
    const discovery = open();
    const events = listen(discovery);
    await settled(discovery, events);
    expect(events).toEqual([]);
    expect(readdirSync(place)).toContain('old.1.gone');
    // Nor is it news when it comes later.
    forge('old.2.json', record(worker('old'), `${boot} ${namespace} ${Number(tick) - 1}`));
    await until(() => expect(readdirSync(place)).toContain('old.2.gone'));
    await settled(discovery, events);
    expect(events).toEqual([]);
  });

  test('of another container is there as long as its record is touched', async () => {
    mkdirSync(place, { mode: 0o700 });
    const [boot] = (processStart(process.pid) ?? '').split(' ');
    // No process here has such a pid.
    const elsewhere = (uid: string) => record(worker(uid, { pid: 2 ** 30 }), `${boot} pid:[1] 5`);
    const leave = (name: string, seconds = 61) => {
      const then = new Date(Date.now() - 1_000 * seconds);
      utimesSync(join(place, name), then, then);
    };
    forge('old.1.json', elsewhere('old'));
    leave('old.1.json');
    // More than are compared in one round.
    for (let i = 0; i < 40; i += 1) forge(`new-${i}.1.json`, elsewhere(`new-${i}`));
    const discovery = open({ pollInterval: 20 });
    const events = listen(discovery);
    await settled(discovery, events);
    await until(() => expect(readdirSync(place)).toContain('old.1.gone'));
    // Of so many, its turn may have come after it was told of.
    const lasting = () => events.filter((event) => !event.endsWith(' old'));
    expect(lasting()).toHaveLength(40);
    expect(events.filter((event) => event.endsWith(' old')).length % 2).toBe(0);
    leave('new-7.1.json');
    await until(() => expect(lasting().slice(40)).toEqual(['dropped new-7']));
    await until(() => expect(readdirSync(place)).toContain('new-7.1.gone'));
    // Where nobody listens, too.
    leave('new-8.1.json');
    await open().publisher.publish('worker-added', worker('a'));
    await until(() => expect(readdirSync(place)).toContain('new-8.1.gone'));
  });

  test('that has ended is swept where nobody listens, too', async () => {
    mkdirSync(place, { mode: 0o700 });
    const [boot, namespace] = (processStart(process.pid) ?? '').split(' ');
    forge('old.1.json', record(worker('old'), `${boot} ${namespace} 1`));
    await open().publisher.publish('worker-added', worker('a'));
    expect(readdirSync(place).filter((name) => name.endsWith('.json'))).toHaveLength(1);
  });
});

test('old traces are removed, and young ones are not', async () => {
  mkdirSync(place, { mode: 0o700 });
  const files = {
    'old.1.gone': 11,
    'young.1.gone': 5,
    '.new-old': 61,
    '.new-young': 5,
    'other.txt': 999,
  };
  for (const [name, seconds] of Object.entries(files)) {
    writeFileSync(join(place, name), '');
    const then = new Date(Date.now() - 1_000 * seconds);
    utimesSync(join(place, name), then, then);
  }
  await open().publisher.publish('worker-added', worker('a'));
  const left = readdirSync(place).filter((name) => !name.startsWith('a.'));
  expect(left.sort()).toEqual(['.new-young', 'other.txt', 'young.1.gone']);
});

test('what was announced goes with the discovery', async () => {
  const discovery = open();
  const events = listen(open());
  await discovery.publisher.publish('worker-added', worker('a'));
  await until(() => expect(events).toEqual(['added a']));
  await discovery[Symbol.asyncDispose]();
  await until(() => expect(events).toEqual(['added a', 'dropped a']));
});

test('a record is what the decision says it is', async () => {
  const discovery = open();
  await discovery.publisher.publish('worker-added', worker('a'));
  const [name = ''] = readdirSync(place);
  expect(name).toMatch(/^a\.\d+\.json$/);
  expect(JSON.parse(readFileSync(join(place, name), 'utf8'))).toEqual({
    format: 1,
    start: processStart(process.pid),
    worker: { ...worker('a'), tags: [], extra: {}, secure: false, channel: {} },
  });
});
