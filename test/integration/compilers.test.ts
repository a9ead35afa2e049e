/** Programs with decorators, by the compilers of TypeScript: tsx (esbuild) and tsc. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { ROOT, runScript, scratchFolder, TSX } from './helpers.ts';

const source = join(ROOT, 'test/fixtures/methods');
const folder = scratchFolder();

const expected = {
  add: [42, 'Counter.prototype.add'],
  counted: [1, 2, 3],
  shown: [42, 'Counter.prototype.#hidden'],
  from: [true, 3],
  own: [true, 'Counter.own'],
  derived: [['Derived', 'Derived.prototype.super.name'], 'Derived.prototype.name'],
  static: [true, 'Static.own'],
};

async function run(file: string): Promise<unknown> {
  const { ended, stdout, stderr } = runScript(file, [], { loader: TSX });
  const code = await ended;
  expect({ code, stderr: stderr() }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout());
}

/** Compiles the program into a folder, and gives its main file. */
function compile(name: string, ...options: string[]): string {
  const out = join(folder, name);
  const argv = [
    join(ROOT, 'node_modules/typescript/bin/tsc'),
    ...['--ignoreConfig', '--module', 'nodenext', '--skipLibCheck'],
    ...(options.includes('--target') ? [] : ['--target', 'es2022']),
    ...['--lib', 'es2023,esnext.disposable', '--types', 'node', '--typeRoots'],
    join(ROOT, 'node_modules/@types'),
    ...['--rewriteRelativeImportExtensions', '--outDir', out, ...options],
    ...['counter.ts', 'main.ts'],
  ];
  const { stdout, status } = spawnSync(process.execPath, argv, { cwd: folder, encoding: 'utf8' });
  expect({ stdout, status }).toEqual({ stdout: '', status: 0 });
  return join(out, 'main.js');
}

beforeAll(() => {
  cpSync(source, folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules/skein'), 'dir');
});

test('methods are routines in what tsx compiles', async () => {
  expect(await run(join(source, 'main.ts'))).toEqual(expected);
});

test('methods are routines in what tsc compiles', async () => {
  expect(await run(compile('plain'))).toEqual(expected);
});

test('generators are routines where tsc makes functions of them', async () => {
  const main = compile('es2017', '--target', 'es2017', '--noCheck');
  expect(readFileSync(join(main, '../counter.js'), 'utf8')).toContain('__asyncGenerator(this');
  expect(await run(main)).toEqual(expected);
});

test('methods are routines where tsc takes its helpers from a package', async () => {
  const inline = compile('with-helpers');
  const code = ['counter.js', 'main.js'].map((file) =>
    readFileSync(join(inline, '..', file), 'utf8'),
  );
  const helpers = new Map<string, string>();
  for (const [text, name] of code.join('').matchAll(/^var (__\w+) = .*?^}\)?;$/gms)) {
    helpers.set(name as string, text);
  }
  expect([...helpers.keys()]).toContain('__esDecorate');
  const tslib = join(folder, 'node_modules/tslib');
  mkdirSync(tslib);
  writeFileSync(join(tslib, 'package.json'), '{ "type": "module", "exports": "./index.js" }');
  const lines = [...helpers.values(), `export { ${[...helpers.keys()].join(', ')} };`];
  writeFileSync(join(tslib, 'index.js'), lines.join('\n'));

  const main = compile('without-helpers', '--importHelpers', '--noCheck');
  expect(readFileSync(join(main, '../counter.js'), 'utf8')).toContain('from "tslib"');
  expect(await run(main)).toEqual(expected);
});
