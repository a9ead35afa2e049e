/**
 * The sources as a few modules of many files each, which processes of tests load in half the time:
 * `test/integration/sources-setup.ts` makes them. Each file is still imported by its own name, which gives a line that
 * takes its exports out of such a module; so nothing is there twice.
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {object} Sources
 * @property {Record<string, number>} files when each was changed last (ms), by its path in `src`
 * @property {Record<string, string>} modules what is loaded in their stead, by the same paths; and those of many
 */

export const folder = fileURLToPath(new URL('../../src/', import.meta.url));

/** How the paths in `src` of those modules begin. No such files exist; their frames count as the runtime's. */
export const MANY = '.sources-';

/** As esbuild calls the Node that runs. */
export const target = `node${process.versions.node}`;

// Others may have the same modules installed beside sources of their own.
const key = createHash('sha1').update(folder).update(target).update(MANY).digest('hex');
export const cache = fileURLToPath(
  new URL(`../../node_modules/.cache/skein-tests/sources-${key}.json`, import.meta.url),
);

/** @param {string} path */
export function changed(path) {
  return statSync(join(folder, path)).mtimeMs;
}

/** @type {Sources['modules'] | undefined} */
let modules;

/** What is loaded in the stead of a module; undefined when it is none of these, or any of them has changed.
 * @param {string} url */
export function sourceOf(url) {
  modules ??= known() ?? {};
  return modules[relative(folder, fileURLToPath(url))];
}

/** What was made; undefined when it is no more what the files are. */
export function known() {
  try {
    const sources = /** @type {Sources} */ (JSON.parse(readFileSync(cache, 'utf8')));
    const isSame = Object.entries(sources.files).every(([path, at]) => changed(path) === at);
    return isSame ? sources.modules : undefined;
  } catch {
    return undefined;
  }
}
