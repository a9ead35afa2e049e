/** Tables of pages in `docs/` that are made of rows which tests run. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Writes the tables into a page, between `<!-- rows: name -->` and `<!-- end of rows -->`; with the
 * argument `--check`, fails when they are not what stands there.
 *
 * @param page in `docs/`
 * @param tables by name
 * @param command that writes them
 * @throws when the page has no place for a table, or a place for one that there is not
 */
export function writeTables(
  page: string,
  tables: Readonly<Record<string, string>>,
  command: string,
): void {
  const file = join(import.meta.dirname, '../docs', page);
  const before = readFileSync(file, 'utf8');
  const missing = new Set(Object.keys(tables));
  const text = before.replaceAll(
    /(<!-- rows: (.+) -->\n)[\s\S]*?(<!-- end of rows -->)/g,
    (_all, begin: string, name: string, end: string) => {
      const table = tables[name];
      if (table === undefined) throw new Error(`docs/${page} has a table '${name}' without rows`);
      missing.delete(name);
      return `${begin}\n${table}\n${end}`;
    },
  );
  if (missing.size > 0)
    throw new Error(`docs/${page} has no place for: ${[...missing].join(', ')}`);

  if (!process.argv.includes('--check')) writeFileSync(file, text);
  else if (before !== text) {
    console.error(`docs/${page} is not what the rows give. Run: ${command}`);
    process.exitCode = 1;
  }
}

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.map(escaped).join(' | ')} |\n`).join('');
}

function escaped(cell: string): string {
  return cell.replaceAll('|', '\\|');
}
