/** Workers of one machine in processes of their own, which end as they like. */
import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { LocalDiscovery } from '../../src/discovery/adapters/local.ts';
import { ROOT, runScript, type Script, scratchFolder, TYPESCRIPT, until } from './helpers.ts';

const folder = scratchFolder();
const started: Script[] = [];

afterEach(async () => {
  for (const { child } of started) child.kill('SIGKILL');
  await Promise.all(started.splice(0).map(({ ended }) => ended));
  rmSync(join(folder, 'app'), { recursive: true, force: true });
});

async function announcing(prefix: string, count = 1): Promise<Script> {
  const file = join(ROOT, 'test/fixtures/announcing.ts');
  const script = runScript(file, [folder, prefix, String(count)]);
  started.push(script);
  await until(() => {
    if (!script.stdout().includes('ready')) throw new Error(script.stderr());
  });
  return script;
}

/** What a subscriber is told, for each worker. */
function listen(): Map<string, string> & AsyncDisposable {
  const discovery = new LocalDiscovery('app', { folder });
  const told = new Map<string, string>();
  void (async () => {
    for await (const { type, worker } of discovery.subscribe()) {
      const uid = worker.uid ?? '';
      told.set(uid, `${told.get(uid) ?? ''} ${type.slice('worker-'.length)}`.trim());
    }
  })();
  return Object.assign(told, {
    [Symbol.asyncDispose]: () => discovery[Symbol.asyncDispose](),
  });
}

/** Milliseconds until all workers have this history. */
async function untilTold(told: Map<string, string>, count: number, history: string) {
  const start = performance.now();
  await until(() => {
    const right = [...told.values()].filter((one) => one === history).length;
    if (right !== count) throw new Error(`${right} of ${count}: ${JSON.stringify([...told])}`);
  });
  return performance.now() - start;
}

test('a worker whose process is killed is dropped within a second', async () => {
  await using told = listen();
  const one = await announcing('one');
  await announcing('other');
  await untilTold(told, 2, 'added');
  one.child.kill('SIGKILL');
  await one.ended;
  const ms = await untilTold(told, 1, 'added dropped');
  expect(told.get('one-0')).toBe('added dropped');
  expect(ms).toBeLessThan(1_000);
});

test('many workers of processes that end in any way are told of once, by each', async () => {
  await using early = listen();
  const scripts = await Promise.all([1, 2, 3, 4].map((n) => announcing(`p${n}`, 50)));
  await using late = listen();
  await untilTold(early, 200, 'added');
  await untilTold(late, 200, 'added');
  for (const [n, { child }] of scripts.entries()) child.kill(n % 2 === 0 ? 'SIGKILL' : 'SIGUSR2');
  await Promise.all(scripts.map(({ ended }) => ended));
  await untilTold(early, 200, 'added dropped');
  await untilTold(late, 200, 'added dropped');
  await using after = listen();
  await announcing('last');
  await untilTold(after, 1, 'added');
  expect([...after.keys()]).toEqual(['last-0']);
});

test('a process that was killed but not reaped is dropped', async () => {
  await using told = listen();
  // A shell that has become another program does not wait for its child.
  const file = join(ROOT, 'test/fixtures/announcing.ts');
  const node = `"${process.execPath}" ${TYPESCRIPT.join(' ')} "${file}"`;
  const parent = spawn('sh', ['-c', `${node} "${folder}" zombie & echo $!; exec sleep 60`]);
  try {
    const pid = await new Promise<number>((resolve) => {
      parent.stdout.once('data', (data) => resolve(Number(data)));
    });
    await untilTold(told, 1, 'added');
    process.kill(pid, 'SIGKILL');
    await untilTold(told, 1, 'added dropped');
  } finally {
    parent.kill('SIGKILL');
  }
});

test('a subscription keeps no process alive', async () => {
  const code = `
    import { LocalDiscovery } from ${JSON.stringify(join(ROOT, 'src/discovery/adapters/local.ts'))};
    const discovery = new LocalDiscovery('app', { folder: ${JSON.stringify(folder)} });
    void discovery.subscribe()[Symbol.asyncIterator]().next();
    void discovery.publisher.publish('worker-added', {
      uid: 'a', address: 'unix:///a', pid: process.pid, host: 'here', version: '1',
    });
    console.log('end');`;
  const file = join(folder, 'program.ts');
  writeFileSync(file, code);
  const script = runScript(file, [], { cwd: ROOT });
  started.push(script);
  expect(await script.ended).toBe(0);
  expect(script.stdout()).toContain('end');
});
