/** Statistics, and the one loop that drives every contender. */

/** The value below which the share `q` of `values` lies. */
export function quantile(values: ArrayLike<number>, q: number): number {
  const sorted = Float64Array.from(values).sort();
  if (sorted.length === 0) return Number.NaN;
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)]!;
  const high = sorted[Math.ceil(at)]!;
  return low + (high - low) * (at - Math.floor(at));
}

/** What is left of several rounds. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

export function summarize(values: readonly number[]): Summary {
  return {
    median: quantile(values, 0.5),
    min: quantile(values, 0),
    max: quantile(values, 1),
    rounds: values.length,
  };
}

/**
 * The ratio of two contenders, round by round. Both of a pair ran within seconds of each other, so
 * what the machine did besides weighs on both, and the ratio is steadier than its parts.
 */
export function ratio(of: readonly number[], to: readonly number[]): Summary {
  const rounds = Math.min(of.length, to.length);
  return summarize(Array.from({ length: rounds }, (_, i) => of[i]! / to[i]!));
}

/** The difference of two contenders, round by round. */
export function difference(of: readonly number[], from: readonly number[]): Summary {
  const rounds = Math.min(of.length, from.length);
  return summarize(Array.from({ length: rounds }, (_, i) => of[i]! - from[i]!));
}

export interface Slice {
  readonly calls: number;
  readonly ms: number;
  readonly callsPerSecond: number;
  /** Microseconds from the call to its result. */
  readonly p50: number;
  readonly p99: number;
}

/** Of many calls in flight, one in this many is timed and looks at the clock. */
const sampling = 16;
const maxSamples = 1 << 16;

/**
 * Keeps `inFlight` calls in flight, and counts those that end within a window of at least `ms`.
 *
 * The window opens after as many calls as are in flight have ended, and stays open until at least as
 * many again have ended, so that neither the start nor a contender that answers in bursts counts.
 * The end is seen by looking at the clock: piscina's busy main thread starves timers.
 */
export async function drive(
  call: () => Promise<unknown>,
  inFlight: number,
  ms: number,
): Promise<Slice> {
  const every = inFlight < sampling ? 1 : sampling;
  const samples = new Float64Array(maxSamples);
  let sampled = 0;
  let ended = 0;
  let opened: { readonly at: number; readonly ended: number } | undefined;
  let closed: { readonly at: number; readonly ended: number } | undefined;

  function look(started: number): void {
    const now = performance.now();
    if (closed) return;
    if (!opened) {
      if (ended >= inFlight) opened = { at: now, ended };
      return;
    }
    if (sampled < maxSamples) samples[sampled++] = now - started;
    if (now - opened.at >= ms && ended - opened.ended >= inFlight) closed = { at: now, ended };
  }

  let begun = 0;
  let failed = false;
  async function lane(): Promise<void> {
    try {
      while (!closed && !failed) {
        if (begun++ % every === 0) {
          const started = performance.now();
          await call();
          ended++;
          look(started);
        } else {
          await call();
          ended++;
        }
      }
    } catch (error) {
      failed = true;
      throw error;
    }
  }

  await Promise.all(Array.from({ length: inFlight }, lane));
  const calls = closed!.ended - opened!.ended;
  const elapsed = closed!.at - opened!.at;
  const latencies = samples.subarray(0, sampled);
  return {
    calls,
    ms: elapsed,
    callsPerSecond: (calls / elapsed) * 1000,
    p50: quantile(latencies, 0.5) * 1000,
    p99: quantile(latencies, 0.99) * 1000,
  };
}

/** Another order each round, so that nothing always runs after the same thing. */
export function rotated<T>(items: readonly T[], round: number): readonly T[] {
  const by = round % items.length;
  return [...items.slice(by), ...items.slice(0, by)];
}
