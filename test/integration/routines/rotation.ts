/** What is called while certificates are replaced. */
import { routine } from '../../../src/index.ts';

/** Runs again where its worker was killed. */
export const whereabouts = routine(async () => process.pid, { idempotent: true });

export const count = routine(async function* (): AsyncGenerator<number, void> {
  for (let i = 0; ; i += 1) yield i;
});
