/** To which package a module belongs. */
import { readFileSync, statSync } from 'node:fs';

/** Bytes of a package.json beyond which it is not read. */
const MAX_BYTES = 1 << 20;

const NAME = /^[^\0\p{Surrogate}]+$/u;

export interface Package {
  readonly name: string;
  /** URL of the folder with its package.json, with a slash at its end. */
  readonly folder: string;
}

// By the folder's URL, with a slash at its end.
const packages = new Map<string, Package | undefined>();

/**
 * The package of the nearest package.json that has a name, from the folder of a module upwards; one that
 * has none, or can't be read, is passed over. As in Node.js a folder `node_modules` ends the search: a
 * module in there does not belong to the package around it.
 *
 * @param module URL of a file, or of a folder with a slash at its end
 */
export function packageOf(module: string): Package | undefined {
  if (!module.startsWith('file:')) return undefined;
  const passed: string[] = [];
  let folder = new URL('.', module).href;
  let found: Package | undefined;
  while (!packages.has(folder)) {
    passed.push(folder);
    // The root is its own parent: there the search ends by this.
    packages.set(folder, undefined);
    if (folder.endsWith('/node_modules/')) break;
    const name = nameIn(folder);
    if (name !== undefined) {
      found = { name, folder };
      break;
    }
    folder = new URL('..', folder).href;
  }
  found ??= packages.get(folder);
  for (const one of passed) packages.set(one, found);
  return found;
}

/** The name of that package. */
export function packageNameOf(module: string): string | undefined {
  return packageOf(module)?.name;
}

function nameIn(folder: string): string | undefined {
  try {
    const file = new URL('package.json', folder);
    const stats = statSync(file);
    // Reading a pipe may never end.
    if (!stats.isFile() || stats.size > MAX_BYTES) return undefined;
    const text = readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
    const { name } = JSON.parse(text) as { name?: unknown };
    return typeof name === 'string' && NAME.test(name) ? name : undefined;
  } catch {
    return undefined;
  }
}
