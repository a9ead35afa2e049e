/** How much memory this process holds. */
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
