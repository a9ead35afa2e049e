/** Where modules are that others name, and which of them are imported. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { learnPackage, nameOfModule } from '../../src/routine/module-name.ts';
import { loadLocal, loadModule } from '../../src/routine/modules.ts';
import {
  addPackageSeeker,
  locate,
  type ModulePolicy,
  ModuleRefused,
} from '../../src/routine/whereabouts.ts';
import { ROOT } from '../integration/helpers.ts';
import { forest } from './tree.ts';

const tree = forest();

function urlOf(folder: string, path: string): string {
  return pathToFileURL(join(folder, path)).href;
}

/** A root with modules below it, and some around it. */
function place(name: string, links: Record<string, string> = {}) {
  const around = tree({
    'secret.js': '',
    'around/package.json': { name: `${name}-around` },
    'around/x.js': '',
    'around/node_modules/hoisted/package.json': { name: 'hoisted' },
    'around/node_modules/hoisted/x.js': '',
    'around/root/package.json': { name },
    'around/root/x.js': '',
    'around/root/src/x.js': '',
    'around/root/folder.js/x.js': '',
    'around/root/.env': 'KEY=secret',
    'around/root/data.json': '{}',
    'around/root/inner/package.json': { name: `${name}-inner` },
    'around/root/inner/x.js': '',
    'around/root/copy/package.json': { name },
    'around/root/copy/x.js': '',
    [`around/root/node_modules/${name}-dep/package.json`]: { name: `${name}-dep` },
    [`around/root/node_modules/${name}-dep/x.js`]: '',
    'around/root/node_modules/alias/package.json': { name: `${name}-aliased` },
    'around/root/node_modules/alias/x.js': '',
    'around/root/packages/work/package.json': { name: `${name}-work` },
    'around/root/packages/work/x.js': '',
  });
  const root = join(around, 'around/root');
  for (const [path, target] of Object.entries(links)) {
    symlinkSync(join(root, target), join(root, path), 'junction');
  }
  return { around, root };
}

describe('a worker that others reach', () => {
  const { around, root } = place('strict', {
    'node_modules/strict-work': 'packages/work',
    'node_modules/strict-around': '..',
    'out.js': '../x.js',
    out: '..',
    'again.js': 'x.js',
    'src/same': 'src',
    loop: 'loop',
  });
  const policy = { root, files: false };

  test.each([
    ['of the package in its root', 'strict/x.js', 'x.js'],
    ['deeper in it', 'strict/src/x.js', 'src/x.js'],
    ['of a dependency', 'strict-dep/x.js', 'node_modules/strict-dep/x.js'],
    ['of a package in the workspace', 'strict-work/x.js', 'packages/work/x.js'],
  ])('finds a module %s', async (_what, name, path) => {
    expect(await locate(name, policy)).toBe(urlOf(root, path));
  });

  test('finds modules of its package from a folder of it, and none outside of that folder', async () => {
    const src = { root: join(root, 'src'), files: false };
    expect(await locate('strict/src/x.js', src)).toBe(urlOf(root, 'src/x.js'));
    await expect(locate('strict/x.js', src)).rejects.toThrow(ModuleRefused);
    await expect(locate('strict-dep/x.js', src)).rejects.toThrow(ModuleRefused);
  });

  test('finds no module of Skein itself, which may begin something when it is loaded', async () => {
    const own = { root: ROOT, files: false };
    expect(await locate('skein/test/integration/routines/math.ts', own)).toBeDefined();
    for (const name of ['skein/src/worker/main.ts', 'skein/src/cli/main.ts']) {
      await expect(locate(name, own)).rejects.toThrow(ModuleRefused);
      expect(await locate(name, { ...own, files: true })).toBeDefined();
    }
  });

  test.each([
    ['is not there', 'strict/gone.js'],
    ['is of no package here', 'nowhere/x.js'],
    ['is a folder', 'strict/folder.js'],
    ['is outside', 'strict-around/x.js'],
    ['is a dependency of what is around', 'hoisted/x.js'],
    ['is a link that leads out', 'strict/out.js'],
    ['is behind a link that leads out', 'strict/out/x.js'],
    ['is behind a link that leads out and in again', 'strict/out/root/x.js'],
    ['is a link to another', 'strict/again.js'],
    ['is behind a link', 'strict/src/same/x.js'],
    ['is behind a link to itself', 'strict/loop/x.js'],
    ['belongs to a package inside of this one', 'strict/inner/x.js'],
    ['belongs to such a package, by its own name', 'strict-inner/x.js'],
    ['belongs to another package of the same name', 'strict/copy/x.js'],
    ['is in a folder with the name of another package', 'alias/x.js'],
  ])('finds none that %s, and says nothing of where it looked', async (_what, name) => {
    const refusal = (await locate(name, policy).catch((error) => error)) as Error;
    expect(refusal).toBeInstanceOf(ModuleRefused);
    expect(refusal.message).toContain('below its root');
    expect(refusal.message).not.toContain(around);
  });

  test.each([
    urlOf(root, 'x.js'),
    urlOf(around, 'secret.js'),
    join(root, 'x.js'),
    'strict/../secret.js',
    'strict/./x.js',
    'strict//x.js',
    'strict/src/%2e%2e/x.js',
    'strict\\x.js',
    '../around/x.js',
    'node:fs',
    'data:text/javascript,1',
    '',
  ])('does not take %j for a name', async (name) => {
    const refusal = (await locate(name, policy).catch((error) => error)) as Error;
    expect(refusal).toBeInstanceOf(ModuleRefused);
    expect(refusal.message).toContain('package name and relative path only');
  });

  test.each(['strict/.env', 'strict/data.json', 'strict/src', 'strict/gone.node'])(
    'does not take %s for a module',
    async (name) => {
      const refusal = loadModule(name, policy);
      await expect(refusal).rejects.toThrow('only files of JavaScript and TypeScript');
    },
  );

  test('finds what made something in it before, wherever that is', async () => {
    const name = nameOfModule(urlOf(around, 'around/x.js'));
    expect(await locate(name, policy)).toBe(urlOf(around, 'around/x.js'));
    await expect(locate('strict-around/y.js', policy)).rejects.toThrow(ModuleRefused);
  });

  test('finds what is in the folder of a package that its pool told of', async () => {
    const app = tree({ 'package.json': { name: 'strict-told' }, 'x.js': '' });
    const folder = `${urlOf(app, '')}/`;
    await expect(locate('strict-told/x.js', policy)).rejects.toThrow(ModuleRefused);
    learnPackage({ name: 'strict-told', folder });
    await expect(locate('strict-told/x.js', policy)).rejects.toThrow(ModuleRefused);
    const told: ModulePolicy = { ...policy, folders: [folder] };
    expect(await locate('strict-told/x.js', told)).toBe(urlOf(app, 'x.js'));
  });
});

