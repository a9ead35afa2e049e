/**
 * Writes the tables of `docs/values.md` from the rows in `test/values/rows/`, which
 * `test/integration/values.test.ts` sends through a real worker.
 *
 *     node --import tsx scripts/values.ts [--check]
 *
 * `--check` writes nothing and fails when the committed page is not what the rows give.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Group, nameOf, type RefusedRow } from '../test/values/row.ts';
import { groups, refused } from '../test/values/rows/index.ts';

const page = join(import.meta.dirname, '../docs/values.md');

/** What stands between `<!-- rows: name -->` and `<!-- end of rows -->`, by name. */
const tables: Readonly<Record<string, string>> = {
  ...Object.fromEntries(groups.map((group) => [group.title, tableOf(group)])),
  [refused.title]: tableOfRefused(refused),
};

const before = readFileSync(page, 'utf8');
const missing = new Set(Object.keys(tables));
const text = before.replaceAll(
  /(<!-- rows: (.+) -->\n)[\s\S]*?(<!-- end of rows -->)/g,
  (_all, begin: string, name: string, end: string) => {
    const table = tables[name];
    if (table === undefined) throw new Error(`docs/values.md has a table '${name}' without rows`);
    missing.delete(name);
    return `${begin}\n${table}\n${end}`;
  },
);
if (missing.size > 0)
  throw new Error(`docs/values.md has no place for: ${[...missing].join(', ')}`);

if (!process.argv.includes('--check')) writeFileSync(page, text);
else if (before !== text) {
  console.error('docs/values.md is not what the rows give. Run: npm run values');
  process.exitCode = 1;
}

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

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.map(escaped).join(' | ')} |\n`).join('');
}

function escaped(cell: string): string {
  return cell.replaceAll('|', '\\|');
}
