/** What modules are called. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  knownPackages,
  learnPackage,
  nameOfModule,
  onPackage,
  parseName,
} from '../../src/routine/module-name.ts';
import { forest } from './tree.ts';

const tree = forest();

function urlOf(folder: string, path: string): string {
  return pathToFileURL(join(folder, path)).href;
}

describe('a module is called by', () => {
  test('its package and its path in there, in every checkout the same', () => {
    const folder = tree({
      'package.json': { name: 'named-app' },
      'src/deep/main.ts': '',
      'node_modules/@named/dep/package.json': { name: '@named/dep' },
    });
    expect(nameOfModule(urlOf(folder, 'src/deep/main.ts'))).toBe('named-app/src/deep/main.ts');
    expect(nameOfModule(urlOf(folder, 'not-there.ts'))).toBe('named-app/not-there.ts');
    expect(nameOfModule(urlOf(folder, 'node_modules/@named/dep/x.js'))).toBe('@named/dep/x.js');
  });

  test('its characters, not by what URLs escape', () => {
    const folder = tree({ 'package.json': { name: 'named-odd' }, 'a b#ü?/x+y.ts': '' });
    expect(nameOfModule(urlOf(folder, 'a b#ü?/x+y.ts'))).toBe('named-odd/a b#ü?/x+y.ts');
  });

  test('its own file, where it was reached through a link', () => {
    const folder = tree({
      'packages/linked/package.json': { name: 'named-linked' },
      'packages/linked/x.ts': '',
      'node_modules/.keep': '',
    });
    symlinkSync(join(folder, 'packages/linked'), join(folder, 'node_modules/other'), 'junction');
    expect(nameOfModule(urlOf(folder, 'node_modules/other/x.ts'))).toBe('named-linked/x.ts');
  });

  test.each<[string, string, Record<string, unknown>]>([
    ['is in no package', 'node_modules/x.ts', {}],
    ['is in a package with a name like a path', 'x.ts', { name: '../up' }],
    ['is in a package with a name like a scope', 'x.ts', { name: '@scope' }],
    ['is in a package with a name like a URL', 'x.ts', { name: 'file:' }],
    ['has a backslash in its path', 'a\\b.ts', { name: 'named-backslash' }],
    ['has a colon in its path', 'a:b.ts', { name: 'named-colon' }],
    ['has an escape in its path', 'a%2e.ts', { name: 'named-escape' }],
    ['has a path that ends with a dot', 'a.', { name: 'named-dot' }],
    ['has a line break in its path', 'a\nb.ts', { name: 'named-break' }],
  ])('its URL where it %s', (_what, path, content) => {
    const folder = tree({ 'package.json': content, [path]: '' });
    expect(nameOfModule(urlOf(folder, path))).toBe(urlOf(folder, path));
  });

  test('its URL in the second folder that has the name of a package', () => {
    const [first, second] = [0, 1].map(() =>
      tree({ 'package.json': { name: 'named-twice' }, 'x.ts': '' }),
    ) as [string, string];
    expect(nameOfModule(urlOf(first, 'x.ts'))).toBe('named-twice/x.ts');
    expect(nameOfModule(urlOf(second, 'x.ts'))).toBe(urlOf(second, 'x.ts'));
    expect(nameOfModule(urlOf(first, 'y.ts'))).toBe('named-twice/y.ts');
  });

  test('its URL where another process knows another folder by the name', () => {
    const folder = tree({ 'package.json': { name: 'named-told' }, 'x.ts': '' });
    learnPackage({ name: 'named-told', folder: 'file:///elsewhere/' });
    expect(nameOfModule(urlOf(folder, 'x.ts'))).toBe(urlOf(folder, 'x.ts'));
  });
});

test('who listens hears of each package once, and of the first module of one that was told', () => {
  const folder = tree({ 'package.json': { name: 'named-heard' }, 'x.ts': '', 'y.ts': '' });
  const heard: unknown[] = [];
  const one = { name: 'named-heard', folder: `${urlOf(folder, '')}/` };
  const stop = onPackage(({ name }, own) => heard.push([name, own]));
  learnPackage(one);
  learnPackage(one);
  expect(knownPackages().get('named-heard')).toEqual({ folder: one.folder, own: false });
  nameOfModule(urlOf(folder, 'x.ts'));
  nameOfModule(urlOf(folder, 'y.ts'));
  expect(knownPackages().get('named-heard')).toEqual({ folder: one.folder, own: true });
  stop();
  learnPackage({ name: 'named-unheard', folder: one.folder });
  expect(heard).toEqual([
    ['named-heard', false],
    ['named-heard', true],
  ]);
});

test.each([
  ['a/b', 'a', 'b'],
  ['@s/a/b.ts', '@s/a', 'b.ts'],
  ['a/.b/c..d/e', 'a', '.b/c..d/e'],
])('%s has a package and a path', (name, wanted, path) => {
  expect(parseName(name)).toEqual({ package: wanted, path });
});

test.each([
  '',
  'a',
  '@s/a',
  '/a/b',
  'a//b',
  'a/b/',
  'a/./b',
  'a/../b',
  '../a/b',
  'a/..',
  'a/.. ',
  'a/b.',
  'a/b ',
  'a/node_modules/b',
  'a/NODE_MODULES/b',
  'node_modules/a/b',
  'a\\b/c',
  'a/b\\c',
  'C:/a/b',
  'a/b:stream',
  'file:///a/b',
  'node:fs',
  'skein:inline',
  'a/%2e%2e/b',
  'a/b\0.ts',
  'a/b\n',
  'a/\ud800',
])('%j is the name of no module', (name) => {
  expect(parseName(name)).toBe(undefined);
});

test('a name that is longer than paths can be is the name of no module', () => {
  expect(parseName(`a/${'b'.repeat(4_000)}`)).not.toBe(undefined);
  expect(parseName(`a/${'b'.repeat(4_096)}`)).toBe(undefined);
});
