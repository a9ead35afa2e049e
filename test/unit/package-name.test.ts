/** The name of the package that a module belongs to. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { fileSite } from '../../src/routine/identity.ts';
import { packageNameOf } from '../../src/routine/package-name.ts';

const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'skein-package-')));
afterAll(() => rmSync(scratch, { recursive: true }));

let trees = 0;

/** A new folder, in a package `around`, with these files. */
function tree(files: Record<string, unknown>): string {
  trees += 1;
  const folder = join(scratch, `around-${trees}`);
  for (const [path, content] of Object.entries({ 'package.json': { name: 'around' }, ...files })) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  }
  return folder;
}

function nameFor(folder: string, module: string): string | undefined {
  return packageNameOf(pathToFileURL(join(folder, module)).href);
}

describe('a module belongs to', () => {
  test('the package in whose folder it is', () => {
    const folder = tree({ 'inner/package.json': { name: '@scope/inner' } });
    expect(nameFor(folder, 'main.ts')).toBe('around');
    expect(nameFor(folder, 'inner/main.ts')).toBe('@scope/inner');
    expect(nameFor(folder, 'main.ts')).toBe('around');
  });

  test('the package some folders up, whether these folders are there or not', () => {
    const folder = tree({ 'src/deep/er/main.ts': '' });
    expect(nameFor(folder, 'src/deep/er/main.ts')).toBe('around');
    expect(nameFor(folder, 'src/deep/gone/main.ts')).toBe('around');
    expect(nameFor(folder, 'src/main.ts')).toBe('around');
  });

  test('a dependency', () => {
    const folder = tree({
      'node_modules/dep/package.json': { name: 'dep' },
      'node_modules/dep/cjs/package.json': { type: 'commonjs' },
      'node_modules/@scope/dep/package.json': { name: '@scope/dep' },
    });
    expect(nameFor(folder, 'node_modules/dep/index.js')).toBe('dep');
    expect(nameFor(folder, 'node_modules/dep/cjs/index.js')).toBe('dep');
    expect(nameFor(folder, 'node_modules/@scope/dep/lib/index.js')).toBe('@scope/dep');
  });

  test('no package where it is among the dependencies and has no name of its own', () => {
    const folder = tree({ 'node_modules/nameless/package.json': { type: 'module' } });
    expect(nameFor(folder, 'node_modules/nameless/index.js')).toBe(undefined);
    expect(nameFor(folder, 'node_modules/alone.js')).toBe(undefined);
    expect(nameFor(folder, 'not_node_modules/index.js')).toBe('around');
  });

  test('what the root belongs to, where there is nothing in between', () => {
    const root = packageNameOf('file:///main.ts');
    expect(packageNameOf('file:///no/such/folder/main.ts')).toBe(root);
  });

  test('the package that is named in a folder with characters that URLs escape', () => {
    const folder = tree({ 'a b%20#?ü/package.json': { name: 'escaped' } });
    expect(nameFor(folder, 'a b%20#?ü/main.ts')).toBe('escaped');
  });

  test('the package of its file, where a query or fragment follows', () => {
    const folder = tree({ 'inner/package.json': { name: 'inner' } });
    const module = pathToFileURL(join(folder, 'inner/main.ts')).href;
    expect(packageNameOf(`${module}?x=/a/b/`)).toBe('inner');
    expect(packageNameOf(`${module}#/a/b/`)).toBe('inner');
  });

  test('the package that it is in, where it was imported through a link', () => {
    const folder = tree({
      'packages/linked/package.json': { name: 'linked' },
      'packages/linked/index.cjs': 'module.exports = __filename;',
      'node_modules/.keep': '',
    });
    symlinkSync(join(folder, 'packages/linked'), join(folder, 'node_modules/alias'), 'junction');
    const found = createRequire(join(folder, 'main.cjs'))('alias/index.cjs') as string;
    expect(packageNameOf(pathToFileURL(found).href)).toBe('linked');
  });
});

describe('a package.json is passed over', () => {
  test.each<[string, unknown]>([
    ['has no name', { type: 'module' }],
    ['has an empty name', { name: '' }],
    ['has a name that is no text', { name: ['a'] }],
    ['has a name with a NUL', { name: 'a\0b' }],
    ['has half of a pair of surrogates for a name', '{ "name": "\\ud800" }'],
    ['is broken', '{ "name": "broken"'],
    ['is empty', ''],
    ['is no object', 'null'],
    ['is a list', '["name"]'],
    ['is huge', { name: 'huge', filler: 'x'.repeat(1 << 20) }],
  ])('that %s', (_what, content) => {
    const folder = tree({ 'inner/package.json': content });
    expect(nameFor(folder, 'inner/main.ts')).toBe('around');
  });

  test('that is a folder', () => {
    const folder = tree({ 'inner/package.json/index.js': '' });
    expect(nameFor(folder, 'inner/main.ts')).toBe('around');
  });

  test.skipIf(process.platform === 'win32')('that is a pipe or a link to nowhere', () => {
    const folder = tree({ 'pipe/main.ts': '', 'link/main.ts': '' });
    spawnSync('mkfifo', [join(folder, 'pipe/package.json')]);
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link/package.json'));
    expect(nameFor(folder, 'pipe/main.ts')).toBe('around');
    expect(nameFor(folder, 'link/main.ts')).toBe('around');
  });

  test('but not for a byte order mark', () => {
    const folder = tree({ 'inner/package.json': '\uFEFF{ "name": "marked" }' });
    expect(nameFor(folder, 'inner/main.ts')).toBe('marked');
  });
});

test.each([
  'data:text/javascript,1',
  'node:fs',
  'file://another-host/x/main.ts',
  'file:///a%2Fb/main.ts',
  'C:\\x\\main.ts',
  '',
])('%j belongs to no package', (module) => {
  expect(packageNameOf(module)).toBe(undefined);
});

describe('the place where a class is made an instance of', () => {
  class Declared {
    readonly site = fileSite(Declared);
  }

  test('is the line of `new`', () => {
    const [, before] = /:(\d+):\d+\)?$/m.exec(new Error().stack ?? '') ?? [];
    const { site } = new Declared();
    expect(site?.module).toBe(import.meta.url);
    expect(site?.line).toBe(Number(before) + 1);
    expect(packageNameOf(site?.module ?? '')).toBe('skein');
  });

  test('is none in code that is no file', () => {
    expect(Function('Declared', 'return new Declared().site')(Declared)).toBe(undefined);
  });
});
