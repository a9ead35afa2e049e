import { execFile } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { count } from '../../chaos/figures.ts';
import { runChaos } from '../../chaos/run.ts';
import { LOST_AFTER_MS } from '../../chaos/site.ts';
import { ROOT, runScript, scratchFolder, TYPESCRIPT, until } from './helpers.ts';
import { noNats } from './nats-server.ts';

test('no task runs twice and every call ends as it should, whatever befalls the workers', {
  timeout: 90_000,
}, async () => {
  const result = await runChaos({ seconds: 8, seed: 45, size: 4, concurrency: 48 });
  expect(result.violations).toEqual([]);
  const { calls, outcomes, executions, retriedAttempts, faults, cuts, restarts } = count(result);
  // The faults were really met.
  expect(faults.kill).toBeGreaterThan(0);
  expect(faults.stop).toBeGreaterThan(0);
  expect(faults.stall).toBeGreaterThan(0);
  expect(faults.hold).toBeGreaterThan(0);
  expect(faults.sever + faults.partition).toBeGreaterThan(0);
  expect(cuts).toBeGreaterThan(0);
  expect(restarts).toBeGreaterThan(0);
  expect(outcomes['lost offered'] + outcomes['lost running']).toBeGreaterThan(0);
  expect(retriedAttempts).toBeGreaterThan(0);
  expect(outcomes.result).toBeGreaterThan(calls / 5);
  expect(outcomes).toMatchObject({ hung: 0, other: 0 });
  expect(executions).toBeGreaterThan(outcomes.result);
});

test.skipIf(noNats !== undefined)(
  'nor does it over NATS, whatever befalls the server, too',
  {
    timeout: 90_000,
  },
  async () => {
    const transport = 'nats';
    const result = await runChaos({ seconds: 6, seed: 233, size: 4, concurrency: 36, transport });
    expect(result.violations).toEqual([]);
    const { calls, outcomes, faults, cuts, restarts } = count(result);
    // The faults were really met.
    expect(faults.kill).toBeGreaterThan(0);
    expect(faults.restart).toBeGreaterThan(0);
    expect(cuts).toBeGreaterThan(0);
    expect(restarts).toBeGreaterThan(0);
    expect(outcomes.result).toBeGreaterThan(calls / 5);
    expect(outcomes).toMatchObject({ hung: 0, other: 0 });
  },
);

test('a run that is interrupted while a worker is stopped leaves nothing behind', {
  timeout: 60_000,
}, async () => {
  const controller = new AbortController();
  const { history, violations, elapsedMs } = await runChaos({
    seconds: 50,
    seed: 45,
    size: 2,
    concurrency: 24,
    signal: controller.signal,
    progress: ({ faults }) => {
      if (faults.at(-1)?.kind === 'stall') controller.abort();
    },
  });
  expect(violations).toEqual([]);
  expect(history.faults.at(-1)?.kind).toBe('stall');
  expect(history.interruptedAt).toBeLessThan(50_000);
  // Nobody has waited until the worker was given up.
  expect(elapsedMs - (history.interruptedAt ?? 0)).toBeLessThan(LOST_AFTER_MS.tcp);
});

test('Ctrl-C ends the command, and it says what was done so far', async () => {
  const folder = scratchFolder();
  const { child, stdout, stderr, ended } = runScript(join(ROOT, 'chaos/main.ts'), [], {
    cwd: ROOT,
    env: { ...process.env, NODE_OPTIONS: '', TMPDIR: folder },
    // A group of processes, as on a terminal: the signal goes to all of them.
    detached: true,
  });
  const run = () => readdirSync(folder).find((name) => name.startsWith('skein-chaos-'));
  await until(() => expect(statSync(join(folder, run() ?? '', 'trace')).size).toBeGreaterThan(0));
  process.kill(-(child.pid as number), 'SIGINT');
  expect(await ended).toBe(130);
  expect(stderr()).toBe('');
  expect(stdout()).toMatch(/^Interrupted after [\d.]+ of 60 s\.\n\nNothing was violated\.$/m);
  expect(run()).toBeUndefined();
});

test('the command says what is wrong with its options', async () => {
  const argv = [...TYPESCRIPT, join(ROOT, 'chaos/main.ts'), '--seconds', 'soon'];
  const run = await new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    const child = execFile(process.execPath, argv, { cwd: ROOT }, (_error, out, err) =>
      resolve({ code: child.exitCode, out, err }),
    );
  });
  expect(run).toMatchObject({ code: 2, out: '' });
  expect(run.err).toMatch(/^--seconds takes a whole number/);
});
