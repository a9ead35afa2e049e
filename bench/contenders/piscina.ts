/** A pool of threads instead of processes: nothing crosses a socket. One thread, as one worker. */
import { Piscina } from 'piscina';
import type { Contender } from './contender.ts';

/**
 * By default a thread gets one task at a time, and each waits until both threads have had a turn.
 * What skein is compared with lets the thread take all that is in flight, and keeps no times.
 */
const tuned = { concurrentTasksPerWorker: 4096, recordTiming: false };

export async function openPiscina(options: 'tuned' | 'defaults'): Promise<Contender> {
  const pool = new Piscina({
    filename: new URL('./piscina-worker.js', import.meta.url).href,
    name: 'add',
    minThreads: 1,
    maxThreads: 1,
    ...(options === 'tuned' ? tuned : {}),
  });
  return { call: () => pool.run({ x: 1, y: 2 }) };
}
