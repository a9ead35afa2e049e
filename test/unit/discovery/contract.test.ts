/** What every discovery promises, of each of ours. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { DnsDiscovery, type Resolver } from '../../../src/discovery/adapters/dns.ts';
import { LanDiscovery } from '../../../src/discovery/adapters/lan.ts';
import { LocalDiscovery } from '../../../src/discovery/adapters/local.ts';
import {
  type DiscoveryHarness,
  discoveryContract,
  MemoryDiscovery,
  readOnlyDiscoveryContract,
} from '../../../src/testing/index.ts';
import { privateGroup } from './lan-group.ts';

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

function lan(): DiscoveryHarness {
  const group = privateGroup();
  const opened: LanDiscovery[] = [];
  return {
    open: () => {
      const discovery = new LanDiscovery('contract', { group, interfaces: ['127.0.0.1'] });
      opened.push(discovery);
      return discovery;
    },
    [Symbol.asyncDispose]: async () => {
      for (const discovery of opened) await discovery[Symbol.asyncDispose]();
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

describe('LanDiscovery', () => {
  test.each(discoveryContract)('$name', ({ run }) => run(lan));
});

describe('DnsDiscovery', () => {
  test.each(readOnlyDiscoveryContract)('$name', ({ run }) => run(dns));
});
