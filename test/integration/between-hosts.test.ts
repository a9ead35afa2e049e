/** A program on one host, and workers on others that it finds on the network. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT, type Script, scratchFolder, until } from './helpers.ts';
import { type Host, Hosts, noHosts } from './hosts.ts';

const impossible = noHosts();
const folder = scratchFolder();
/** The command as users have it; `npm test` has built it by then. */
const COMMAND = join(ROOT, 'dist/cli/main.js');

function start(host: Host, name: string, ...args: string[]): Script {
  return host.run(join(ROOT, 'test/fixtures', name), args);
}

/** Waits until so many calls in a row were run by these, by each of them, and by nobody else. */
async function runsOn(caller: Script, workers: Script[], calls: number): Promise<void> {
  const from = ran(caller).length;
  const pids = new Set(workers.map(({ child }) => String(child.pid)));
  await until(() => {
    // What was on its way before may have run elsewhere.
    const last = ran(caller).slice(from).slice(-calls);
    expect(last.length, said(caller, ...workers)).toBe(calls);
    expect(new Set(last)).toEqual(pids);
  }, 40_000);
}

function said(...scripts: Script[]): string {
  return scripts.map(({ stdout, stderr }) => `${stdout().slice(-200)} ${stderr()}`).join('; ');
}

/** The pids of the workers that ran calls. */
function ran({ stdout }: Script): string[] {
  return [...stdout().matchAll(/^ran on (\d+)$/gm)].map(([, pid]) => pid as string);
}

/** What became of calls that should not. */
function wrong({ stdout }: Script): string[] {
  const lines = stdout().split('\n').slice(0, -1);
  return lines.filter((line) => !/^(ran on \d+|WorkerLost|DispatchTimeout)$/.test(line));
}

const KEY = 'a secret that all of them know';

const PROGRAM = {
  'package.json': '{ "name": "app", "type": "module" }',
  'key.txt': KEY,
  'jobs.js': `
    import { routine } from 'skein';
    export const pid = routine(() => process.pid);`,
  'main.js': `
    import { setTimeout as delay } from 'node:timers/promises';
    import { LanDiscovery, WorkerPool } from 'skein';
    import { pid } from './jobs.js';
    const discovery = () => new LanDiscovery('app');
    await WorkerPool.open({ discovery, authkey: ${JSON.stringify(KEY)} });
    for (;;) {
      try {
        console.log('ran on ' + (await pid.with({ timeout: 2_000 })()));
      } catch (error) {
        console.log(error.name);
      }
      await delay(20);
    }`,
};

/** The program with all that it needs, in a folder of the host's own. */
function checkout(host: string): string {
  const place = join(folder, host, 'app');
  mkdirSync(join(place, 'node_modules'), { recursive: true });
  for (const [name, content] of Object.entries(PROGRAM)) writeFileSync(join(place, name), content);
  const link = join(place, 'node_modules/skein');
  if (!existsSync(link)) symlinkSync(ROOT, link);
  return place;
}

const options = { timeout: 120_000, concurrent: true };

describe.skipIf(impossible !== undefined)('on hosts of a network', options, () => {
  const names = { one: ['lan'], two: ['lan'], three: ['lan'] };

  test('a program goes on while a host is away for 10 s, and uses it again', async ({ expect }) => {
    await using hosts = await Hosts.make(names);
    const one = hosts.get('one');
    const [first, second] = [start(one, 'lan-worker.ts'), start(hosts.get('two'), 'lan-worker.ts')];
    const caller = start(hosts.get('three'), 'lan-caller.ts');
    await runsOn(caller, [first, second], 20);
    one.cut();
    const back = new Promise((resolve) => setTimeout(resolve, 10_000));
    await runsOn(caller, [second], 50);
    await back;
    one.mend();
    await runsOn(caller, [first, second], 20);
    expect(wrong(caller)).toEqual([]);
  });

  test('a busy worker is not taken for a dead one, on whatever network of its host', async ({
    expect,
  }) => {
    await using hosts = await Hosts.make({
      one: ['left', 'right'],
      two: ['left'],
      three: ['right'],
    });
    const pool = start(hosts.get('one'), 'lan-pool.ts');
    await until(() => expect(pool.stdout(), said(pool)).toMatch(/^\d+\n/), 40_000);
    const callers = (['two', 'three'] as const).map((name) =>
      start(hosts.get(name), 'lan-busy.ts', join(folder, `${name}.trace`)),
    );
    for (const caller of callers) {
      expect(await caller.ended, said(caller)).toBe(0);
      expect(caller.stdout()).toBe(`ran on ${pool.stdout()}`);
    }
  });

  test('a program calls the workers that the command has started, and goes on when one is killed', async ({
    expect,
  }) => {
    await using hosts = await Hosts.make(names);
    const worker = (name: 'one' | 'two') => {
      const args = ['worker', '--discovery', 'lan:app', '--authkey', 'key.txt'];
      return hosts.get(name).run(COMMAND, args, { cwd: checkout(name) });
    };
    const [first, second] = [worker('one'), worker('two')];
    const place = checkout('three');
    const caller = hosts.get('three').run(join(place, 'main.js'), [], { cwd: place });
    await runsOn(caller, [first, second], 20);
    expect(first.stdout()).toContain(`tcp://${hosts.get('one').address}:`);
    first.child.kill('SIGKILL');
    await first.ended;
    await runsOn(caller, [second], 50);
    const third = worker('one');
    await runsOn(caller, [second, third], 20);
    second.child.kill('SIGTERM');
    expect(await second.ended, said(second)).toBe(143);
    await runsOn(caller, [third], 50);
    expect(wrong(caller)).toEqual([]);
  });
});
