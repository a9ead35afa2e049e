/** How long checking takes: it is measured where no other test shares the process or the machine. */
import { expect, test } from 'vitest';
import { check } from '../../src/testing/checkers.ts';
import type { TraceEvent } from '../../src/testing/trace.ts';
import { finished, given, packet, WORKER } from '../unit/testing/events.ts';

test('checking a trace takes time in proportion to its length', () => {
  const one = [...given(...finished), packet(4, WORKER, 3.5), packet(6, WORKER, 5)];
  const traceOf = (calls: number) =>
    Array.from({ length: calls }, (_, i) =>
      one.map((event): TraceEvent => {
        const moved = { ...event, at: event.at + i * 10 };
        if (moved.type === 'packet') return { ...moved, sent: moved.sent + i * 10 };
        return 'id' in moved ? { ...moved, id: `caller-1:${i}` } : moved;
      }),
    ).flat();
  const timeOf = (trace: readonly TraceEvent[]) => {
    const times = Array.from({ length: 5 }, () => {
      const fresh = [...trace];
      const before = process.cpuUsage();
      expect(check(fresh)).toEqual([]);
      // Only their sum is exact: the kernel guesses what part of it was the user's.
      const { user, system } = process.cpuUsage(before);
      return user + system;
    });
    return Math.min(...times);
  };
  // Ten times the calls; with a search for each of them it would be a hundred times the time.
  expect(timeOf(traceOf(30_000)) / timeOf(traceOf(3_000))).toBeLessThan(60);
});
