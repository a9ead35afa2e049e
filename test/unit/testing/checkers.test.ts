import { describe, expect, test } from 'vitest';
import { formatViolation } from '../../../src/testing/checker.ts';
import { check, checkers } from '../../../src/testing/checkers.ts';
import type { Trace } from '../../../src/testing/trace.ts';
import {
  abort,
  arrived,
  at,
  CALLER,
  call,
  down,
  end,
  error,
  finished,
  generating,
  given,
  gone,
  healed,
  held,
  nack,
  OTHER,
  offered,
  packet,
  processes,
  result,
  routed,
  sent,
  settle,
  start,
  state,
  up,
  value,
  WORKER,
  yields,
} from './events.ts';

// Traces that people wrote: each checker accepts what may happen, and catches what was forged.

/** What all checkers find, as `checker: message`. */
function found(trace: Trace): string[] {
  return check(trace).map(({ checker, message }) => `${checker}: ${message}`);
}

test('every checker has a name of its own, and says what it checks', () => {
  expect(new Set(checkers.map(({ name }) => name)).size).toBe(checkers.length);
  for (const { promise } of checkers) expect(promise).toMatch(/^\S.*[^.]$/);
});

test('an empty trace breaks nothing', () => {
  expect(check([])).toEqual([]);
});

test('a violation carries the events that show it', () => {
  const events = given(...finished, settle(9));
  const [violation] = check(events);
  expect(violation).toMatchObject({ checker: 'settles-once', at: 9 });
  expect(formatViolation(violation!).split('\n')).toEqual([
    'settles-once: caller-1:1 settled 2 times',
    '         1.000 caller-1     call id=caller-1:1 routine=work generator=false idempotent=false',
    '         7.000 caller-1     settle id=caller-1:1 outcome=result digest=r',
    '         9.000 caller-1     settle id=caller-1:1 outcome=result digest=r',
  ]);
});

test('a trace that has grown is looked at again', () => {
  const trace = [...given(...finished)];
  expect(check(trace)).toEqual([]);
  trace.push(settle(9));
  expect(check(trace)).toHaveLength(1);
});

/** Traces that break nothing, and forged ones with all that must be found in them. */
interface Cases {
  readonly good: Readonly<Record<string, Trace>>;
  readonly bad: Readonly<Record<string, readonly [Trace, ...string[]]>>;
}

const elsewhere = [state(8, 'offered', OTHER), sent(8, 'link-2'), arrived(9, 'link-2', OTHER)];
const lost = error('WORKER_LOST', 'offered');
const runningLost = error('WORKER_LOST', 'running');

