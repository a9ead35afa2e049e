/** What every discovery promises, of each of ours. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { DnsDiscovery, type Resolver } from '../../../src/discovery/adapters/dns.ts';
import { LocalDiscovery } from '../../../src/discovery/adapters/local.ts';
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

function local(): DiscoveryHarness {
  const folder = mkdtempSync(join(tmpdir(), 'skein-contract-'));
  const opened: LocalDiscovery[] = [];
  return {
    open: () => {
      const discovery = new LocalDiscovery('contract', { folder });
      opened.push(discovery);
      return discovery;
    },
    [Symbol.asyncDispose]: async () => {
      for (const discovery of opened) await discovery[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
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

describe('LocalDiscovery', () => {
  test.each(discoveryContract)('$name', ({ run }) => run(local));
});

describe('DnsDiscovery', () => {
  test.each(readOnlyDiscoveryContract)('$name', ({ run }) => run(dns));
});
