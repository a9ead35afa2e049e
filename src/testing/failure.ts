/** What a simulation throws when something is wrong. */
import { formatViolation, type Violation } from './checker.ts';
import type { Trace } from './trace.ts';

export interface FailureDetails {
  readonly seed: number;
  readonly trace: Trace;
  readonly violations: readonly Violation[];
  /** What the program failed with. */
  readonly cause?: unknown;
}

/** So many violations are told in the message; the rest are counted. */
const TOLD = 5;

/**
 * A promise of the runtime was broken, or the simulated program failed or did not end. The message says
 * which seed shows it again.
 */
export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure';
  readonly seed: number;
  /** What happened until then. */
  declare readonly trace: Trace;
  declare readonly violations: readonly Violation[];

  constructor(what: string, details: FailureDetails) {
    const { seed, trace, violations } = details;
    const more = violations.length - TOLD;
    const lines = [
      what,
      `Replay: the same options with seed ${seed}.`,
      ...violations.slice(0, TOLD).map(formatViolation),
      ...(more > 0 ? [`and ${more} more`] : []),
    ];
    super(lines.join('\n'), 'cause' in details ? { cause: details.cause } : undefined);
    this.seed = seed;
    // Not for the eyes of those who print the error.
    Object.defineProperties(this, { trace: { value: trace }, violations: { value: violations } });
  }
}