describe('a program', () => {
  const { around, root } = place('open');
  const policy = { root, files: true };

  test.each([
    ['open/x.js', 'around/root/x.js'],
    ['open-dep/x.js', 'around/root/node_modules/open-dep/x.js'],
    ['hoisted/x.js', 'around/node_modules/hoisted/x.js'],
  ])('finds %s', async (name, path) => {
    expect(await locate(name, policy)).toBe(urlOf(around, path));
  });

  test('finds dependencies of packages that it knows', async () => {
    const dependency = 'node_modules/.store/a/node_modules';
    const folder = tree({
      [`${dependency}/open-store/package.json`]: { name: 'open-store' },
      [`${dependency}/open-hidden/package.json`]: { name: 'open-hidden' },
      [`${dependency}/open-hidden/x.js`]: '',
    });
    await expect(locate('open-hidden/x.js', policy)).rejects.toThrow("no package 'open-hidden'");
    nameOfModule(urlOf(folder, `${dependency}/open-store/x.js`));
    expect(await locate('open-hidden/x.js', policy)).toBe(
      urlOf(folder, `${dependency}/open-hidden/x.js`),
    );
  });

  test('waits for what other processes say of a package', async () => {
    const folder = tree({ 'package.json': { name: 'open-asked' }, 'x.js': '' });
    const asked: string[] = [];
    const stop = addPackageSeeker(async (name) => {
      asked.push(name);
      learnPackage({ name, folder: `${urlOf(folder, '')}/` });
    });
    expect(await locate('open-asked/x.js', policy)).toBe(urlOf(folder, 'x.js'));
    expect(await locate('open-asked/y.js', policy)).toBe(urlOf(folder, 'y.js'));
    stop();
    expect(asked).toEqual(['open-asked']);
  });

  test('imports files by their URLs, whether they are there or not', async () => {
    const url = urlOf(around, 'gone.js');
    expect(await locate(url, policy)).toBe(url);
  });

  test('does not read a folder for a module', async () => {
    nameOfModule(urlOf(root, 'x.js'));
    await expect(locate('open/folder.js', policy)).rejects.toThrow(ModuleRefused);
  });
});

describe('a module that a worker is to have', () => {
  const { root } = place('local');
  const strict = { root: join(root, 'src'), files: false };

  test.each([
    ['a path', join(root, 'x.js'), 'local/x.js'],
    ['a URL', urlOf(root, 'inner/x.js'), 'local-inner/x.js'],
    ['a name', 'local-dep/x.js', 'local-dep/x.js'],
  ])('is given by %s, and may be outside of the root', async (_what, module, name) => {
    await expect(loadModule(name, strict)).rejects.toThrow(ModuleRefused);
    expect(await loadLocal(module, { root, files: false })).toBe(name);
    await loadModule(name, strict);
  });

  test('is missed by its path and its package', async () => {
    await expect(loadLocal('local-none/x.js', strict)).rejects.toThrow(
      /there is no module 'local-none\/x\.js': neither the file .*x\.js, nor/,
    );
  });
});
