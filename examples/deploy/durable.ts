/** Calls the workers of a durable pool that `skein pool up` has started on a machine. */
import { readFileSync } from 'node:fs';
import { WorkerPool } from 'skein';
import { whereabouts } from './routines.ts';

const authkey = readFileSync('key', 'utf8').trimEnd();
const [host = '127.0.0.1'] = process.argv.slice(2);
await using pool = await WorkerPool.connect({ host, port: 7411, authkey });
console.log(await whereabouts.on(pool)());
