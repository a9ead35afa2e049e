/** Calls workers of the local network, as they are found. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { LanDiscovery, WorkerPool } from 'skein';
import { whereabouts } from './routines.ts';

// The command leaves out the line's end, too.
const authkey = readFileSync('key', 'utf8').trimEnd();
await using pool = await WorkerPool.open({ discovery: () => new LanDiscovery('my-app'), authkey });
for (let call = 0; call < 8; call += 1) {
  console.log(await whereabouts.on(pool)());
  await sleep(250);
}
