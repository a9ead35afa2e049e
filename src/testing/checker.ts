/** What a checker is. */
import { formatEvent, type Trace, type TraceEvent } from './trace.ts';
import type { TraceIndex } from './trace-index.ts';

/** A promise of the runtime that a trace breaks. */
export interface Violation {
  /** The name of the checker that found it. */
  readonly checker: string;
  readonly message: string;
  /** Simulated milliseconds. */
  readonly at: number;
  /** The evidence. */
  readonly events: readonly TraceEvent[];
}

/** Holds a trace against one promise of the runtime. */
export interface Checker {
  readonly name: string;
  /** What it checks, in one sentence. */
  readonly promise: string;
  check(trace: Trace): Violation[];
}

/** A checker as it is written: with an index that all share. */
export interface Rule {
  readonly name: string;
  readonly promise: string;
  find(index: TraceIndex): Iterable<Finding>;
}

export interface Finding {
  readonly message: string;
  readonly events: readonly TraceEvent[];
}

/** A violation as text: what was broken, and the events that show it. */
export function formatViolation({ checker, message, events }: Violation): string {
  return [`${checker}: ${message}`, ...events.map((event) => `  ${formatEvent(event)}`)].join('\n');
}

/** A moment, as messages say it. */
export function time(at: number): string {
  return `${at.toFixed(3)} ms`;
}
