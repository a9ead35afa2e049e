/**
 * Writes the tables of `docs/values.md` from the rows in `test/values/rows/`, which
 * `test/integration/values.test.ts` sends through a real worker.
 *
 *     node --import tsx scripts/values.ts [--check]
 *
 * `--check` writes nothing and fails when the committed page is not what the rows give.
 */
import { type Group, nameOf, type RefusedRow } from '../test/values/row.ts';
import { groups, refused } from '../test/values/rows/index.ts';
import { table, writeTables } from './tables.ts';

writeTables(
  'values.md',
  {
    ...Object.fromEntries(groups.map((group) => [group.title, tableOf(group)])),
    [refused.title]: tableOfRefused(refused),
  },
  'npm run values',
);

function tableOf({ title, file, rows }: Group): string {
  return table(
    ['type', 'arrives as', 'on the wire', 'test'],
    rows.map((row) => [row.type, row.arrives ?? 'equal', row.wire, test(title, file, row)]),
  );
}

function tableOfRefused({ title, file, rows }: Group<RefusedRow>): string {
  return table(
    ['type', 'arrives as', 'test'],
    rows.map((row) => [row.type, row.arrives ?? `refused: ${row.advice}`, test(title, file, row)]),
  );
}

/** The name of the row's tests, and where its examples stand. */
function test(title: string, file: string, row: { readonly type: string }): string {
  return `[${title}: ${nameOf(row)}](../test/values/rows/${file})`;
}
