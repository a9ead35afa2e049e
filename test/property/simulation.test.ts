/** The runtime keeps its promises in a simulation, whatever goes wrong. */
import { describe, expect, test } from 'vitest';
import { scenarioOf } from '../../src/testing/arbitraries.ts';
import { addCounts, type Counts, NO_COUNTS } from '../../src/testing/counts.ts';
import { faultKinds } from '../../src/testing/draw.ts';
import { SimulationFailure } from '../../src/testing/failure.ts';
import type { CallPlan, TaskPlan } from '../../src/testing/scenario.ts';
import { Simulation } from '../../src/testing/simulation.ts';

/** Schedules in a normal run; `npm run soak` runs more. */
const SCHEDULES = 200;

/** Simulated milliseconds in which everything comes to rest. */
const graceMs = 15_000;

const task: TaskPlan = {
  kind: 'function',
  workMs: 1,
  yields: 0,
  outcome: 'return',
  deaf: false,
  bytes: 0,
  nested: [],
};

function call(at: number, more: Partial<CallPlan> = {}): CallPlan {
  return { at, task, idempotent: false, pauseMs: 0, retries: 0, ...more };
}

test(`${SCHEDULES} schedules break no promise, and meet all faults`, async () => {
  let counts: Counts = NO_COUNTS;
  for (let seed = 1; seed <= SCHEDULES; seed += 1) {
    const result = await Simulation.run({ seed, graceMs, ...scenarioOf(seed) });
    counts = addCounts(counts, result.counts);
  }
  expect(Object.keys(counts.faults)).toHaveLength(faultKinds.length);
  expect(Object.keys(counts.losses)).toEqual(['offered', 'running']);
  expect(Object.keys(counts.nacks)).toEqual(expect.arrayContaining(['BUSY', 'DRAINING']));
  for (const name of ['crashes', 'restarts', 'aborts', 'nestedCalls', 'values'] as const) {
    expect(counts[name], name).toBeGreaterThan(SCHEDULES / 4);
  }
});

describe('the same seed', () => {
  test('gives the same trace, byte for byte', async () => {
    for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const one = await Simulation.run({ seed, graceMs, ...scenarioOf(seed) });
      const other = await Simulation.run({ seed, graceMs, ...scenarioOf(seed) });
      expect(other.text).toBe(one.text);
    }
  });

  test('gives it in whatever part of a turn it begins', async () => {
    const run = async () => (await Simulation.run({ seed: 2, graceMs, ...scenarioOf(2) })).text;
    const inTimer = new Promise<string>((resolve) => setTimeout(() => resolve(run())));
    const inTick = new Promise<string>((resolve) => process.nextTick(() => resolve(run())));
    expect(new Set([await inTimer, await inTick, await run()]).size).toBe(1);
  });

  test('gives it while other simulations run', async () => {
    const run = async (seed: number) =>
      (await Simulation.run({ seed, graceMs, ...scenarioOf(seed) })).text;
    const alone = [await run(2), await run(3)];
    expect(await Promise.all([run(2), run(3)])).toEqual(alone);
  });

  test('and another one another trace', async () => {
    const workload = [[call(0)]];
    const one = await Simulation.run({ seed: 1, workload });
    const other = await Simulation.run({ seed: 2, workload });
    expect(other.text).not.toBe(one.text);
  });
});

test('a failure tells its seed, and shows itself again', async () => {
  const scenario = { cluster: { workers: 1, callers: 1 }, workload: [[call(0)]] };
  const program = async () => {
    throw new Error('the program is wrong');
  };
  const fail = () =>
    Simulation.run({ seed: 41, ...scenario }, program).catch((error: unknown) => error);
  const failure = await fail();
  expect(failure).toBeInstanceOf(SimulationFailure);
  expect(failure).toMatchObject({ seed: 41, message: expect.stringContaining('seed 41') });
  expect(((await fail()) as SimulationFailure).trace).toEqual((failure as SimulationFailure).trace);
});

describe('found by the simulation', () => {
  test('a worker that discovery loses and finds again takes calls', async () => {
    const { counts } = await Simulation.run({
      seed: 1,
      cluster: { workers: 1, callers: 1 },
      workload: [[call(0), call(50)]],
      faults: [{ at: 20, kind: 'flap', caller: 0, worker: 0, ms: 1 }],
    });
    expect(counts).toMatchObject({ results: 2, nacks: {} });
  });

  test('a task that ended at once is known to have begun while its large result is on its way', async () => {
    const { counts, trace } = await Simulation.run({
      seed: 1,
      cluster: { workers: 1, callers: 1, delayMs: [1, 1], discoveryMs: [0, 0] },
      workload: [[call(0, { task: { ...task, kind: 'generator', bytes: 150_000 } })]],
      faults: [{ at: 35, kind: 'cut', caller: 0, worker: 0 }],
    });
    const ended = trace.find(({ type }) => type === 'end');
    expect(ended?.at).toBeLessThan(35);
    expect(counts).toMatchObject({ losses: { running: 1 } });
  });
});
