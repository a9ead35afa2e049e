import { expect, test } from 'vitest';
import { addCounts, count, NO_COUNTS } from '../../../src/testing/counts.ts';
import type { Trace, TraceBody, TraceEvent } from '../../../src/testing/trace.ts';

const at = (process: string, body: TraceBody): TraceEvent => ({ at: 0, process, ...body });

const up = (process: string, role: 'worker' | 'caller') =>
  at(process, { type: 'up', role, uid: process, epoch: process });
const packet = (again?: true) =>
  at('worker-1.2', {
    type: 'packet',
    link: 'link-1',
    from: 'caller-1',
    sent: 0,
    frames: 'task',
    ...(again && { again }),
  });

const trace: Trace = [
  up('caller-1', 'caller'),
  up('worker-1.1', 'worker'),
  at('world', { type: 'fault', kind: 'crash', text: '' }),
  at('worker-1.1', { type: 'gone', crashed: true }),
  up('worker-1.2', 'worker'),
  packet(),
  packet(true),
  at('caller-1', { type: 'nack', id: 'b', reason: 'BUSY' }),
  at('worker-1.2', { type: 'start', id: 'a', attempt: 2, routine: 'work' }),
  at('worker-1.2', { type: 'abort', id: 'a', attempt: 2 }),
  at('caller-1', { type: 'settle', id: 'a', outcome: 'result', digest: '' }),
  at('caller-1', {
    type: 'settle',
    id: 'b',
    outcome: 'error',
    digest: '',
    code: 'WORKER_LOST',
    phase: 'offered',
  }),
];

test('counts what happened', () => {
  expect(count(trace)).toEqual({
    ...NO_COUNTS,
    executions: 1,
    retriedAttempts: 1,
    results: 1,
    errors: { WORKER_LOST: 1 },
    losses: { offered: 1 },
    nacks: { BUSY: 1 },
    aborts: 1,
    packets: 2,
    duplicates: 1,
    crashes: 1,
    restarts: 1,
    faults: { crash: 1 },
    events: trace.length,
  });
});

test('sums', () => {
  const counts = count(trace);
  expect(addCounts(counts, NO_COUNTS)).toEqual(counts);
  expect(addCounts(counts, counts)).toMatchObject({
    executions: 2,
    errors: { WORKER_LOST: 2 },
    faults: { crash: 2 },
    events: trace.length * 2,
  });
});
