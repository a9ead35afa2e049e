/** Networks for tests: multicast groups on the loopback interface that nobody else is in. */
import type { MulticastGroup } from '../../../src/discovery/adapters/lan-socket.ts';

export function privateGroup(): MulticastGroup {
  const random = (below: number) => Math.floor(Math.random() * below);
  return { ip: `239.77.${random(256)}.${random(256)}`, port: 20_000 + random(12_000) };
}
