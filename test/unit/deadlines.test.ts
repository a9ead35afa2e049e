import { equal, ok } from 'node:assert/strict';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Deadline, Deadlines } from '../../src/actors/deadlines.ts';
import { type Env, systemEnv } from '../../src/env.ts';

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A clock that stands still until the test moves it. */
class Clock {
  now = 0;
  readonly timers = new Set<{ due: number; fn: () => void }>();
  readonly env: Env = {
    ...systemEnv,
    now: () => this.now,
    timer: (ms, fn) => {
      ok(ms >= 0);
      ok(ms <= LONGEST_TIMER_MS);
      const timer = { due: this.now + ms, fn };
      this.timers.add(timer);
      return { cancel: () => this.timers.delete(timer) };
    },
  };

  /** Runs the timers that are due until `ms` from now, each at its time, or late by `lateMs`. */
  advance(ms: number, lateMs = 0): void {
    const end = this.now + ms;
    for (;;) {
      const next = [...this.timers].sort((a, b) => a.due - b.due)[0];
      if (next === undefined || next.due + lateMs > end) break;
      this.timers.delete(next);
      this.now = Math.max(this.now, next.due + lateMs);
      next.fn();
    }
    this.now = end;
  }
}

type Command =
  | { type: 'add'; ms: number; next?: 'add' | 'remove' | undefined }
  | { type: 'remove'; which: number }
  | { type: 'advance'; ms: number; lateMs: number };

const ms = fc.oneof(fc.nat(20), fc.nat(1_000), fc.constant(2 ** 32));
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    type: fc.constant('add' as const),
    ms,
    next: fc.constantFrom(undefined, undefined, 'add', 'remove'),
  }),
  fc.record({ type: fc.constant('remove' as const), which: fc.nat() }),
  fc.record({ type: fc.constant('advance' as const), ms, lateMs: fc.constantFrom(0, 0, 3) }),
);

/** What should be in the heap: a list, kept sorted. */
interface Entry {
  readonly due: number;
  readonly deadline: Deadline;
}

test('fires what a sorted list would fire, at the same time', () => {
  const property = fc.property(fc.array(command, { maxLength: 120, size: 'max' }), (commands) => {
    const clock = new Clock();
    const deadlines = new Deadlines(clock.env);
    const waiting: Entry[] = [];

    const check = () => {
      equal(deadlines.size, waiting.length);
      // One timer at most, and never later than the first deadline.
      equal(clock.timers.size, waiting.length > 0 ? 1 : 0);
      const [timer] = clock.timers;
      if (timer === undefined) return;
      const first = waiting[0]?.due ?? 0;
      ok(timer.due <= Math.max(first, clock.now));
    };
    const remove = (which: number) => {
      const [entry] = waiting.splice(which % waiting.length, 1);
      if (entry === undefined) return;
      deadlines.remove(entry.deadline);
      // A second time is without effect.
      deadlines.remove(entry.deadline);
    };
    const add = (ms: number, next?: 'add' | 'remove') => {
      const deadline = deadlines.add(ms, () => {
        const index = waiting.findIndex((entry) => entry.deadline === deadline);
        ok(index >= 0);
        // In order, and among those of the same time in any.
        equal(waiting[index]?.due, waiting[0]?.due);
        ok(deadline.due <= clock.now);
        waiting.splice(index, 1);
        if (next === 'add') add(ms);
        if (next === 'remove') remove(0);
      });
      equal(deadline.due, clock.now + ms);
      waiting.push({ due: deadline.due, deadline });
      waiting.sort((a, b) => a.due - b.due);
    };

    for (const one of commands) {
      if (one.type === 'add') add(one.ms, one.next);
      else if (one.type === 'remove') remove(one.which);
      else {
        clock.advance(one.ms, one.lateMs);
        if (one.lateMs === 0) ok((waiting[0]?.due ?? clock.now + 1) > clock.now);
      }
      check();
    }
  });
  fc.assert(property, { numRuns: 1_000 });
});

test('a timer that comes too early fires nothing, and comes again', () => {
  const clock = new Clock();
  const deadlines = new Deadlines(clock.env);
  let fired = 0;
  deadlines.add(10, () => {
    fired += 1;
  });
  const [timer] = clock.timers;
  clock.timers.clear();
  clock.now = 9.5;
  timer?.fn();
  expect(fired).toBe(0);
  clock.advance(1);
  expect(fired).toBe(1);
  expect(clock.timers.size).toBe(0);
});

// Deadlines that are due later stay in the heap without a timer, until another is added.
test('one that throws does not keep the others from firing', () => {
  const clock = new Clock();
  const deadlines = new Deadlines(clock.env);
  const fired: string[] = [];
  deadlines.add(1, () => {
    throw new Error('one of many');
  });
  deadlines.add(2, () => fired.push('second'));
  expect(() => clock.advance(1)).toThrow('one of many');
  clock.advance(5);
  expect(fired).toEqual(['second']);
});
