/** Folders with files, for tests of packages. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';

/** Gives what makes folders with files, which are removed after the tests of the file that asks for it. */
export function forest(): (files: Record<string, unknown>) => string {
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'skein-tree-')));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  let trees = 0;
  return (files) => {
    trees += 1;
    const folder = join(scratch, String(trees));
    for (const [path, content] of Object.entries(files)) {
      const file = join(folder, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    }
    return folder;
  };
}
