/** Resolves and compiles modules of this repository; what it compiled it finds again by its content. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { MANY, sourceOf } from './sources.js';

const root = new URL('../../', import.meta.url).href;
const sources = new URL('src/', root).href;
const many = new URL(MANY, sources).href;
/** A folder outside, with programs that a test has written. */
const { SKEIN_TEST_PROGRAMS: programs } = process.env;
const folders = [root, ...(programs ? [pathToFileURL(`${programs}/`).href] : [])];
const cache = fileURLToPath(new URL('node_modules/.cache/skein-tests/', root));

/** @type {typeof import('esbuild') | undefined} */
let esbuild;

/** What tsx gives the compiler. */
const options = /** @type {const} */ ({
  loader: 'ts',
  format: 'esm',
  target: `node${process.versions.node}`,
  sourcemap: 'inline',
  sourcesContent: false,
  minifyWhitespace: true,
  keepNames: true,
});

/** @type {import('node:module').ResolveHook} */
export function resolve(specifier, context, next) {
  if (specifier.startsWith(many)) return { url: specifier, format: 'module', shortCircuit: true };
  if (!/^(?:file:|\.\.?\/).*\.ts(?:\?|$)/.test(specifier)) return next(specifier, context);
  const { href } = new URL(specifier, context.parentURL);
  // Node says best what is wrong with those that are not there.
  if (!isOurs(href) || !existsSync(new URL(href))) return next(specifier, context);
  return { url: href, format: 'module', shortCircuit: true };
}

/** @type {import('node:module').LoadHook} */
export function load(url, context, next) {
  const source = url.startsWith(sources) ? sourceOf(url) : undefined;
  if (source === undefined && !isOurs(url)) return next(url, context);
  return { format: 'module', source: source ?? compiled(fileURLToPath(url)), shortCircuit: true };
}

/** @param {string} url */
function isOurs(url) {
  const isWithin = folders.some((folder) => url.startsWith(folder));
  return isWithin && /\.ts(?:\?|$)/.test(url) && !url.includes('/node_modules/');
}

/** @param {string} file */
function compiled(file) {
  const code = readFileSync(file, 'utf8');
  const key = createHash('sha1').update(options.target).update(file).update(code).digest('hex');
  const known = join(cache, `${key}.js`);
  try {
    return readFileSync(known, 'utf8');
  } catch {
    // Not yet.
  }
  esbuild ??= /** @type {typeof import('esbuild')} */ (createRequire(import.meta.url)('esbuild'));
  const { code: js } = esbuild.transformSync(code, { ...options, sourcefile: file });
  mkdirSync(cache, { recursive: true });
  // Others may do the same at this moment.
  const own = `${known}.${process.pid}`;
  writeFileSync(own, js);
  renameSync(own, known);
  return js;
}
