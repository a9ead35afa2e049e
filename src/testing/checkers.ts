/** The promises of the runtime, each as a checker that holds a trace of a simulation against it. */
import { callRules } from './call-checkers.ts';
import type { Checker, Rule, Violation } from './checker.ts';
import { processRules } from './process-checkers.ts';
import { taskRules } from './task-checkers.ts';
import type { Trace } from './trace.ts';
import { TraceIndex } from './trace-index.ts';

export type { Checker, Violation } from './checker.ts';

const indexes = new WeakMap<Trace, { readonly length: number; readonly index: TraceIndex }>();

/** All checkers of the same trace share its index, unless it has grown since. */
function indexOf(trace: Trace): TraceIndex {
  const known = indexes.get(trace);
  if (known?.length === trace.length) return known.index;
  const index = new TraceIndex(trace);
  indexes.set(trace, { length: trace.length, index });
  return index;
}

function toChecker({ name, promise, find }: Rule): Checker {
  return {
    name,
    promise,
    check: (trace) =>
      [...find(indexOf(trace))].map(({ message, events }) => ({
        checker: name,
        message,
        at: events.at(-1)?.at ?? 0,
        events,
      })),
  };
}

/** All checkers. */
export const checkers: readonly Checker[] = [...taskRules, ...callRules, ...processRules].map(
  toChecker,
);

/** Holds a trace against all promises; what it breaks is in the order of time. */
export function check(trace: Trace): Violation[] {
  return checkers.flatMap((checker) => checker.check(trace)).sort((a, b) => a.at - b.at);
}