const cases: Readonly<Record<string, Cases>> = {
  'at-most-once': {
    good: {
      'one execution': given(...finished),
      none: offered(
        arrived(3),
        nack(4),
        state(4, 'routing'),
        state(5, 'cancelled'),
        settle(5, error('stop')),
      ),
      'two attempts of an idempotent call': [
        ...processes,
        call(1, { idempotent: true }),
        ...routed,
        arrived(3),
        start(3),
        ...elsewhere,
        start(9, OTHER, 2),
        abort(9),
        end(11, result('r'), OTHER, 2),
        settle(12),
      ],
    },
    bad: {
      'two executions': [
        given(arrived(4), start(4, OTHER), ...finished),
        'at-most-once: the body of caller-1:1 started 2 times: on worker-1.1 at 3.000 ms, on worker-2.1 at 4.000 ms',
      ],
      'one attempt twice': [
        [
          ...processes,
          call(1, { idempotent: true }),
          ...routed,
          arrived(3),
          start(3),
          start(3.5),
          ...finished,
        ],
        'at-most-once: attempt 1 of caller-1:1 started 2 times: on worker-1.1 at 3.000 ms, on worker-1.1 at 3.500 ms',
      ],
      'an execution that nobody asked for': [
        [...processes, start(3)],
        'at-most-once: the body of caller-1:1 started, and nobody had called it',
      ],
    },
  },

  'sent-again': {
    good: {
      'after a refusal': offered(
        arrived(3),
        nack(7),
        state(7, 'routing'),
        ...elsewhere,
        start(9, OTHER),
        end(9, result('r'), OTHER),
        settle(11),
      ),
      idempotent: [
        ...processes,
        call(1, { idempotent: true }),
        ...routed,
        arrived(3),
        start(3),
        abort(5),
        ...elsewhere,
        start(9, OTHER, 2),
        end(11, result('r'), OTHER, 2),
        settle(12),
      ],
    },
    bad: {
      'after the start': [
        given(abort(6), ...elsewhere, settle(12, lost)),
        'sent-again: caller-1:1 was sent again, though its body had started at 3.000 ms',
      ],
    },
  },

  'true-duplicate': {
    good: {
      'it arrived twice': given(arrived(4), nack(6, 'DUPLICATE'), ...finished),
      busy: offered(
        arrived(3),
        nack(4),
        ...elsewhere,
        start(9, OTHER),
        end(9, result('r'), OTHER),
        settle(11),
      ),
    },
    bad: {
      'it arrived once': [
        offered(arrived(3), nack(4, 'DUPLICATE'), state(4, 'failed'), settle(4, lost)),
        'true-duplicate: caller-1:1 was refused as a duplicate, and had arrived once',
      ],
    },
  },

  'cancel-arrives': {
    good: {
      told: given(state(5, 'cancelled'), settle(5, error('stop')), abort(6), end(7)),
      'ended before': given(end(4), state(5, 'cancelled'), settle(5, error('stop'))),
      'ended while the news were on their way': given(
        state(5, 'cancelled'),
        settle(5, error('stop')),
        end(6),
        packet(6.5, CALLER, 6),
      ),
      'gone with its process': given(
        state(5, 'cancelled'),
        settle(5, error('stop')),
        gone(6, WORKER),
      ),
    },
    bad: {
      'never told, and runs on': [
        given(state(5, 'cancelled'), settle(5, error('stop'))),
        'cancel-arrives: caller-1:1 was given up at 5.000 ms, and its body was never told',
      ],
      'not told before it ended': [
        given(state(5, 'cancelled'), settle(5, error('stop')), packet(8, CALLER, 7), end(20)),
        'cancel-arrives: caller-1:1 was given up at 5.000 ms, and its body ended at 20.000 ms without being told, though worker-1.1 had later news of the caller',
      ],
      'never told, and started later': [
        offered(state(2, 'cancelled'), settle(2, error('stop')), arrived(3), start(3)),
        'cancel-arrives: caller-1:1 was given up at 2.000 ms, and its body was never told',
      ],
    },
  },

  orphans: {
    good: {
      'told when the link ends': given(down(5, WORKER), abort(5), settle(7, runningLost), end(9)),
      'told when the caller is gone': given(gone(5, CALLER), abort(2_000)),
      'ended by itself': given(gone(5, CALLER), end(20)),
      'sent on a lost link, and run at home': [
        up(WORKER, 'worker'),
        { ...call(1), process: WORKER },
        { ...sent(1), process: WORKER },
        nack(2),
        down(2, WORKER),
        start(3),
        end(5),
        settle(5),
      ],
      'gone too': given(gone(5, CALLER), gone(6, WORKER)),
    },
    bad: {
      'goes on after the end of its link': [
        given(down(5, WORKER), settle(7, runningLost), end(9)),
        'orphans: the link that had brought caller-1:1 ended at 5.000 ms, and its body went on',
      ],
      'starts after the end of its link': [
        offered(arrived(3), down(4, WORKER), start(5), end(6), settle(7, lost)),
        'orphans: the body of caller-1:1 started after the end of the link that had brought it',
      ],
      'goes on without its caller': [
        given(gone(5, CALLER)),
        'orphans: caller-1 is gone, and the body of caller-1:1, which it had called, was never told',
      ],
      'starts long after its caller is gone': [
        offered(gone(5, CALLER), healed(100), arrived(4_000), start(4_000), end(4_001)),
        'orphans: the body of caller-1:1 started 3995.000 ms after caller-1 was gone, which had called it',
      ],
    },
  },

  'settles-once': {
    good: {
      once: given(...finished),
      'never, and its caller crashed': given(gone(4, CALLER), abort(5)),
    },
    bad: {
      twice: [given(...finished, settle(9)), 'settles-once: caller-1:1 settled 2 times'],
      never: [
        given(end(5), state(6, 'running', WORKER)),
        "settles-once: caller-1:1 never settled; its last state is 'running'",
      ],
      'never, and its caller ended in peace': [
        [...processes, call(1), gone(4, CALLER, false)],
        'settles-once: caller-1:1 never settled',
      ],
      'twice, and its caller crashed': [
        given(...finished, settle(8), gone(9, CALLER)),
        'settles-once: caller-1:1 settled 2 times',
      ],
      'without a call': [
        [settle(3, error('POOL_CLOSED'))],
        'settles-once: caller-1:1 settled, and was no call',
      ],
    },
  },

  'true-outcome': {
    good: {
      'the result of the body': given(...finished),
      'the error of the body': given(end(5, error('TypeError')), settle(7, error('TypeError'))),
      'given up': given(state(5, 'cancelled'), settle(5, error('AbortError')), abort(6)),
      'given up before it began': [...processes, call(1), settle(1, error('AbortError'))],
      'timed out': given(state(5, 'cancelled'), settle(5, error('DISPATCH_TIMEOUT')), abort(6)),
      'no worker': [
        ...processes,
        call(1),
        state(1, 'routing'),
        state(4, 'failed'),
        settle(4, error('NO_WORKERS_AVAILABLE')),
      ],
      'stopped by its worker': given(
        abort(4),
        state(6, 'failed'),
        settle(6, error('TASK_ABORTED')),
      ),
    },
    bad: {
      'a result of nobody': [
        given(end(5), settle(7, result('x'))),
        'true-outcome: caller-1:1 settled with the result x, which no execution gave',
      ],
      'a result before the end': [
        given(settle(4), end(5)),
        'true-outcome: caller-1:1 settled with the result r, which no execution gave',
      ],
      'a result in place of an error': [
        given(end(5, error('TypeError')), settle(7, result('TypeError/1'))),
        'true-outcome: caller-1:1 settled with the result TypeError/1, which no execution gave',
      ],
      'an error of nobody': [
        given(state(5, 'failed'), settle(7, error('TypeError'))),
        'true-outcome: caller-1:1 settled with TypeError, which no execution threw, and its caller did not give up',
      ],
      'a timeout that did not strike': [
        given(state(5, 'failed'), settle(7, error('DISPATCH_TIMEOUT'))),
        'true-outcome: caller-1:1 settled with DISPATCH_TIMEOUT, which nothing before it explains',
      ],
      'no worker, though it was offered': [
        offered(state(5, 'failed'), settle(7, error('NO_WORKERS_AVAILABLE'))),
        'true-outcome: caller-1:1 settled with NO_WORKERS_AVAILABLE, which nothing before it explains',
      ],
    },
  },

  'loss-was-sent': {
    good: {
      sent: offered(state(5, 'failed'), settle(5, lost)),
      'the loss of a nested call': [
        ...given(end(5, runningLost), settle(7, runningLost)).filter(({ type }) => type !== 'task'),
      ],
    },
    bad: {
      'never offered': [
        [...processes, call(1), state(1, 'routing'), state(2, 'failed'), settle(2, lost)],
        'loss-was-sent: caller-1:1 ended with WorkerLost, and was never offered to a worker',
      ],
      'never sent': [
        [...processes, call(1), state(1, 'offered', WORKER), state(2, 'failed'), settle(2, lost)],
        'loss-was-sent: caller-1:1 ended with WorkerLost, and was never sent',
      ],
    },
  },

  'true-phase': {
    good: {
      'running, and had begun': given(state(5, 'running'), abort(6), settle(7, runningLost)),
      'running, a generator that waits for its first step': [
        ...processes,
        call(1, { generator: true }),
        ...routed,
        arrived(3),
        state(5, 'running'),
        settle(7, runningLost),
      ],
      'offered, and never begun': offered(packet(6, WORKER, 5), settle(7, lost)),
      'offered, and had begun unheard': given(abort(6), settle(7, lost)),
      'offered, and its worker spoke before it began': given(
        packet(4, WORKER, 2),
        abort(6),
        settle(7, lost),
      ),
      'offered, and the news came too late': given(
        abort(6),
        state(7, 'failed'),
        packet(7, WORKER, 5),
        settle(8, lost),
      ),
      'offered, and an attempt before had begun': [
        ...processes,
        call(1, { idempotent: true }),
        ...routed,
        arrived(3),
        start(3),
        packet(6, WORKER, 5),
        abort(7),
        state(8, 'offered', OTHER),
        sent(8, 'link-2'),
        settle(20, lost),
      ],
    },
    bad: {
      'running, and had not begun': [
        offered(state(5, 'running'), settle(7, runningLost)),
        "true-phase: caller-1:1 ended with WorkerLost in phase 'running', and its body had not started",
      ],
      'running, and began later': [
        offered(state(2, 'running'), settle(2.5, runningLost), arrived(3), start(3), abort(4)),
        "true-phase: caller-1:1 ended with WorkerLost in phase 'running', and its body had not started",
      ],
      'offered, and its worker had told': [
        given(packet(6, WORKER, 5), abort(6), state(7, 'failed'), settle(7, lost)),
        "true-phase: caller-1:1 ended with WorkerLost in phase 'offered', though its worker had told of the start of its body",
      ],
    },
  },

  'generator-prefix': {
    good: {
      'all values': generating(
        yields(4, 'a'),
        value(5, 'a'),
        yields(6, 'b'),
        value(7, 'b'),
        end(8),
        settle(9),
      ),
      'the first ones, then a loss': generating(
        yields(4, 'a'),
        value(5, 'a'),
        yields(6, 'b'),
        abort(8),
        settle(9, runningLost),
      ),
      'equal values': generating(
        yields(4, 'a'),
        value(5, 'a'),
        yields(6, 'a'),
        value(7, 'a'),
        end(8),
        settle(9),
      ),
      none: generating(end(8), settle(9)),
    },
    bad: {
      'one twice': [
        generating(
          yields(4, 'a'),
          value(5, 'a'),
          yields(6, 'b'),
          value(7, 'a'),
          abort(8),
          settle(9, runningLost),
        ),
        'generator-prefix: caller-1:1 gave a as value 2, not b',
      ],
      'one more than it yielded': [
        generating(yields(4, 'a'), value(5, 'a'), value(6, 'a'), abort(8), settle(9, runningLost)),
        'generator-prefix: caller-1:1 gave a as value 2, which its body had not yielded',
      ],
      'one left out': [
        generating(yields(4, 'a'), yields(5, 'b'), value(6, 'b'), abort(8), settle(9, runningLost)),
        'generator-prefix: caller-1:1 gave b as value 1, not a',
      ],
      'the last left out': [
        generating(yields(4, 'a'), value(5, 'a'), yields(6, 'b'), end(8), settle(9)),
        'generator-prefix: caller-1:1 ended well with 1 values, and its body had yielded 2',
      ],
      'before it was yielded': [
        generating(value(3.5, 'a'), yields(4, 'a'), end(8), settle(9)),
        'generator-prefix: caller-1:1 gave a as value 1, not a',
      ],
      'after its end': [
        generating(yields(4, 'a'), end(8), settle(9), value(10, 'a')),
        'generator-prefix: caller-1:1 gave a value after its end',
      ],
      'from two attempts': [
        [
          ...generating(yields(4, 'a'), value(5, 'a'), abort(7)).map((event) =>
            event.type === 'call' ? { ...event, idempotent: true } : event,
          ),
          start(9, WORKER, 2),
          yields(10, 'c', 2),
          yields(11, 'b', 2),
          value(12, 'b'),
          end(13, result('r'), WORKER, 2),
          settle(14),
        ],
        'generator-prefix: caller-1:1 gave b as value 2, which its body had not yielded',
      ],
    },
  },

  'within-bounds': {
    good: {
      'at the bound': [held(5, WORKER, { heldBytes: 10, heldBytesLimit: 10, calls: 1_000 })],
    },
    bad: {
      'beyond it': [
        [
          held(5, WORKER, { heldBytes: 11, heldBytesLimit: 10 }),
          held(6, WORKER, { heldBytes: 12, heldBytesLimit: 10 }),
        ],
        'within-bounds: worker-1.1 held heldBytes = 11 at 5.000 ms; the bound is 10',
      ],
    },
  },

  'nothing-left': {
    good: {
      nothing: [
        up(WORKER, 'worker'),
        held(5, WORKER, { leftCalls: 3 }),
        healed(10),
        held(20, WORKER, { leftCalls: 0, workers: 2 }),
      ],
      crashed: [
        up(WORKER, 'worker'),
        healed(10),
        held(20, WORKER, { leftCalls: 3 }),
        gone(30, WORKER),
      ],
      'gone before anybody looked': [
        up(WORKER, 'worker'),
        up(OTHER, 'worker'),
        gone(5, WORKER, false),
        healed(10),
        held(20, OTHER, {}),
      ],
    },
    bad: {
      calls: [
        [
          up(WORKER, 'worker'),
          healed(10),
          held(20, WORKER, { leftCalls: 3, leftTasks: 0, leftTimers: 1 }),
        ],
        'nothing-left: worker-1.1 has something left over at its end: leftCalls = 3, leftTimers = 1',
      ],
      'timers, when it has ended': [
        [
          up(WORKER, 'worker'),
          healed(10),
          held(20, WORKER, { leftCalls: 0 }),
          held(30, WORKER, { leftTimers: 1 }),
          gone(30, WORKER, false),
        ],
        'nothing-left: worker-1.1 has something left over at its end: leftTimers = 1',
      ],
      'nobody looked': [
        [up(WORKER, 'worker'), held(5, WORKER, { leftCalls: 0 }), healed(10)],
        'nothing-left: nobody looked at what worker-1.1 holds after the faults had ended',
      ],
    },
  },

  'nothing-uncaught': {
    good: {},
    bad: {
      'an error': [
        [at(5, WORKER, { type: 'uncaught', message: 'TypeError: oh' })],
        'nothing-uncaught: unhandled in worker-1.1: TypeError: oh',
      ],
    },
  },

  'dead-are-silent': {
    good: {
      'its links end': given(...finished, gone(10, WORKER), down(11, WORKER)),
    },
    bad: {
      'it speaks': [
        given(gone(4, WORKER), ...finished),
        'dead-are-silent: worker-1.1 was gone at 4.000 ms, and did something at 5.000 ms',
      ],
    },
  },
};

test('each checker has cases here', () => {
  expect(Object.keys(cases).sort()).toEqual(checkers.map(({ name }) => name).sort());
});

describe.each(Object.entries(cases))('%s', (_name, { good, bad }) => {
  test.for(Object.entries(good))('accepts: %s', ([, trace]) => {
    expect(found(trace)).toEqual([]);
  });

  test.for(Object.entries(bad))('catches: %s', ([, [trace, ...messages]]) => {
    expect(found(trace)).toEqual(messages);
  });
});
