/** `skein pool`: durable pools, and what is asked of them. */
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort, program, type Running, result, skein } from './cli-helpers.ts';
import { isAlive, trace, until, untilGone } from './helpers.ts';

const cwd = program();
const KEY = join(cwd, 'key');
const OTHER = join(cwd, 'other');
for (const file of [KEY, OTHER]) {
  writeFileSync(file, randomBytes(24).toString('base64'), { mode: 0o600 });
}

interface Listed {
  readonly uid: string;
  readonly address: string;
  readonly pid: number;
  readonly inFlight: number;
  readonly restarts: number;
  readonly idleTime: number;
  readonly uptime: number;
  readonly tags: string[];
}

/** A pool in the foreground, and how it is asked. */
async function pool(...args: string[]) {
  const running = skein(['pool', 'up', '--port', '0', ...args], { cwd });
  const [, port = ''] = await running.says(/^pool with .* answers at tcp:\/\/127\.0\.0\.1:(\d+)$/m);
  return { ...running, ...asked(port) };
}

function asked(port: string, ...args: string[]) {
  const at = ['--port', port, ...args];
  const ask = (command: string[], ...more: string[]) =>
    result([...command, ...at, ...more], { cwd });
  const list = async (...more: string[]): Promise<Listed[]> =>
    JSON.parse((await ask(['pool', 'ls', '--json'], ...more)).out);
  const call = (routine: string, values: unknown[], ...more: string[]): Running => {
    const texts = values.map((value) => JSON.stringify(value));
    return skein(['run', 'routines.js', routine, ...texts, ...at, ...more], { cwd });
  };
  return { port, ask, list, call };
}

