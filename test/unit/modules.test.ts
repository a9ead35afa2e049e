/** What may be imported because somebody else names it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { loadModule } from '../../src/routine/modules.ts';
import { lookup, register } from '../../src/routine/registry.ts';
import { findNamed, registerName } from '../../src/wire/names.ts';

const folder = mkdtempSync(join(tmpdir(), 'skein-modules-'));
afterAll(() => rmSync(folder, { recursive: true }));

const evaluated = globalThis as { evaluated?: string[] };
evaluated.evaluated = [];

/** A module that says when it is evaluated. */
function moduleAt(name: string): string {
  const file = join(folder, name);
  writeFileSync(file, 'globalThis.evaluated.push(import.meta.url);\n');
  return pathToFileURL(file).href;
}

test('a file is imported once', async () => {
  const module = moduleAt('once.mjs');
  await Promise.all([loadModule(module), loadModule(module)]);
  await loadModule(module);
  expect(evaluated.evaluated).toEqual([module]);
});

test.each([
  ['a query', `${moduleAt('again.mjs')}?again`],
  ['a fragment', `${moduleAt('again.mjs')}#again`],
  ['another way to write it', moduleAt('again.mjs').replace('again', 'x/../again')],
  ['a host', moduleAt('again.mjs').replace('file://', 'file://elsewhere')],
  ['another scheme', 'data:text/javascript,globalThis.evaluated.push(1)'],
  ['a module of Node', 'node:fs'],
  ['no URL', '/tmp/module.mjs'],
  ['a folder', pathToFileURL(folder).href],
  ['a device', 'file:///dev/zero'],
])('%s is refused', async (_what, module) => {
  const before = [...(evaluated.evaluated as string[])];
  await expect(loadModule(module)).rejects.toThrow('only modules that are files');
  expect(evaluated.evaluated).toEqual(before);
});

test('a module that fails to load takes nothing away that was there before', async () => {
  const module = pathToFileURL(join(folder, 'gone.mjs')).href;
  const value = () => {};
  const site = { module, line: 1, column: 1 };
  registerName({ kind: 'class', module, name: 'There' }, value);
  register({ module, name: 'there', generator: false, fn: value, site });
  await expect(loadModule(module)).rejects.toThrow('gone.mjs');
  expect(findNamed({ kind: 'class', module, name: 'There' })).toBe(value);
  expect(lookup(module, 'there')?.fn).toBe(value);
});

test('what it made before it failed is not found', async () => {
  const file = join(folder, 'fails.mjs');
  const index = new URL('../../src/index.ts', import.meta.url).href;
  writeFileSync(
    file,
    `import { registerClass } from ${JSON.stringify(index)};
     registerClass(class Half {}, { module: import.meta.url });
     throw new Error('half-way');`,
  );
  const module = pathToFileURL(file).href;
  await expect(loadModule(module)).rejects.toThrow('half-way');
  expect(findNamed({ kind: 'class', module, name: 'Half' })).toBe(undefined);
});

test.each([
  ['URL', true],
  ['package', false],
])(
  'a module is found by its URL and its package, asked for by its %s first',
  async (_which, first) => {
    const place = join(folder, `both-${first}`);
    mkdirSync(place);
    writeFileSync(join(place, 'package.json'), JSON.stringify({ name: `both-${first}` }));
    const index = new URL('../../src/index.ts', import.meta.url).href;
    writeFileSync(
      join(place, 'both.mjs'),
      `import { registerClass, routine } from ${JSON.stringify(index)};
     registerClass(class Both {}, { module: import.meta.url });
     routine(async () => {}, { name: 'both', module: import.meta.url });`,
    );
    const names = [pathToFileURL(join(place, 'both.mjs')).href, `both-${first}/both.mjs`];
    const policy = { root: place, files: true };
    for (const module of first ? names : names.reverse()) {
      await loadModule(module, policy);
      expect(lookup(module, 'both')).toBeDefined();
      expect(findNamed({ kind: 'class', module, name: 'Both' })).toBeDefined();
    }
  },
);
