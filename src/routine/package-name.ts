/** To which package a module belongs. */
import { readFileSync, statSync } from 'node:fs';

/** Bytes of a package.json beyond which it is not read. */
const MAX_BYTES = 1 << 20;

const NAME = /^[^\0\p{Surrogate}]+$/u;

// By the folder's URL, with a slash at its end.
const names = new Map<string, string | undefined>();

/**
 * The name in the nearest package.json that has one, from the folder of a module upwards; one that has
 * none, or can't be read, is passed over. As in Node.js a folder `node_modules` ends the search: a
 * module in there does not belong to the package around it.
 *
 * @param module URL of a file
 */
export function packageNameOf(module: string): string | undefined {
  if (!module.startsWith('file:')) return undefined;
  const passed: string[] = [];
  let folder = new URL('.', module).href;
  let name: string | undefined;
  while (!names.has(folder)) {
    passed.push(folder);
    // The root is its own parent: there the search ends by this.
    names.set(folder, undefined);
    if (folder.endsWith('/node_modules/')) break;
    name = nameIn(folder);
    if (name !== undefined) break;
    folder = new URL('..', folder).href;
  }
  name ??= names.get(folder);
  for (const one of passed) names.set(one, name);
  return name;
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
