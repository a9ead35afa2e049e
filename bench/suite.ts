/** What a suite is given, and what it gives. */
import type { Summary } from './measure.ts';

export interface SuiteOptions {
  /** Fewer and shorter rounds: to see that it works, not to quote. */
  readonly quick: boolean;
  /** The folder of the built benchmark; children start from it. */
  readonly built: URL;
  /** Says what is going on. */
  progress(what: string): void;
}

export interface Figure extends Summary {
  /** What was measured, and of whom. */
  readonly what: string;
  readonly of: string;
  readonly unit: string;
  /** Further values of the same measurement, by name: a p99, say. */
  readonly more?: Readonly<Record<string, number>>;
}

export interface Target extends Summary {
  readonly what: string;
  readonly unit: string;
  /** The median must be at least, at most or below this. */
  readonly wanted:
    | { readonly least: number }
    | { readonly most: number }
    | { readonly below: number };
}

export interface Failure {
  readonly what: string;
  readonly reason: string;
}

/** What one measurement adds to the report. */
export interface Results {
  readonly title: string;
  readonly notes: readonly string[];
  readonly figures: readonly Figure[];
  readonly targets: readonly Target[];
  readonly failures: readonly Failure[];
}

export interface Measurement {
  readonly name: string;
  readonly about: string;
  run(options: SuiteOptions): Promise<Results>;
}

export interface Suite {
  readonly name: string;
  readonly about: string;
  readonly measurements: readonly Measurement[];
}

export function met({ median, wanted }: Target): boolean {
  if ('least' in wanted) return median >= wanted.least;
  if ('most' in wanted) return median <= wanted.most;
  return median < wanted.below;
}
