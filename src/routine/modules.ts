/** Imports of the modules that others name: for a routine to run, or a value to read. */
import { stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { RoutineNotFound } from '../errors.ts';
import { addModuleAlias, rememberNames } from '../wire/names.ts';
import { moduleUrl } from './identity.ts';
import { keepName, nameOfModule, ownName, realUrl } from './module-name.ts';
import { addRoutineAlias, rememberRoutines } from './registry.ts';
import { currentScope, newScope, runInScope } from './task.ts';
import { isTypeScript, mayLoadTypeScript, registerTsx } from './typescript.ts';
import { locate, type ModulePolicy, ModuleRefused, modulePolicy } from './whereabouts.ts';

const imports = new Map<string, Promise<void>>();
const loaded = new Set<string>();

/**
 * Whether the code that runs now was started by the import of a module that somebody named: by the
 * module's top level, or by what that left running.
 */
export function isImporting(): boolean {
  return currentScope()?.importing !== undefined;
}

/** Whether `loadModule` has loaded it. */
export function isLoaded(name: string): boolean {
  return loaded.has(name);
}

/**
 * Imports the module of a name, if that was not done before. One that fails is tried again the next time.
 *
 * @throws ModuleRefused when there is none, or it must not be imported for others
 * @throws whatever the module throws while it loads
 * @throws MainModuleError when the module would run the main program again
 */
export async function loadModule(name: string, policy = modulePolicy()): Promise<void> {
  if (!loaded.has(name)) await load(name, await locate(name, policy));
}

/**
 * Imports a module that this process is to have from the beginning, wherever it is.
 *
 * @param module path from the current folder, URL of a file, or a name as others have it
 * @returns its name
 * @throws TypeError when there is no such module
 * @throws whatever the module throws while it loads
 */
export async function loadLocal(module: string, { root } = modulePolicy()): Promise<string> {
  const url = await findLocal(module, root);
  const name = nameOfModule(url);
  await load(name, url);
  return name;
}

async function findLocal(module: string, root: string): Promise<string> {
  if (module.startsWith('file:')) return moduleUrl(module);
  const path = resolve(module);
  try {
    if ((await stat(path)).isFile()) return pathToFileURL(path).href;
  } catch {
    // No path, then.
  }
  try {
    return await locate(module, { root, files: true });
  } catch {
    // No such file in a package, but perhaps what the package gives by this name.
  }
  try {
    return pathToFileURL(createRequire(join(resolve(root), 'root.js')).resolve(module)).href;
  } catch {
    throw new TypeError(
      `there is no module '${module}': neither the file ${path}, nor one of a package in ${root} or in ` +
        'node_modules there',
    );
  }
}

async function load(name: string, url: string): Promise<void> {
  let loading = imports.get(name);
  if (loading === undefined) {
    loading = importModule(name, url);
    imports.set(name, loading);
  }
  try {
    await loading;
    loaded.add(name);
  } catch (error) {
    imports.delete(name);
    throw error;
  }
}

/** Why a module could not be loaded, for whoever named it. */
export function explainFailure(
  error: unknown,
  policy = modulePolicy(),
): { why: string; options: ErrorOptions } {
  if (error instanceof ModuleRefused) return { why: error.message, options: {} };
  const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (policy.files || policy.answers) return { why, options: { cause: error } };
  return { why: hideFolders(why, policy), options: {} };
}

/** Has paths begin in their root: where that is, is nothing to those who must not name files. */
function hideFolders(text: string, { root, folders = [] }: ModulePolicy): string {
  let hidden = text;
  for (const folder of [pathToFileURL(resolve(root)).href, ...folders]) {
    const path = join(fileURLToPath(realUrl(folder)), sep);
    // Of the root of all files nothing is to be hidden.
    if (dirname(path) === path) continue;
    hidden = hidden.replaceAll(pathToFileURL(path).href, '').replaceAll(path, '');
  }
  return hidden;
}

async function importModule(name: string, url: string): Promise<void> {
  if (name === url) keepName(url);
  const forgetNames = rememberNames(name);
  const forgetRoutines = rememberRoutines(name);
  const importing = { pending: true };
  try {
    await runInScope(newScope({ importing }), () => importWithLoader(url));
    // Processes may call it by its URL and by its package.
    const own = ownName(url);
    if (own !== undefined && own !== name) {
      addModuleAlias(name, own);
      addRoutineAlias(name, own);
    }
  } catch (error) {
    forgetNames();
    forgetRoutines();
    throw error;
  } finally {
    importing.pending = false;
  }
}

async function importWithLoader(module: string): Promise<void> {
  if (isTypeScriptUrl(module) && !mayLoadTypeScript()) await registerTsx(module);
  try {
    await import(module);
  } catch (error) {
    const uncompiled = isUncompiled(module, error);
    if (!uncompiled && !needsLoader(error)) throw error;
    if (!(await registerTsx(module))) throw uncompiled ? error : withoutLoader(module, INSTALL);
    await importAgain(module);
  }
}

async function importAgain(module: string): Promise<void> {
  try {
    await import(module);
  } catch (error) {
    throw needsLoader(error) ? withoutLoader(module, START) : error;
  }
}

function isTypeScriptUrl(module: string): boolean {
  return isTypeScript(new URL(module).pathname);
}

/** Node itself only takes the types away; what is left may be more than it knows, as decorators are. */
function isUncompiled(module: string, error: unknown): boolean {
  return error instanceof SyntaxError && isTypeScriptUrl(module);
}

function needsLoader(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'ERR_UNKNOWN_FILE_EXTENSION' || code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX';
}

const INSTALL = 'install tsx (npm install tsx)';
/** Node remembers that it could not load it. */
const START = 'start the program with tsx (node --import tsx)';

function withoutLoader(module: string, advice: string): RoutineNotFound {
  const what = isTypeScriptUrl(module) ? 'is' : 'needs';
  return new RoutineNotFound(
    `${module} ${what} TypeScript, which Node ${process.versions.node} does not load by itself: ` +
      `${advice}, use Node 22.18 or later, or compile it first`,
  );
}
