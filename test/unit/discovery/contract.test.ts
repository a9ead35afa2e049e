/** What every discovery promises, of each of ours. */
import { describe, test } from 'vitest';
import {
  type DiscoveryHarness,
  discoveryContract,
  MemoryDiscovery,
} from '../../../src/testing/index.ts';

function memory(): DiscoveryHarness {
  const discovery = new MemoryDiscovery();
  return { open: () => discovery };
}

describe('MemoryDiscovery', () => {
  test.each(discoveryContract)('$name', ({ run }) => run(memory));
});
