/** Context variables on real workers do what the oracle says. */
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fork } from '../../src/index.ts';
import { faultyScripts } from '../context/arbitrary.ts';
import { commands, runCommands, runScript } from '../context/model.ts';
import { eachThird } from '../context/refusing.ts';
import { ROWS } from '../context/rows.ts';
import { SPEND_ALL, traceOf } from '../context/run.ts';
import { RuntimeWorld } from '../context/runtime.ts';
import type { Op } from '../context/script.ts';
import { Surroundings } from '../context/surroundings.ts';
import { scratchFolder } from './helpers.ts';
import { WorkerPool } from './runtime.ts';

const SCRIPTS = 150;
const FAULTY_SCRIPTS = 15;
/** Workers must come up again: after so many milliseconds it is enough. */
const FAULTY_MS = 8_000;

/** A token is used by a task whose worker dies then. */
const SPENT_AND_LOST: Op[] = [
  { op: 'set', v: 0, hold: [] },
  {
    op: 'call',
    call: {
      body: {
        ops: [{ op: 'spend' }, { op: 'strike', kind: 'crash', worker: 0, nested: false }],
        give: [],
      },
      pass: [0],
    },
  },
];

const folder = scratchFolder();
let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 2, restarts: { limit: 1_000 } });
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
  await fc.assert(property, { numRuns: SCRIPTS / 3 });
}, 60_000);

test('Token single use: no token is accepted twice when workers are killed in the middle of scripts', async () => {
  let killed = 0;
  const property = fc.asyncProperty(faultyScripts, async (script) => {
    const run = newRun();
    const trace = await fork(() => traceOf([...script, ...SPEND_ALL], new RuntimeWorld(run), run));
    killed += trace.filter((line) => line.endsWith('ended with WorkerLost')).length;
    const { accepted } = new Surroundings(run);
    expect(new Set(accepted).size).toBe(accepted.length);
  });
  await fc.assert(property, {
    numRuns: FAULTY_SCRIPTS,
    interruptAfterTimeLimit: FAULTY_MS,
    // On a slow machine there is time for few, which may have no kill.
    examples: [[SPENT_AND_LOST]],
  });
  expect(killed).toBeGreaterThan(0);
}, 60_000);
