/** LocalDiscovery on a system that tells nothing of changes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import type { LocalDiscovery } from '../../../src/discovery/adapters/local.ts';
import { discoveryContract } from '../../../src/testing/index.ts';

const watch = vi.hoisted(() => vi.fn());
vi.mock('node:fs', async (original) => ({ ...(await original<object>()), watch }));
watch.mockImplementation(() => {
  throw Object.assign(new Error('no more watches'), { code: 'ENOSPC' });
});
// Other files of this run have loaded it with the real one.
vi.resetModules();
const local = await import('../../../src/discovery/adapters/local.ts');

test.each(discoveryContract)('$name', async ({ run }) => {
  const opened: LocalDiscovery[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'skein-unwatched-'));
  await run(() => ({
    open: () => {
      const discovery = new local.LocalDiscovery('contract', { folder, pollInterval: 20 });
      opened.push(discovery);
      return discovery;
    },
    [Symbol.asyncDispose]: async () => {
      for (const discovery of opened) await discovery[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  }));
});

test('it was asked to', () => {
  expect(watch).toHaveBeenCalled();
});
