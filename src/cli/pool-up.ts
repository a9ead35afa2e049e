/** `skein pool up`: a durable pool, here or in the background. */
import { readAuthkey } from './authkey.ts';
import { detach } from './detach.ts';
import { paint, print } from './output.ts';
import { supervise, type UpFlags, type UpReport } from './supervise.ts';

/** Resolves to the exit code: when the pool has ended, or, detached, when it is up. */
export async function poolUp(
  given: UpFlags,
  secret: string | undefined,
  natsServers: string | undefined,
): Promise<number> {
  const flags = { ...given, natsServers };
  const authkey = await readAuthkey(flags.authkey, secret);
  if (!flags.detach) return await supervise(flags, authkey, sayUp);
  const { report, log } = await detach(flags, authkey);
  await sayUp(report);
  await print(`it runs in the background (process ${report.pid}), and writes to ${log}`);
  return 0;
}

async function sayUp({ address, workers }: UpReport): Promise<void> {
  const count = workers === 1 ? '1 worker' : `${workers} workers`;
  await print(`pool with ${count} answers at ${paint('cyan', address)}`);
}
