/** `skein ping`, `skein pool ls` and `skein pool down`: what is asked of a durable pool. */
import { ControlClient } from '../control/client.ts';
import type { ListedWorker } from '../control/workers.ts';
import { plain } from '../wire/plain.ts';
import { readAuthkey } from './authkey.ts';
import { type CredentialFlags, credentialsOf } from './credentials.ts';
import { checked } from './failure.ts';
import { given } from './given.ts';
import { duration, paint, print, say, tableOf } from './output.ts';

export interface PoolFlags extends CredentialFlags {
  readonly host?: string;
  readonly port?: number;
  readonly authkey?: string;
  readonly json?: boolean;
  readonly wait?: number;
}

export async function ping(flags: PoolFlags, secret: string | undefined): Promise<number> {
  const client = await clientOf(flags, secret);
  const began = performance.now();
  const { version, uptime, workers, host, pid } = await client.ping();
  const ms = performance.now() - began;
  if (flags.json) {
    const { address } = client;
    await print(JSON.stringify({ address, version, uptime, workers, host, pid, ms }));
  } else {
    const count = workers === 1 ? '1 worker' : `${workers} workers`;
    await print(
      `${paint('cyan', client.address)} has ${count}, up for ${duration(uptime)} ` +
        `(skein ${plain(version)}, process ${pid} on ${plain(host)}), answered in ${ms.toFixed(1)} ms`,
    );
  }
  return 0;
}

export async function poolList(flags: PoolFlags, secret: string | undefined): Promise<number> {
  const client = await clientOf(flags, secret);
  const workers = await client.list();
  if (flags.json) {
    // Who has the address of a beat can end its worker.
    const shown = workers.map(({ beat: _beat, ...rest }) => rest);
    await print(JSON.stringify(shown, undefined, 2));
    return 0;
  }
  const head = ['WORKER', 'ADDRESS', 'TAGS', 'IN FLIGHT', 'IDLE', 'UPTIME', 'RESTARTS', 'PID'];
  await print(tableOf(head, workers.map(rowOf)));
  return 0;
}

function rowOf(worker: ListedWorker): string[] {
  const { uid, address, tags = [], pid, restarts, inFlight, idleTime, uptime } = worker;
  const state = worker.stalled ? 'busy' : worker.draining ? `${inFlight}, draining` : `${inFlight}`;
  const idle = worker.stalled || inFlight > 0 ? '-' : duration(idleTime);
  const up = worker.stalled ? '-' : duration(uptime);
  const labels = tags.length === 0 ? '-' : tags.join(', ');
  return [uid.slice(0, 8), address, labels, state, idle, up, `${restarts}`, `${pid ?? '-'}`];
}

export async function poolDown(flags: PoolFlags, secret: string | undefined): Promise<number> {
  const client = await clientOf(flags, secret);
  let waiting: NodeJS.Timeout | undefined;
  const wait = () => {
    waiting = setTimeout(
      () => say('waiting for tasks that run (see skein pool down --wait)'),
      1_000,
    );
  };
  try {
    await client.down(flags.wait, wait);
  } finally {
    clearTimeout(waiting);
  }
  await print(`the pool at ${paint('cyan', client.address)} has ended`);
  return 0;
}

async function clientOf(flags: PoolFlags, secret: string | undefined): Promise<ControlClient> {
  const authkey = await readAuthkey(flags.authkey, secret);
  const { host, port } = flags;
  const options = given({ host, port, authkey, credentials: credentialsOf(flags) });
  return checked('--host, --port', () => new ControlClient(options));
}
