import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { poolFolder } from '../../src/worker/sockets.ts';

test('a worker removes no folder but one that a pool makes for sockets', () => {
  const own = join(tmpdir(), 'skein-aB3xYz');
  expect(poolFolder(own)).toBe(own);
  for (const other of [undefined, '', '/', tmpdir(), '/home/me', 'skein-aB3xYz', join(own, 'x')]) {
    expect(poolFolder(other)).toBeUndefined();
  }
  expect(poolFolder(join(tmpdir(), 'skein-worker-aB3xYz'))).toBeUndefined();
  expect(poolFolder(join(tmpdir(), 'skein-0'))).toBeUndefined();
});
