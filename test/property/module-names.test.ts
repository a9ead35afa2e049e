/** No name whatever has a worker that others reach import a file from outside of its root. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { nameOfModule, parseName, portable } from '../../src/routine/module-name.ts';
import { loadModule } from '../../src/routine/modules.ts';
import { locate, ModuleRefused } from '../../src/routine/whereabouts.ts';
import { codePoint } from './text.ts';

const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'skein-names-')));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const evaluated = globalThis as { evaluatedNames?: string[] };
evaluated.evaluatedNames = [];

function write(path: string, content = 'globalThis.evaluatedNames.push(import.meta.url);'): void {
  mkdirSync(dirname(join(scratch, path)), { recursive: true });
  writeFileSync(join(scratch, path), content);
}

const FOLDERS = ['', 'src/', 'lib/', 'node_modules/dep/', 'node_modules/@s/dep/'];
for (const around of ['', 'up/', 'up/root/', 'side/', 'root/']) {
  for (const folder of FOLDERS) write(`${around}${folder}x.mjs`);
  write(
    `${around}package.json`,
    JSON.stringify({ name: around === 'up/root/' ? 'app' : 'around' }),
  );
  for (const dep of ['dep', '@s/dep']) {
    write(`${around}node_modules/${dep}/package.json`, JSON.stringify({ name: dep }));
  }
}
const root = join(scratch, 'up/root');
// Ways out, and ways in by another name.
const links: Record<string, string> = {
  out: '..',
  top: '../..',
  'src/out': '../..',
  'x-out.mjs': '../x.mjs',
  'node_modules/around': '../..',
  'node_modules/side': '../../../side',
  'node_modules/@s/out': '../../../..',
  'node_modules/app': '..',
  'node_modules/dep/up': '../../..',
  abs: scratch,
  etc: '/etc',
};
for (const [path, target] of Object.entries(links)) symlinkSync(target, join(root, path));

const policy = { root, files: false };
const steps = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('app', 'dep', '@s', 'src', 'lib', 'x.mjs', 'x-out.mjs') },
  {
    weight: 4,
    arbitrary: fc.constantFrom('out', 'top', 'abs', 'etc', 'up', 'root', 'side', 'around'),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('..', '.', '', '...', '..;', '.. ', '%2e%2e', '..%2f', '~'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('node_modules', 'NODE_MODULES', 'APP', 'X.MJS', 'package.json'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '\0',
      '\\',
      '..\\..',
      'C:',
      'file:',
      'x.mjs?y',
      'x.mjs#y',
      'x.mjs\n',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: codePoint, maxLength: 4 }) },
);
const beginnings = fc.constantFrom(
  '',
  '/',
  '//',
  'file://',
  'file:///',
  `${pathToFileURL(scratch).href}/`,
  `${scratch}/`,
  `${pathToFileURL(root).href}/`,
  'app/',
  'dep/',
  '@s/dep/',
);
const separators = fc.constantFrom('/', '/', '/', '/', '//', '\\', '%2f', '/./');
const odd = fc
  .tuple(beginnings, fc.array(fc.tuple(steps, separators), { maxLength: 7 }), steps)
  .map(([begin, middle, end]) => begin + middle.flat().join('') + end);
// Such as a caller would use, and those that lead somewhere else by a link.
const packages = fc.constantFrom('app', 'dep', '@s/dep', 'around', 'side', '@s/out');
const folders = fc.constantFrom('src', 'lib', 'out', 'up', 'top', 'abs', 'side', 'root');
const plain = fc
  .tuple(packages, fc.array(folders, { maxLength: 3 }), fc.constantFrom('x.mjs', 'x-out.mjs'))
  .map(([name, path, file]) => [name, ...path, file].join('/'));
const names = fc.oneof(plain, odd);

test('names of every shape import files below the root alone, or are refused in words that tell nothing', async () => {
  let loaded = 0;
  const refusals = new Set<string>();
  await fc.assert(
    fc.asyncProperty(names, async (name) => {
      try {
        await loadModule(name, policy);
        loaded += 1;
        expect(portable(await locate(name, policy))?.name).toBe(name);
      } catch (error) {
        expect(error).toBeInstanceOf(ModuleRefused);
        refusals.add((error as Error).message);
      }
    }),
    { numRuns: 3_000 },
  );
  const outside = evaluated.evaluatedNames?.filter(
    (url) => !realpathSync(fileURLToPath(url)).startsWith(`${root}/`),
  );
  expect(outside).toEqual([]);
  // Names that are taken must be among those that were tried.
  expect(loaded).toBeGreaterThan(20);
  expect(refusals.size).toBe(3);
  for (const message of refusals) expect(message).not.toContain(scratch);
});

test('each file below the root has one name, and is imported once', async () => {
  const urls: string[] = evaluated.evaluatedNames ?? [];
  for (const folder of FOLDERS) {
    const url = pathToFileURL(join(root, folder, 'x.mjs')).href;
    const found = portable(url)?.name as string;
    expect(await locate(found, policy)).toBe(url);
    await loadModule(found, policy);
  }
  expect(new Set(urls).size).toBe(urls.length);
  expect(urls).toHaveLength(FOLDERS.length);
});

const parts = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 });
let trees = 0;

test('a name, where a module has one, leads to the file that it was made for', () => {
  fc.assert(
    fc.property(parts, fc.array(parts, { minLength: 1, maxLength: 3 }), (name, path) => {
      trees += 1;
      const folder = `tree-${trees}`;
      fc.pre(!path.some((step) => /[/\0]|^\.{1,2}$/.test(step)));
      write(`${folder}/package.json`, JSON.stringify({ name: `${name}${trees}` }));
      write(`${folder}/${path.join('/')}.mjs`);
      const url = pathToFileURL(join(scratch, folder, `${path.join('/')}.mjs`)).href;
      const given = nameOfModule(url);
      const parsed = parseName(given);
      if (parsed === undefined) expect(given).toBe(url);
      else expect(parsed).toEqual({ package: `${name}${trees}`, path: `${path.join('/')}.mjs` });
    }),
    { numRuns: 300 },
  );
});
