/** Runs the rows of the tables in docs/context.md on real workers. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fork } from '../../src/index.ts';
import { groups } from '../context/table/index.ts';
import { outside } from '../context/table/row.ts';
import { ROOT } from './helpers.ts';
import { WorkerPool } from './runtime.ts';

const rows = groups.flatMap((group) => group.rows);

let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 2 });
});
afterAll(() => pool.close());

describe.each(groups.map((group) => [group.title, group.rows] as const))('%s', (_title, list) => {
  test.each(list.map((row) => [row.id, row.situation, row] as const))(
    '%s: %s',
    async (_id, _situation, row) => {
      expect(await outside(async () => await fork(() => row.run(pool)))).toEqual(row.gives);
    },
  );
});

test('each row has an id of its own', () => {
  const ids = rows.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

const python = spawnSync('python3', ['-c', 'import asyncio; asyncio.timeout']);

test.runIf(python.status === 0)('Python does what the rows say of it', () => {
  const file = join(ROOT, 'test/context/table/python.py');
  const { stdout, stderr } = spawnSync('python3', [file], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(stdout.split('\n').filter(Boolean)).toEqual(
    rows.filter((row) => row.python !== undefined).map(({ id }) => id),
  );
});
