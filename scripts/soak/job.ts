/** A process of the soak: runs what it is told, one after the other. */
import type { Order, Report, TrialKind, TrialOrder, TrialReport } from './jobs.ts';
import { type Kinds, runSchedule } from './schedule.ts';

process.on('message', (order: Order) => {
  void ('kind' in order ? tryAll(order) : run(order.seed, order.kinds));
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

/** Tries so many, from a seed on; gives the first that fails. */
type Try = (seed: number, count: number) => Promise<Found | undefined> | Found | undefined;

interface Found {
  readonly seed: number;
  readonly text: string;
}

/** They make what they try when they load. */
const tries: Readonly<Record<TrialKind, () => Promise<Try>>> = {
  mutations: async () => (await import('../../test/property/wire/mutation.ts')).tryMutations,
  scripts: async () => (await import('../../test/context/trial.ts')).tryScripts,
};

async function tryAll({ kind, seed, count }: TrialOrder): Promise<void> {
  const found = await (await tries[kind]())(seed, count);
  const report: TrialReport = {
    tried: count,
    ...(found && { failure: { kind, count: 1, ...found } }),
  };
  process.send?.(report, () => {});
}
