/** A program whose pool finds local workers. Argument: their namespace. Prints how long it took, as JSON. */
import { LocalDiscovery, WorkerPool } from 'skein';
import { add } from '../routines.ts';

const started = performance.now();
const pool = await WorkerPool.open({ discovery: new LocalDiscovery(process.argv[2] ?? '') });
await add(1, 2);
process.stdout.write(JSON.stringify(performance.now() - started));
await pool.close();
