/**
 * What modules are called: `PACKAGE/path/in/it.ts`, which means the same module in every checkout of the
 * package; or, in no package that has a name, the URL of the file.
 */
import { realpathSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Package, packageOf } from './package-name.ts';

/** Bytes and more of a name that is no path on any system. */
const MAX_LENGTH = 4_096;
/**
 * What is one step of a path on every system: no `.` or `..`, no drive, no escape, and no dot or space at
 * its end, which Windows drops.
 */
const STEP = /^(?!node_modules$)[^/\\:%\p{Cc}\p{Surrogate}]*[^/\\:%\p{Cc}\p{Surrogate}\s.]$/iu;

interface KnownPackage {
  /** URL, with a slash at its end. */
  readonly folder: string;
  /** Whether a module of it made something in this process; otherwise another process told of it. */
  own: boolean;
}

interface State {
  /** By the name. */
  readonly packages: Map<string, KnownPackage>;
  /** Names of modules, by their URL. */
  readonly names: Map<string, string>;
  /** URLs of modules that made something here, by their name. */
  readonly places: Map<string, string>;
  readonly listeners: Set<(one: Package, own: boolean) => void>;
}

// Two copies of the package in one process must give a module the same name.
const key = Symbol.for('skein.modules');
const holder = globalThis as { [key]?: State };
holder[key] ??= {
  packages: new Map(),
  names: new Map(),
  places: new Map(),
  listeners: new Set(),
};
const { packages, names, places, listeners } = holder[key];

/**
 * The name of a module that makes something here. That is the URL of its file in a second folder with the
 * name of a package, too.
 */
export function nameOfModule(url: string): string {
  const known = names.get(url);
  if (known !== undefined) return known;
  const real = realUrl(url);
  const name = names.get(real) ?? claimedName(real) ?? real;
  names.set(url, name);
  names.set(real, name);
  if (!places.has(name)) places.set(name, url);
  return name;
}

/** Has a module keep the URL for its name by which another process asks for it, unless it has one already. */
export function keepName(url: string): void {
  const real = realUrl(url);
  if (!names.has(real)) names.set(real, url);
}

/** The name of a module that may have made something here. */
export function ownName(url: string): string | undefined {
  return names.get(realUrl(url));
}

/** The URL of a module that made something here. */
export function placeOf(name: string): string | undefined {
  return places.get(name);
}

function claimedName(url: string): string | undefined {
  const found = portable(url);
  if (found === undefined) return undefined;
  const { folder } = claim(found.package, true);
  return folder === found.package.folder ? found.name : undefined;
}

/**
 * What a file is called wherever its package is; undefined where it is in none, or in one whose name does
 * not say the same on every system.
 */
export function portable(url: string): { name: string; package: Package } | undefined {
  const found = packageOf(url);
  if (found === undefined) return undefined;
  const path = pathWithin(found.folder, url);
  if (path === undefined) return undefined;
  const name = `${found.name}/${path}`;
  return parseName(name)?.package === found.name ? { name, package: found } : undefined;
}

function pathWithin(folder: string, url: string): string | undefined {
  try {
    const path = url.slice(folder.length).split('/').map(decodeURIComponent).join('/');
    return moduleIn(folder, path) === url ? path : undefined;
  } catch {
    return undefined;
  }
}

/** The URL of a file in a folder. */
export function moduleIn(folder: string, path: string): string {
  return pathToFileURL(fileURLToPath(folder) + path).href;
}

/** The parts of a name that is no URL; undefined when it is none that `nameOfModule` gives. */
export function parseName(name: string): { package: string; path: string } | undefined {
  if (name.length > MAX_LENGTH) return undefined;
  const steps = name.split('/');
  if (!steps.every((step) => STEP.test(step))) return undefined;
  const length = name.startsWith('@') ? 2 : 1;
  if (steps.length <= length) return undefined;
  return { package: steps.slice(0, length).join('/'), path: steps.slice(length).join('/') };
}

// Then the file that was linked is another module than the one that a link leads to.
const keepsLinks = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(' ')].includes(
  '--preserve-symlinks',
);

/** The URL of a file, without links in its path; as it is where there is no such file. */
export function realUrl(url: string): string {
  if (keepsLinks || !url.startsWith('file:')) return url;
  try {
    const real = pathToFileURL(realpathSync.native(fileURLToPath(url)));
    // On Windows the drive may be a folder of another machine.
    return real.host === '' ? real.href : url;
  } catch {
    return url;
  }
}

/** The packages that are known here: the first folder of each name. */
export function knownPackages(): ReadonlyMap<string, Readonly<KnownPackage>> {
  return packages;
}

/** Takes notice of a package that another process told of. The folder that was known before stays. */
export function learnPackage(one: Package): void {
  claim(one, false);
}

function claim(one: Package, own: boolean): KnownPackage {
  let known = packages.get(one.name);
  const isNew = known === undefined;
  if (known === undefined) {
    known = { folder: one.folder, own };
    packages.set(one.name, known);
  }
  const isFirst = own && known.folder === one.folder && !known.own;
  if (isFirst) known.own = true;
  if (isNew || isFirst) for (const listener of [...listeners]) listener(one, own);
  return known;
}

/**
 * Has a listener called for each package that gets known from now on, and once more when a module of it
 * makes something here.
 *
 * @returns what ends that
 */
export function onPackage(listener: (one: Package, own: boolean) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
