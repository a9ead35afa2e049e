/** Calls workers of the local network. */
import { readFileSync } from 'node:fs';
import { LanDiscovery, WorkerPool } from 'skein';
import { whereabouts } from './routines.ts';

// The command leaves out the line's end, too.
const authkey = readFileSync('key', 'utf8').trimEnd();
await using pool = await WorkerPool.open({ discovery: () => new LanDiscovery('my-app'), authkey });
// Each as it comes: there may be a first worker before there are all.
const calls = Array.from({ length: 8 }, () => whereabouts.on(pool)());
for (const call of calls) console.log(await call);
