/** A process of the soak: runs the seeds that it is told, one after the other. */

import type { Report } from './jobs.ts';
import { runSchedule } from './schedule.ts';

process.on('message', (seed: number) => void run(seed));
process.on('disconnect', () => process.exit());

async function run(seed: number): Promise<void> {
  const { counts, simulatedMs, failure } = await runSchedule(seed);
  const report: Report = { seed, counts, simulatedMs, ...(failure && { failure }) };
  process.send?.(report);
}
