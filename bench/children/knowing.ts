/** A pool that knows the workers it is told of. Arguments: its load balancer, and the workers as JSON. */
import { leastLoaded, roundRobin, stickyByTag, WorkerPool } from 'skein';
import { serve } from '../ipc.ts';
import { drive, type Slice } from '../measure.ts';
import { add } from '../routines.ts';
import type { Listed } from './crowd.ts';

export type Knowing = { drive(inFlight: number, ms: number): Promise<Slice> };

const policies = { roundRobin, leastLoaded, stickyByTag };

serve(async ([policy = '', list = '[]']): Promise<Knowing> => {
  const workers: readonly Listed[] = JSON.parse(list);
  const discovery = {
    async *subscribe() {
      for (const worker of workers) yield { type: 'worker-added' as const, worker };
      await new Promise(() => {});
    },
  };
  const loadBalancer = policies[policy as keyof typeof policies]();
  const pool = await WorkerPool.open({ discovery, loadBalancer });
  // Only one policy looks at it: all calls of a tag go to one worker.
  const call = add.with({ pool, tag: 'bench' });
  // Until all links are up.
  await Promise.all(Array.from({ length: 2 * workers.length }, () => call(1, 2)));
  return { drive: (inFlight, ms) => drive(() => call(1, 2), inFlight, ms) };
});
