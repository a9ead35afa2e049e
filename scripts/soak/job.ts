/** A process of the soak: runs what it is told, one after the other. */
import type { MutationOrder, MutationReport, Order, Report } from './jobs.ts';
import { type Kinds, runSchedule } from './schedule.ts';

process.on('message', (order: Order) => {
  void ('mutations' in order ? mutate(order) : run(order.seed, order.kinds));
});
process.on('disconnect', () => process.exit());
// Ctrl-C on a terminal goes to the parent too, which ends this one.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => {});

async function run(seed: number, kinds: Kinds): Promise<void> {
  const { counts, simulatedMs, failure } = await runSchedule(seed, kinds);
  const report: Report = { seed, counts, simulatedMs, ...(failure && { failure }) };
  // The parent may be gone; 'disconnect' tells.
  process.send?.(report, () => {});
}

async function mutate({ seed, mutations }: MutationOrder): Promise<void> {
  // It makes the values that it damages when it loads.
  const { tryMutations } = await import('../../test/property/wire/mutation.ts');
  const found = tryMutations(seed, mutations);
  const report: MutationReport = {
    mutations,
    ...(found && { failure: { mutations: 1, ...found } }),
  };
  process.send?.(report, () => {});
}
