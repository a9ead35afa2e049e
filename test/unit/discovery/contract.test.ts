/** What every discovery promises, of each of ours. */
import { describe, test } from 'vitest';
import { DnsDiscovery, type Resolver } from '../../../src/discovery/adapters/dns.ts';
import {
  type DiscoveryHarness,
  discoveryContract,
  MemoryDiscovery,
  readOnlyDiscoveryContract,
} from '../../../src/testing/index.ts';

function memory(): DiscoveryHarness {
  const discovery = new MemoryDiscovery();
  return { open: () => discovery };
}

function dns(): DiscoveryHarness {
  const addresses = new Set<string>();
  const host = (address: string) => new URL(address.replace('tcp:', 'http:')).hostname;
  const nothing = async () => [];
  const resolver: Resolver = {
    resolve4: async () => [...addresses],
    resolve6: nothing,
    resolveSrv: nothing,
    lookup: nothing,
  };
  return {
    open: () => new DnsDiscovery('workers.test', { port: 4000, interval: 100, resolver }),
    put: ({ address }) => void addresses.add(host(address)),
    drop: ({ address }) => void addresses.delete(host(address)),
  };
}

describe('MemoryDiscovery', () => {
  test.each(discoveryContract)('$name', ({ run }) => run(memory));
});

describe('DnsDiscovery', () => {
  test.each(readOnlyDiscoveryContract)('$name', ({ run }) => run(dns));
});
