/** What the simulation has found: each was broken once. */
import { expect, test } from 'vitest';
import { type CallPlan, type Fault, Simulation } from '../../../src/testing/index.ts';

const call: CallPlan = {
  at: 0,
  task: {
    kind: 'function',
    workMs: 0,
    yields: 0,
    outcome: 'return',
    deaf: false,
    bytes: 0,
    nested: [],
  },
  idempotent: false,
  pauseMs: 0,
  retries: 0,
};

/** One caller and one worker. */
async function run(calls: readonly CallPlan[], faults: readonly Fault[], lostAfterMs = 1_000) {
  const cluster = { workers: 1, callers: 1, lostAfterMs };
  return await Simulation.run({ seed: 1, cluster, workload: [calls], faults });
}

test('a call that a worker refused goes there when the worker is back, though nothing tells of it', async () => {
  const { counts } = await run(
    [call, { ...call, at: 900 }],
    [
      { at: 500, kind: 'stop', worker: 0, ms: 3_000 },
      { at: 600, kind: 'cut', caller: 0, worker: 0 },
      { at: 1_000, kind: 'ghost', caller: 0, worker: 0, ms: 10_000, answered: true },
    ],
  );
  expect(counts).toMatchObject({ calls: 2, results: 2, errors: {} });
});

test('a worker whose greeting was cut short on its way is tried again', async () => {
  const { counts } = await run(
    [call],
    [{ at: 0, kind: 'truncate', caller: 0, worker: 0, way: 'toCaller' }],
  );
  expect(counts).toMatchObject({ calls: 1, results: 1, errors: {} });
});

test('a connection that was cut is forgotten when the worker dies before it hears of it', async () => {
  await run(
    [call],
    [
      { at: 0, kind: 'block', worker: 0, ms: 20 },
      { at: 10, kind: 'cut', caller: 0, worker: 0 },
      { at: 20, kind: 'crash', worker: 0, ms: 1, silent: false },
    ],
  );
});

test.each([
  [300, 770],
  [400, 730],
  [600, 1_300],
])('a dead link to a worker that blocks for %s ms every %s ms is given up', async (ms, every) => {
  const blocks: Fault[] = [];
  for (let at = 1_200; at < 40_000; at += every) blocks.push({ at, kind: 'block', worker: 0, ms });
  const { counts, trace } = await run(
    [{ ...call, at: 1_000, task: { ...call.task, workMs: 2_000 } }],
    [{ at: 1_100, kind: 'halfOpen', caller: 0, worker: 0, ms: 1, way: 'toCaller' }, ...blocks],
    10_000,
  );
  expect(counts).toMatchObject({ errors: { WORKER_LOST: 1 } });
  const settled = trace.find(({ type }) => type === 'settle');
  expect(settled?.at).toBeLessThan(14_000);
});

test('calls that wait for a full worker are tried one after the other, though no call there ends', async () => {
  const long = (at: number, workMs: number): CallPlan => ({
    ...call,
    at,
    task: { ...call.task, workMs },
  });
  const { trace } = await Simulation.run({
    seed: 1,
    cluster: { workers: 1, callers: 2, concurrency: 3 },
    workload: [
      [long(0, 20_000), long(100, 20_000), long(110, 1_000)],
      [long(0, 5_000), long(0, 5_000)],
    ],
  });
  // Both places of the other caller are free at 5,000 ms.
  const last = trace.find((event) => event.type === 'settle' && event.id === 'caller-1-3');
  expect(last?.at).toBeLessThan(7_000);
});

test('a caller that was blocked hears in order that a worker went and came back', async () => {
  const { counts } = await run(
    [{ ...call, at: 50 }],
    [
      { at: 20, kind: 'callerBlock', caller: 0, ms: 50 },
      { at: 50, kind: 'flap', caller: 0, worker: 0, ms: 20 },
    ],
  );
  expect(counts).toMatchObject({ calls: 1, results: 1, errors: {} });
});
