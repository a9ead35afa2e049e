import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { count } from '../../chaos/figures.ts';
import { runChaos } from '../../chaos/run.ts';
import { ROOT } from './helpers.ts';

test('no task runs twice and every call ends as it should, whatever befalls the workers', {
  timeout: 90_000,
}, async () => {
  const result = await runChaos({ seconds: 8, seed: 45, size: 4, concurrency: 48 });
  expect(result.violations).toEqual([]);
  const { calls, outcomes, executions, faults, cuts, restarts } = count(result);
  // The faults were really met.
  expect(faults.kill).toBeGreaterThan(0);
  expect(faults.stop).toBeGreaterThan(0);
  expect(faults.stall).toBeGreaterThan(0);
  expect(faults.hold).toBeGreaterThan(0);
  expect(faults.sever + faults.partition).toBeGreaterThan(0);
  expect(cuts).toBeGreaterThan(0);
  expect(restarts).toBeGreaterThan(0);
  expect(outcomes['lost offered'] + outcomes['lost running']).toBeGreaterThan(0);
  expect(outcomes.result).toBeGreaterThan(calls / 5);
  expect(outcomes).toMatchObject({ hung: 0, other: 0 });
  expect(executions).toBeGreaterThan(outcomes.result);
});

test('the command says what is wrong with its options', async () => {
  const argv = ['--import', 'tsx', join(ROOT, 'chaos/main.ts'), '--seconds', 'soon'];
  const run = await new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    const child = execFile(process.execPath, argv, { cwd: ROOT }, (_error, out, err) =>
      resolve({ code: child.exitCode, out, err }),
    );
  });
  expect(run).toMatchObject({ code: 2, out: '' });
  expect(run.err).toMatch(/^--seconds takes a whole number/);
});
