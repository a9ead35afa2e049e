/** `npm run soak`, as a user runs it. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runScript, TYPESCRIPT, until } from './helpers.ts';

const root = join(import.meta.dirname, '../..');
const mutant = join(root, 'test/fixtures/mutant.mjs');

/** Runs the soak; broken on purpose when `NODE_OPTIONS` says so. */
function soak(
  args: readonly string[],
  options = '',
): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, NODE_OPTIONS: options };
    const command = [...TYPESCRIPT, 'scripts/soak.ts', ...args];
    const child = execFile(process.execPath, command, { cwd: root, env }, (_error, out, err) => {
      resolve({ code: child.exitCode ?? -1, out, err });
    });
  });
}

test('a soak counts what happened', async () => {
  const { code, out } = await soak(['--schedules', '6', '--seed', '3', '--jobs', '2', '--json']);
  expect(code).toBe(0);
  const summary = JSON.parse(out);
  expect(summary).toMatchObject({ schedules: 6, firstSeed: 3, failures: [], replay: [] });
  expect(summary.counts.calls).toBeGreaterThan(10);
});

test('a failure prints a line that shows it again, and a smaller case', async () => {
  const broken = `--import ${mutant}`;
  const { code, out } = await soak(['--schedules', '20', '--jobs', '1'], broken);
  expect(code).toBe(1);
  const found = /^settles-once: .* settled 2 times$/m.exec(out)?.[0];
  expect(found).toBeDefined();
  expect(out).toMatch(/^Shrunk in \d+ steps, to:$/m);
  const line = /^Replay it: npm run soak -- (.*)$/m.exec(out)?.[1] ?? '';
  const replayed = await soak(line.split(' '), broken);
  expect(replayed.code).toBe(1);
  expect(replayed.out).toContain(found);
  expect((await soak(line.split(' '))).code).toBe(0);
}, 60_000);

test('mutations of a seed are the same each time, and one that fails prints a line that shows it again', async () => {
  const { code, out } = await soak(['--mutations', '600', '--jobs', '2', '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ mutations: { tried: 600, failures: [] }, replay: [] });

  const broken = `--import ${join(root, 'test/fixtures/undecodable.mjs')}`;
  const failed = await soak(['--mutations', '600', '--jobs', '1'], broken);
  expect(failed.code).toBe(1);
  const found = /^throws RangeError: broken on purpose.*$/m.exec(failed.out)?.[0];
  expect(found).toBeDefined();
  const line = /^Replay it: npm run soak -- (.*)$/m.exec(failed.out)?.[1] ?? '';
  expect(line).toMatch(/^--seed \d+ --mutations 1$/);
  const replayed = await soak(line.split(' '), broken);
  expect(replayed.out).toContain(found);
  expect((await soak(line.split(' '))).code).toBe(0);
}, 60_000);

test('scripts of context variables are run alone, too', async () => {
  const { code, out } = await soak(['--scripts', '10', '--seed', '5', '--jobs', '2', '--json']);
  expect(code).toBe(0);
  const scripts = { tried: 10, firstSeed: 5, failures: [] };
  expect(JSON.parse(out)).toMatchObject({ scripts, replay: [] });
}, 60_000);

test('Ctrl-C ends it, and it says what was run so far', async () => {
  const args = ['--time', '600', '--jobs', '2'];
  // A group of processes, as on a terminal: the signal goes to all of them.
  const { child, stdout, stderr, ended } = runScript(join(root, 'scripts/soak.ts'), args, {
    cwd: root,
    detached: true,
  });
  await until(() => expect(stderr()).toMatch(/^1 of [\d,]+ schedules/));
  process.kill(-(child.pid as number), 'SIGINT');
  expect(await ended).toBe(130);
  expect(stdout()).toMatch(/^Interrupted\. What was run so far:\n\nschedules +[1-9]/);
  expect(stdout()).toContain('No promise was broken.');
  expect(stderr()).toMatch(/^.*\n$/);
});

test('a trace is the same each time', async () => {
  const args = ['--schedules', '1', '--seed', '5', '--trace'];
  const [one, other] = await Promise.all([soak(args), soak(args)]);
  expect(one.out).toContain('healed');
  expect(other.out).toBe(one.out);
});

test.for([
  [['--schedules', '0'], "--schedules takes a whole number from 1 to 2147483647, not '0'"],
  [['--trace'], '--trace needs --schedules 1'],
  [['--what'], "Unknown option '--what'"],
] as const)('refuses %j', async ([args, message]) => {
  const { code, out, err } = await soak(args);
  expect(code).toBe(2);
  expect(err).toContain(message);
  expect(err).toContain('Usage: npm run soak');
  expect(out).toBe('');
});

test('--help prints how it is used', async () => {
  const { code, out } = await soak(['--help']);
  expect(code).toBe(0);
  expect(out).toMatch(/^Usage: npm run soak/);
});
