/** The judge of `npm run chaos` can find guilty: histories that are forged, each with one thing wrong. */
import { describe, expect, test } from 'vitest';
import { parseCommandLine } from '../../chaos/args.ts';
import type { CallRecord, Fault, History, Outcome } from '../../chaos/history.ts';
import { judge } from '../../chaos/oracle.ts';
import { drawCall } from '../../chaos/workload.ts';
import { UsageError } from '../../scripts/args.ts';
import { Random } from '../../src/testing/random.ts';

const plain: CallRecord = {
  id: 't1',
  kind: 'add',
  what: 'add(1, 2)',
  expected: { value: 3 },
  startedAt: 10,
  endedAt: 20,
  received: [],
  outcome: { type: 'result', value: 3 },
};

const stream: CallRecord = {
  ...plain,
  kind: 'stream',
  expected: { value: 'consumed' },
  yields: [0, 1, 4],
  received: [0, 1, 4],
  outcome: { type: 'result', value: 'consumed' },
};

const throwing: CallRecord = {
  ...plain,
  expected: { error: { name: 'RangeError', message: 'no good' } },
  outcome: error({ name: 'RangeError', message: 'no good' }),
};

const ran = { id: 't1', worker: 'w1', attempt: 1 };
const again = { id: 't1', worker: 'w2', attempt: 2 };
const idempotent: CallRecord = { ...plain, idempotent: true };
const kill: Fault = { kind: 'kill', worker: 'w1', at: 15, detail: '' };

function error(failure: { name: string; message?: string; [more: string]: unknown }): Outcome {
  return { type: 'error', error: { message: '', ...failure } };
}

function lost(phase: 'offered' | 'running', worker = 'w1'): CallRecord {
  return { ...plain, outcome: error({ name: 'WorkerLost', phase, worker }) };
}

function history(call: CallRecord, more: Partial<History> = {}): History {
  return { calls: [call], executions: [ran], faults: [], leftovers: [], ...more };
}

const rules = (forged: History) => judge(forged).map(({ rule }) => rule);

describe('finds nothing wrong with', () => {
  test.for<[string, History]>([
    ['a right result', history(plain)],
    ['a right stream', history(stream)],
    ['an error of its own', history(throwing)],
    ['a worker lost that was killed', history(lost('running'), { faults: [kill] })],
    [
      'a call that the worker never got',
      history(lost('offered'), { executions: [], faults: [kill] }),
    ],
    [
      'time that ran out',
      history({ ...plain, timeoutMs: 5, outcome: error({ name: 'DispatchTimeout' }) }),
    ],
    [
      'a call that was given up',
      history({ ...plain, aborts: true, outcome: error({ name: 'Error', isReason: true }) }),
    ],
    [
      'a task of a worker that was told to end',
      history(
        { ...plain, outcome: error({ name: 'TaskAborted' }) },
        { faults: [{ ...kill, kind: 'term' }] },
      ),
    ],
    [
      'a task that was tried again after a loss',
      history(idempotent, { executions: [ran, again], faults: [kill] }),
    ],
    [
      'a task that was tried again and had not begun',
      history(idempotent, { executions: [again], faults: [{ ...kill, worker: 'w3' }] }),
    ],
    [
      'a task that was lost each time',
      history(
        {
          ...idempotent,
          outcome: error({
            name: 'WorkerLost',
            message: 'worker w1 was lost. It was attempt 5 of 5',
            phase: 'offered',
            worker: 'w1',
          }),
        },
        { faults: [kill] },
      ),
    ],
    [
      'a stream that was lost after its first value',
      history(
        { ...stream, received: [0], idempotent: true, outcome: lost('running').outcome as Outcome },
        { faults: [kill] },
      ),
    ],
    [
      'a call whose pool was closed when the run was interrupted',
      history({ ...plain, outcome: error({ name: 'PoolClosed' }) }, { interruptedAt: 15 }),
    ],
    [
      'a call that failed before it was sent',
      history(
        {
          ...plain,
          neverRuns: true,
          expected: { error: { name: 'SerializationError' } },
          outcome: error({ name: 'SerializationError' }),
        },
        { executions: [] },
      ),
    ],
  ])('%s', ([, forged]) => {
    expect(judge(forged)).toEqual([]);
  });
});

