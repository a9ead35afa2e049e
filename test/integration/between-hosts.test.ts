/** A program on one host, and workers on others that it finds on the network. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT, type Script, until } from './helpers.ts';
import { type Host, Hosts, noHosts } from './hosts.ts';

const impossible = noHosts();
function start(host: Host, name: string): Script {
  return host.run(join(ROOT, 'test/fixtures', name));
}

/** The workers' pids that ran calls, from that line on. */
function pidsOf({ stdout }: Script, from = 0): Set<number> {
  const ran = stdout()
    .slice(from)
    .matchAll(/^ran on (\d+)$/gm);
  return new Set([...ran].map(([, pid]) => Number(pid)));
}

/** Waits until calls were run by these, and by nobody else, `calls` of them. */
async function runsOn(caller: Script, workers: Script[], calls: number): Promise<void> {
  const from = caller.stdout().length;
  const pids = new Set(workers.map(({ child }) => child.pid));
  await until(() => {
    const lines = caller.stdout().slice(from).split('\n').length - 1;
    expect(lines, caller.stderr()).toBeGreaterThanOrEqual(calls);
    expect(pidsOf(caller, from)).toEqual(pids);
  });
}

/** What became of the calls that did not run. */
function failures({ stdout }: Script): Set<string> {
  const lines = stdout().split('\n').slice(0, -1);
  return new Set(lines.filter((line) => !line.startsWith('ran on ')));
}

const options = { timeout: 60_000, concurrent: true };

describe.skipIf(impossible !== undefined)('on hosts of a network', options, () => {
  const names = { one: ['lan'], two: ['lan'], three: ['lan'] };

  test('a program calls the workers that it finds, and goes on when one is killed', async ({
    expect,
  }) => {
    await using hosts = await Hosts.make(names);
    const one = hosts.get('one');
    const [first, second] = [start(one, 'lan-worker.ts'), start(hosts.get('two'), 'lan-worker.ts')];
    const caller = start(hosts.get('three'), 'lan-caller.ts');
    await runsOn(caller, [first, second], 20);
    expect(first.stdout()).toContain(`tcp://${one.address}:`);
    first.child.kill('SIGKILL');
    await first.ended;
    await runsOn(caller, [second], 50);
    const third = start(one, 'lan-worker.ts');
    await runsOn(caller, [second, third], 20);
    expect([...failures(caller)].filter((name) => name !== 'WorkerLost')).toEqual([]);
  });

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
    const expected = ['DispatchTimeout', 'WorkerLost'];
    expect([...failures(caller)].filter((name) => !expected.includes(name))).toEqual([]);
  });
});
