/**
 * Writes the tables of `docs/context.md` from the rows in `test/context/table/`, which
 * `test/integration/context.test.ts` runs on real workers.
 *
 *     node --import tsx scripts/context.ts [--check]
 *
 * `--check` writes nothing and fails when the committed page is not what the rows give.
 */
import { groups } from '../test/context/table/index.ts';
import type { Group } from '../test/context/table/row.ts';
import { table, writeTables } from './tables.ts';

writeTables(
  'context.md',
  Object.fromEntries(groups.map((group) => [group.title, tableOf(group)])),
  'npm run context',
);

function tableOf({ rows }: Group): string {
  return table(
    ['situation', 'Python', 'here', 'test'],
    rows.map(({ id, situation, python, here }) => [
      situation,
      python ?? 'has nothing like it',
      here,
      id,
    ]),
  );
}