describe('finds', () => {
  test.for<[string, History, string]>([
    [
      'an id that stands twice',
      history(plain, { executions: [ran, { ...ran, worker: 'w2' }] }),
      'runs once',
    ],
    [
      'an attempt that stands twice',
      history(idempotent, { executions: [ran, { ...ran, worker: 'w2' }], faults: [kill] }),
      'runs once',
    ],
    [
      'a task that was tried again, and no worker was lost',
      history(idempotent, { executions: [ran, again] }),
      'retry explained',
    ],
    [
      'a task that was tried again, and another worker was lost',
      history(idempotent, { executions: [ran, again], faults: [{ ...kill, worker: 'w2' }] }),
      'retry explained',
    ],
    [
      'a second attempt at a task that is tried once',
      history(plain, { executions: [{ ...ran, attempt: 2 }], faults: [kill] }),
      'retry explained',
    ],
    [
      'an idempotent task that was given up after the first loss',
      history({ ...lost('running'), idempotent: true }, { faults: [kill] }),
      'error explained',
    ],
    [
      'a task that nobody asked for',
      history(plain, { executions: [ran, { ...ran, id: 't9' }] }),
      'runs when asked',
    ],
    [
      'a task that was never sent, and ran',
      history({
        ...plain,
        neverRuns: true,
        aborts: true,
        outcome: error({ name: 'Error', isReason: true }),
      }),
      'runs when asked',
    ],
    ['a missing outcome', history({ ...plain, outcome: undefined } as never), 'settles'],
    [
      'a wrong result',
      history({ ...plain, outcome: { type: 'result', value: 4 } }),
      'right outcome',
    ],
    [
      'a result instead of an error',
      history({ ...throwing, outcome: { type: 'result', value: 3 } }),
      'right outcome',
    ],
    [
      'another error',
      history({ ...throwing, outcome: error({ name: 'TypeError' }) }),
      'error explained',
    ],
    [
      'another message',
      history({ ...throwing, outcome: error({ name: 'RangeError', message: 'so so' }) }),
      'error explained',
    ],
    ['a result of a task that has not run', history(plain, { executions: [] }), 'outcome of a run'],
    [
      'an own error of a task that has not run',
      history(throwing, { executions: [] }),
      'outcome of a run',
    ],
    [
      'a result, and a part that has not run',
      history({ ...plain, parts: ['t1.1'] }),
      'outcome of a run',
    ],
    ['a value that comes twice', history({ ...stream, received: [0, 1, 1, 4] }), 'right outcome'],
    ['values in another order', history({ ...stream, received: [1, 0, 4] }), 'right outcome'],
    ['a stream that is too short', history({ ...stream, received: [0, 1] }), 'right outcome'],
    ['a worker lost to which nothing happened', history(lost('running')), 'error explained'],
    [
      'a worker lost before it was killed',
      history(lost('running'), { faults: [{ ...kill, at: 25 }] }),
      'error explained',
    ],
    [
      'a worker lost that was only stopped for a moment',
      history(lost('running'), { faults: [{ ...kill, kind: 'stop' }] }),
      'error explained',
    ],
    [
      'a task that was lost on one worker, and ran on another',
      history(lost('offered', 'w2'), { faults: [{ ...kill, worker: 'w2' }] }),
      'error explained',
    ],
    [
      'a task that was lost while it ran, and did not run',
      history(lost('running'), { executions: [], faults: [kill] }),
      'error explained',
    ],
    [
      'a timeout without a limit',
      history({ ...plain, outcome: error({ name: 'DispatchTimeout' }) }),
      'error explained',
    ],
    [
      'an abort that nobody asked for',
      history({ ...plain, outcome: error({ name: 'Error', isReason: true }) }),
      'error explained',
    ],
    [
      'a task that was stopped by nobody',
      history({ ...plain, outcome: error({ name: 'TaskAborted' }) }),
      'error explained',
    ],
    [
      'a pool that was closed, and nobody did that',
      history({ ...plain, outcome: error({ name: 'PoolClosed' }) }),
      'error explained',
    ],
    [
      'a pool that was closed before the run was interrupted',
      history({ ...plain, outcome: error({ name: 'PoolClosed' }) }, { interruptedAt: 25 }),
      'error explained',
    ],
    ['a process that is left', history(plain, { leftovers: ['process 7'] }), 'nothing left'],
  ])('%s', ([, forged, rule]) => {
    expect(rules(forged)).toEqual([rule]);
  });

  test('and says which call it was', () => {
    const [violation] = judge(history({ ...plain, outcome: { type: 'result', value: 4 } }));
    expect(violation).toEqual({
      rule: 'right outcome',
      subject: 't1',
      evidence: '4 and not 3 (add: add(1, 2), 10 to 20 ms)',
    });
  });
});

test('the same seed draws the same calls', () => {
  const draw = (seed: number) => {
    const random = new Random(seed);
    return Array.from({ length: 50 }, (_, i) => drawCall(random, { file: '', id: `t${i}` }).what);
  };
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1)).not.toEqual(draw(2));
});

describe('the command line', () => {
  test('has defaults', () => {
    expect(parseCommandLine([])).toMatchObject({
      seconds: 60,
      size: 4,
      concurrency: 48,
      json: false,
    });
    expect(parseCommandLine(['--help'])).toBeUndefined();
    expect(parseCommandLine(['--seed', '7'])?.seed).toBe(7);
  });

  test.for([
    '--seconds 0',
    '--seconds x',
    '--seed -1',
    '--size 0',
    '--concurrency 1.5',
    '--fast',
    'x',
  ])('refuses %s', (line) => {
    expect(() => parseCommandLine(line.split(' '))).toThrow(UsageError);
  });
});
