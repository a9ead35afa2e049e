/** A process of the soak: runs the seeds that it is told, one after the other. */

import type { Order, Report } from './jobs.ts';
import { type Kinds, runSchedule } from './schedule.ts';

process.on('message', ({ seed, kinds }: Order) => void run(seed, kinds));
process.on('disconnect', () => process.exit());
// Ctrl-C on a terminal goes to the parent too, which ends this one.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => {});

async function run(seed: number, kinds: Kinds): Promise<void> {
  const { counts, simulatedMs, failure } = await runSchedule(seed, kinds);
  const report: Report = { seed, counts, simulatedMs, ...(failure && { failure }) };
  // The parent may be gone; 'disconnect' tells.
  process.send?.(report, () => {});
}
