/** How much memory this process holds. */
import { readFileSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/**
 * Bytes held after a garbage collection: the heap, and what lies outside of it (`external` counts
 * array buffers too). Needs no flag on the command line, so it works in any worker.
 */
export async function heldBytes(): Promise<number> {
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  // Twice, with a turn between: what the first one finds dead may free more.
  collect();
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Bytes of physical memory that this process has, after a garbage collection. */
export async function residentBytes(): Promise<number> {
  await heldBytes();
  return process.memoryUsage().rss;
}

/** Forgets the peak so far. Linux only. */
export function forgetPeak(): void {
  writeFileSync('/proc/self/clear_refs', '5');
}

/** The most bytes of physical memory that this process had since `forgetPeak`. Linux only. */
export function peakBytes(): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  if (kib === undefined) throw new Error('the system does not tell the peak of the memory');
  return Number(kib) * 1024;
}
