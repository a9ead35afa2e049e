/** Says behind all results what was left out, where it would be easy to miss. */
import { noNats } from './nats-server.ts';

export function teardown(): void {
  if (noNats === undefined) return;
  console.log(`\nSkipped: all tests over NATS, since ${noNats}.\n`);
}
