/** Ends the workers at these addresses that have had nothing to do for ten minutes, but for two. */
import { readFileSync } from 'node:fs';
import { stopWorker, workerStatus } from 'skein';

const IDLE_MS = 600_000;
const KEPT = 2;

const authkey = readFileSync('key', 'utf8').trimEnd();
const addresses = process.argv.slice(2);
// One that is busy may not answer, and one that does not answer is not idle.
const asked = addresses.map((address) =>
  workerStatus(address, { authkey, timeout: 2_000 }).then(
    (status) => [{ address, ...status }],
    () => [],
  ),
);
const idle = (await Promise.all(asked)).flat().filter(({ idleTime }) => idleTime > IDLE_MS);
idle.sort((one, other) => other.idleTime - one.idleTime);
for (const { address, uid } of idle.slice(0, Math.max(0, addresses.length - KEPT))) {
  console.log(`${uid} at ${address} ends`);
  // A task that has begun meanwhile comes to its end.
  await stopWorker(address, { authkey });
}
