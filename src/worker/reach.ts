/** Where others reach what listens here. */
import { isWildcard, routableHost } from '../discovery/adapters/interfaces.ts';
import { formatAddress, parseAddress } from '../transport/address.ts';

/** Whether a listener on this host takes what is sent to any address of the machine. */
export { isWildcard };

const BEAT = /^(beat\+)([^#]*)(#.*)?$/;

/**
 * The address that others use for one that something, or a beat, listens on: that of a wildcard host, which
 * nobody can dial, has an address of this machine in its place.
 */
export function reachable(address: string): string {
  const [, prefix = '', target = address, token = ''] = BEAT.exec(address) ?? [];
  if (!target.startsWith('tcp:')) return address;
  const parsed = parseAddress(target);
  if (parsed.scheme !== 'tcp' || !isWildcard(parsed.host)) return address;
  return `${prefix}${formatAddress({ ...parsed, host: routableHost() })}${token}`;
}
