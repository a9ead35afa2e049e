/** `skein worker`: one worker in the foreground. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stopWorker, workerStatus } from '../../src/index.ts';
import { program, type Running, result, skein } from './cli-helpers.ts';
import { scratchFolder, trace, until } from './helpers.ts';

const cwd = program();
const elsewhere = scratchFolder();
const KEY = join(cwd, 'key');
writeFileSync(KEY, randomBytes(24).toString('base64'), { mode: 0o600 });

/** A namespace of LocalDiscovery that no other test has. */
const namespace = () => `local:cli-${randomBytes(6).toString('hex')}`;

async function worker(...args: string[]): Promise<Running & { address: string }> {
  const running = skein(['worker', ...args], { cwd });
  const [, address = ''] = await running.says(/listens at (\S+?),?\s/);
  return { ...running, address };
}

function call(routine: string, args: unknown[], ...more: string[]): Running {
  const texts = args.map((arg) => JSON.stringify(arg));
  return skein(['run', 'routines.js', routine, ...texts, ...more], { cwd });
}

describe('a worker', () => {
  test('is found by a discovery, and says so on one line without colours', async () => {
    const where = namespace();
    const { child, out, err, ended } = await worker('--discovery', where, '--tag', 'gpu');
    expect(out()).toMatch(
      new RegExp(`^worker \\w{8} listens at unix:///\\S+, found by ${where}\n$`),
    );
    const sum = call('add', [1, 2], '--discovery', where, '--tag', 'gpu');
    expect([await sum.ended, sum.out()]).toEqual([0, '3\n']);
    child.kill('SIGTERM');
    expect(await ended).toBe(143);
    expect(err()).toBe(
      'SIGTERM: the worker waits for its tasks; a second signal ends it at once\n',
    );
  });

  test('runs modules that were loaded at its start as a worker', async () => {
    const { child, address } = await worker('--module', 'routines.js');
    const place = address.replace('tcp://', '');
    const self = call('self', [], '--discovery', `static:${place}`, '--json');
    expect(await self.ended).toBe(0);
    expect(JSON.parse(self.out())).toEqual([child.pid, true]);
    child.kill('SIGTERM');
  });

  test('imports for callers what is below its root, from wherever it is started', async () => {
    const answers = await Promise.all(
      [['--root', cwd], []].map(async (args) => {
        const { child, says } = skein(['worker', ...args], { cwd: elsewhere });
        const [, address = ''] = await says(/listens at (\S+?),?\s/);
        const sum = call('add', [1, 2], '--discovery', `static:${address}`);
        await sum.ended;
        child.kill('SIGTERM');
        return sum.out() || sum.err();
      }),
    );
    expect(answers).toEqual(['3\n', expect.stringContaining('--root')]);
  });

  test('prints JSON where it is asked to', async () => {
    const { child, says } = skein(['worker', '--json', '--tag', 'a', '--tag', 'b'], { cwd });
    const [line] = await says(/^\{.*\}$/m);
    expect(JSON.parse(line)).toMatchObject({ tags: ['a', 'b'], pid: child.pid, version: '0.1.0' });
    expect(line).not.toContain('beat');
    child.kill('SIGTERM');
  });

  test('lets in who has its authkey, and nobody else', async () => {
    const { child, address } = await worker('--authkey', KEY);
    const right = call('add', [1, 2], '--discovery', `static:${address}`, '--authkey', KEY);
    expect([await right.ended, right.out()]).toEqual([0, '3\n']);
    await expect(workerStatus(address)).rejects.toThrow('authkey');
    child.kill('SIGTERM');
  });

  test('ends when it is stopped from elsewhere', async () => {
    const { address, ended } = await worker();
    await stopWorker(address);
    expect(await ended).toBe(0);
  });

  test('says that its port is taken', async () => {
    const { child, address } = await worker();
    const { port } = new URL(address);
    const { code, err } = await result(['worker', '--port', port], { cwd });
    expect(code).toBe(1);
    expect(err).toContain(`error: Can't listen on tcp://127.0.0.1:${port}: the port is taken.`);
    child.kill('SIGTERM');
  });

  test('says that its host is none of this machine, by the words that it was given', async () => {
    const { code, err } = await result(['worker', '--host', '203.0.113.7'], { cwd });
    const said =
      "error: Can't listen on 203.0.113.7: this host has no such address. " +
      '0.0.0.0 and [::] stand for all that it has.\n';
    expect([code, err]).toEqual([1, said]);
  });

  test('says that the port of its beat is taken', async () => {
    const { child, address } = await worker();
    const { port } = new URL(address);
    const { code, err } = await result(['worker', '--beat-port', port], { cwd });
    expect(code).toBe(1);
    const said = `error: Can't listen on tcp://127.0.0.1:${port} (the beat): the port is taken.`;
    expect(err).toContain(said);
    child.kill('SIGTERM');
  });

  test('warns where others can reach it and it has no authkey', async () => {
    const { child, says } = skein(['worker', '--host', '0.0.0.0'], { cwd });
    await says(/warning: whoever reaches tcp:\/\/\S+ can run routines: give it an authkey/);
    child.kill('SIGTERM');
  });
});

describe('Ctrl-C', () => {
  test('waits for the tasks that run', async () => {
    const { child, address, ended, says } = await worker();
    const file = trace(cwd);
    const waiting = call('wait', [file.path, 1_000], '--discovery', `static:${address}`);
    await file.has('began');
    child.kill('SIGINT');
    await says(/waits for its tasks/);
    expect([await waiting.ended, waiting.out()]).toEqual([0, 'waited\n']);
    expect(await ended).toBe(130);
  });

  test('waits no longer than --grace', async () => {
    const { child, address, ended } = await worker('--grace', '200ms');
    const file = trace(cwd);
    const waiting = call('wait', [file.path, 60_000], '--discovery', `static:${address}`);
    await file.has('began');
    child.kill('SIGTERM');
    expect(await waiting.ended).toBe(1);
    expect(waiting.err()).toContain('the worker stopped');
    expect(await ended).toBe(143);
  });

  test('does not wait the second time', async () => {
    const { child, address, ended, says } = await worker();
    const file = trace(cwd);
    const waiting = call('wait', [file.path, 60_000], '--discovery', `static:${address}`);
    await file.has('began');
    child.kill('SIGINT');
    await says(/waits for its tasks/);
    child.kill('SIGTERM');
    expect(await ended).toBe(143);
    await until(() => expect(waiting.err()).toContain('was lost'));
  });
});
