/** Modules that are evaluated anew after an edit, as by hot reloading, in a program of its own. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { ROOT, runScript, scratchFolder } from './helpers.ts';

const folder = scratchFolder();

/** Writes a module, and imports it; later again, with everything further down and to the right. */
const MAIN = `
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { WorkerPool } from 'skein';

const [file, by] = process.argv.slice(2);
const url = new URL(file, import.meta.url);
const isCommon = file.endsWith('.cjs');
const head = isCommon
  ? "const { routine, registerClass } = require('skein');"
  : "import { routine, registerClass } from 'skein';";
const give = (name) => isCommon ? \`exports.\${name} = \${name};\` : \`export { \${name} };\`;
const text = (n) => \`\${head}
\${'// a line\\n'.repeat(n)}class Hot { constructor(n) { this.n = n } plus(n) { return this.n + n + \${n} } }
\${' '.repeat(n)}registerClass(Hot); routine.method(Hot.prototype, 'plus');
\${'const x = 1;\\n'.slice(0, n * 100)}const add = \${' '.repeat(n)}routine((x, y) => x + y + \${n});
\${give('Hot')} \${give('add')}\`;
const require = createRequire(import.meta.url);

async function load(n) {
  if (!isCommon) return import(by === 'query' ? \`\${url}?\${n}\` : url);
  const path = fileURLToPath(url);
  delete require.cache[path];
  return require(path);
}

let old;
for (const n of [0, 1, 1]) {
  writeFileSync(url, text(n));
  const { add, Hot } = await load(n);
  const pool = await WorkerPool.open({ size: 1 });
  const given = old === undefined ? undefined : await new old(1).plus(1);
  console.log(JSON.stringify([add.name, await add(1, 2), await new Hot(3).plus(4), given]));
  await pool.close();
  old ??= Hot;
}
`;

beforeAll(() => {
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules/skein'), 'dir');
  writeFileSync(join(folder, 'main.mjs'), MAIN);
});

test.each([
  ['an import with another query', 'hot.mjs', 'query'],
  ['a cleared cache of require', 'hot.cjs', 'cache'],
])('replaces its routines and classes: %s', async (_title, file, by) => {
  const { ended, stdout, stderr } = runScript(join(folder, 'main.mjs'), [`./${file}`, by]);
  expect({ code: await ended, stderr: stderr() }).toEqual({ code: 0, stderr: '' });
  const lines = stdout().trim().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    ['add', 3, 7, null],
    ['add', 4, 8, 3],
    ['add', 4, 8, 3],
  ]);
});

test('does not let one evaluation make two routines of one name', async () => {
  const file = join(folder, 'twice.mjs');
  writeFileSync(
    file,
    `import { routine } from 'skein';
     routine(() => 1, { name: 'same' });
     routine(() => 2, { name: 'same' });`,
  );
  writeFileSync(join(folder, 'twice-main.mjs'), "await import('./twice.mjs?1');");
  const { ended, stderr } = runScript(join(folder, 'twice-main.mjs'));
  expect(await ended).toBe(1);
  expect(stderr()).toContain("twice.mjs are called 'same' (lines 2 and 3)");
});