describe('a pool', () => {
  let up: Awaited<ReturnType<typeof pool>>;
  beforeAll(async () => {
    up = await pool('--breadth', '2', '--tag', 'gpu', '--module', 'routines.js');
  });
  afterAll(() => up.child.kill('SIGKILL'));

  test('answers a ping', async () => {
    const { code, out, err } = await up.ask(['ping']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(
      /^tcp:\/\/127\.0\.0\.1:\d+ has 2 workers, up for .* answered in [\d.]+ ms\n$/,
    );
    const told = JSON.parse((await up.ask(['ping', '--json'])).out);
    expect(told).toMatchObject({ workers: 2, version: '0.1.0', pid: up.child.pid });
  });

  test('lists its workers, without colours and frames where no terminal is', async () => {
    const { code, out } = await up.ask(['pool', 'ls']);
    expect(code).toBe(0);
    const [head, ...rows] = out.trimEnd().split('\n');
    expect(head).toBe('WORKER\tADDRESS\tTAGS\tIN FLIGHT\tIDLE\tUPTIME\tRESTARTS\tPID');
    expect(rows).toHaveLength(2);
    for (const row of rows)
      expect(row).toMatch(/^\w{8}\ttcp:\/\/127\.0\.0\.1:\d+\tgpu\t0\t.+\t.+\t0\t\d+$/);
    const listed = await up.list();
    expect(listed[0]).toMatchObject({ tags: ['gpu'], inFlight: 0, restarts: 0 });
    expect(JSON.stringify(listed)).not.toContain('beat');
  });

  test('runs calls on its workers, for one program after the other', async () => {
    const pids = (await up.list()).map(({ pid }) => pid);
    const self = up.call('self', [], '--json');
    expect(await self.ended).toBe(0);
    const [pid, isWorker] = JSON.parse(self.out()) as [number, boolean];
    expect(pids).toContain(pid);
    expect(isWorker).toBe(true);
  });

  test('says that a port is taken', async () => {
    const { code, err } = await result(['pool', 'up', '--port', up.port], { cwd });
    expect(code).toBe(1);
    expect(err).toMatch(/^error: .*the port is taken/);
  });

  test('replaces a worker that is killed, and says so', async () => {
    const [first] = (await up.list()) as [Listed];
    process.kill(first.pid, 'SIGKILL');
    const name = `worker ${first.uid.slice(0, 8)} \\(process ${first.pid}\\)`;
    await up.says(new RegExp(`^${name} has ended, and is replaced: .* by SIGKILL$`, 'm'));
    const place = `is up, in the place of ${first.uid.slice(0, 8)}`;
    const [, pid] = await up.says(new RegExp(`^worker \\w{8} \\(process (\\d+)\\) ${place}$`, 'm'));
    await until(async () => {
      const listed = await up.list();
      expect(listed).toHaveLength(2);
      expect(listed.map(({ restarts }) => restarts).sort()).toEqual([0, 1]);
      expect(listed.map(({ pid }) => pid)).not.toContain(first.pid);
      expect(listed.find(({ restarts }) => restarts === 1)?.pid).toBe(Number(pid));
    });
  });

  test('goes down when it is asked to, after the tasks that run', async () => {
    const file = trace(cwd);
    const waiting = up.call('wait', [file.path, 1_000]);
    await file.has('began');
    const pids = (await up.list()).map(({ pid }) => pid);
    const { code, out } = await up.ask(['pool', 'down']);
    expect([code, out]).toEqual([0, `the pool at tcp://127.0.0.1:${up.port} has ended\n`]);
    expect([await waiting.ended, waiting.out()]).toEqual([0, 'waited\n']);
    expect(await up.ended).toBe(0);
    expect(up.err()).toMatch(/^the pool was asked to end, and waits for tasks that run$/m);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(await up.ask(['ping'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('No pool'),
    });
  });
});

describe('without the right authkey', () => {
  let up: Awaited<ReturnType<typeof pool>>;
  beforeAll(async () => {
    up = await pool('--breadth', '1', '--authkey', KEY);
  });
  afterAll(() => up.child.kill('SIGKILL'));

  test.each([['ping'], ['pool ls'], ['pool down']])('%s ends with exit code 3', async (command) => {
    const words = command.split(' ');
    const [none, wrong] = await Promise.all([up.ask(words), up.ask(words, '--authkey', OTHER)]);
    expect(none).toMatchObject({ code: 3, out: '', err: expect.stringContaining('authkey') });
    expect(wrong).toMatchObject({ code: 3, out: '', err: expect.stringContaining('authkey') });
    expect(wrong.err).not.toContain(readFileSync(OTHER, 'utf8'));
  });

  test('nothing runs', async () => {
    const wrong = up.call('add', [1, 2], '--authkey', OTHER);
    expect([await wrong.ended, wrong.out()]).toEqual([3, '']);
    const right = up.call('add', [1, 2], '--authkey', KEY);
    expect([await right.ended, right.out()]).toEqual([0, '3\n']);
  });

  test('it is in no command line, and in no environment', async () => {
    const key = readFileSync(KEY, 'utf8');
    const [worker] = await up.list('--authkey', KEY);
    for (const pid of [up.child.pid, worker?.pid]) {
      expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(key);
      expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain(key);
    }
  });
});

test('a pool whose workers do not come up goes on trying, and has them again', async () => {
  const broken = join(cwd, 'is-broken');
  const code = `import { existsSync } from 'node:fs';
    if (existsSync(${JSON.stringify(broken)})) throw new Error('out of order');`;
  writeFileSync(join(cwd, 'flaky.js'), code);
  const up = await pool('--breadth', '1', '--module', 'flaky.js');
  const [first] = (await up.list()) as [Listed];
  writeFileSync(broken, '');
  process.kill(first.pid, 'SIGKILL');
  await up.says(/(did not come up, and is tried again.*?out of order.*?){4}/s);
  rmSync(broken);
  await until(async () => {
    const [worker] = await up.list();
    expect(worker?.restarts).toBeGreaterThanOrEqual(1);
  });
  up.child.kill('SIGKILL');
});

test('a pool whose workers die soon after they have come up starts the next ones after pauses', async () => {
  // It is told of the others when it has come up.
  const code =
    "process.on('message', ({ skein }) => { if (skein === 'roster') process.exit(7); });";
  writeFileSync(join(cwd, 'crashing.js'), code);
  const up = await pool('--breadth', '1', '--module', 'crashing.js');
  const pauses = [' in 100 ms', ' in 200 ms', ' in 400 ms'].map(
    (pause) => `is replaced${pause}: its process exited with code 7`,
  );
  await up.says(new RegExp(['is replaced:', 'is replaced:', ...pauses].join('.*'), 's'));
  up.child.kill('SIGKILL');
});

test('a pool whose workers do not come up at all is no pool, and replaces none', async () => {
  writeFileSync(join(cwd, 'broken.js'), "throw new Error('out of order');");
  const args = ['pool', 'up', '--port', '0', '--breadth', '2', '--module', 'broken.js'];
  const { code, out, err } = await result(args, { cwd });
  expect([code, out]).toEqual([1, '']);
  expect(err).toMatch(/^error: a worker did not start: .*out of order/m);
  expect(err).not.toContain('replaced');
});

describe('the end of a pool', () => {
  test('by Ctrl-C waits for tasks, and by a second one does not', async () => {
    const up = await pool('--breadth', '1');
    const file = trace(cwd);
    const waiting = up.call('wait', [file.path, 60_000]);
    await file.has('began');
    const pids = (await up.list()).map(({ pid }) => pid);
    up.child.kill('SIGINT');
    await up.says(/SIGINT: the pool waits for tasks that run; a second signal ends it at once/);
    expect(pids.filter(isAlive)).toEqual(pids);
    up.child.kill('SIGINT');
    expect(await up.ended).toBe(130);
    expect(await waiting.ended).toBe(1);
    await untilGone(pids);
  });

  test('that is killed ends its workers', async () => {
    const up = await pool('--breadth', '2');
    const pids = (await up.list()).map(({ pid }) => pid);
    up.child.kill('SIGKILL');
    await untilGone(pids);
  });

  test('may be hurried', async () => {
    const up = await pool('--breadth', '1');
    const file = trace(cwd);
    const waiting = up.call('wait', [file.path, 60_000]);
    await file.has('began');
    const patient = up.ask(['pool', 'down']);
    await until(async () => expect((await up.list())[0]).toMatchObject({ draining: true }));
    expect((await up.ask(['pool', 'down', '--wait', '0'])).code).toBe(0);
    expect((await patient).code).toBe(0);
    expect(await waiting.ended).toBe(1);
    expect(await up.ended).toBe(0);
  });
});

describe('a pool in the background', () => {
  test('outlives the command, which says where it is, and writes to a file', async () => {
    const port = `${await freePort()}`;
    const env = { XDG_RUNTIME_DIR: cwd };
    const args = ['pool', 'up', '--detach', '--breadth', '1', '--port', port, '--authkey', KEY];
    const { code, out, err } = await result(args, { cwd, env });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const [, pid, log] =
      /runs in the background \(process (\d+)\), and writes to (.*)\n/.exec(out) ?? [];
    const { ask, call } = asked(port, '--authkey', KEY);
    const greet = call('greet', ['you']);
    expect([await greet.ended, greet.out()]).toEqual([0, 'hello, you\n']);
    expect(readFileSync(log as string, 'utf8')).toMatch(
      new RegExp(
        `^--- [\\d-]+T[\\d:.]+Z: a pool starts \\(process ${pid}\\)\n\\[\\w{8}\\] greeting you\n$`,
      ),
    );
    expect((await ask(['pool', 'down'])).code).toBe(0);
    await untilGone([Number(pid)]);
  });

  test('that does not come up is no pool, and says why', async () => {
    const up = await pool('--breadth', '1');
    const env = { XDG_RUNTIME_DIR: cwd };
    const args = ['pool', 'up', '--detach', '--port', up.port];
    const { code, err } = await result(args, { cwd, env });
    expect(code).toBe(1);
    expect(err).toMatch(/^error: the pool did not come up: .*the port is taken/);
    up.child.kill('SIGKILL');
  });
});
