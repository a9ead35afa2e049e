/** Context variables on real workers do what the oracle says. */
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WorkerPool } from '../../src/index.ts';
import { commands, runCommands, runScript } from '../context/model.ts';
import { eachThird } from '../context/refusing.ts';
import { ROWS } from '../context/rows.ts';
import { scratchFolder } from './helpers.ts';

const SCRIPTS = 300;

const folder = scratchFolder();
let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 2 });
});
afterAll(() => pool.close());

let runs = 0;

function newRun(): string {
  runs += 1;
  return join(folder, `run-${runs}`);
}

test.each(ROWS)('$what', async ({ script }) => {
  await runScript(script, newRun());
});

test(`${SCRIPTS} random scripts`, async () => {
  const property = fc.asyncProperty(commands, (script) => runCommands(script, newRun()));
  await fc.assert(property, { numRuns: SCRIPTS });
  expect(pool.stats).toMatchObject({ waiting: 0 });
}, 60_000);

test('random scripts do not notice that workers refuse tasks', async () => {
  await using refusing = await WorkerPool.open({ size: 2, backpressure: eachThird });
  const property = fc.asyncProperty(commands, (script) =>
    refusing.run(() => runCommands(script, newRun())),
  );
  await fc.assert(property, { numRuns: 100 });
}, 60_000);
