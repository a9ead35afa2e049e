/** The networks that this machine is in, and which hosts others can reach. */
import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** What is needed of those that `os.networkInterfaces` gives. */
interface Listed {
  readonly address: string;
  readonly netmask: string;
  readonly family: string;
  readonly internal: boolean;
}

export type ListInterfaces = () => Readonly<Record<string, readonly Listed[] | undefined>>;

/** An IPv4 address of this machine. */
export interface Interface {
  /** As the system names it, e.g. `eth0`. */
  readonly name: string;
  readonly address: string;
  readonly netmask: string;
  readonly internal: boolean;
}

/** One for each interface that is up, the loopback interface included. */
export function listInterfaces(list: ListInterfaces = networkInterfaces): Interface[] {
  return Object.entries(list()).flatMap(([name, addresses = []]) => {
    const found = addresses.find(({ family }) => family === 'IPv4');
    return found === undefined ? [] : [{ name, ...found }];
  });
}

/** Whether a listener there takes what is sent to any address of the machine, and nobody can send to it. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || (isIP(host) === 6 && /^[0:]+$/.test(host));
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether it can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return /^(.+\.)?localhost$/i.test(host);
  return loopback.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

/**
 * An address of this machine that others can reach: the first that is not for this machine alone, or
 * 127.0.0.1 where there is no network.
 */
export function routableHost(list: ListInterfaces = networkInterfaces): string {
  const external = Object.values(list()).flatMap((addresses = []) =>
    addresses.filter(({ internal }) => !internal),
  );
  const v4 = external.find(({ family }) => family === 'IPv4');
  // An address that begins with fe80 says nothing without the interface.
  const v6 = external.find(({ family, address }) => family === 'IPv6' && !/^fe80:/i.test(address));
  return (v4 ?? v6)?.address ?? '127.0.0.1';
}

/** Whether a packet from there was sent on the interface's own network. */
export function isOnLink({ address, netmask }: Interface, source: string): boolean {
  const mask = bits(netmask);
  // A network of one address says nothing of who else is there.
  return mask === 0xffffffff || (bits(address) & mask) === (bits(source) & mask);
}

function bits(address: string): number {
  return address.split('.').reduce((bits, part) => ((bits << 8) | Number(part)) >>> 0, 0);
}
