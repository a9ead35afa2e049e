/** Imports of the modules that others name: for a routine to run, or a value to read. */
import { stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { RoutineNotFound } from '../errors.ts';
import { rememberNames } from '../wire/names.ts';
import { moduleUrl } from './identity.ts';
import { rememberRoutines } from './registry.ts';
import { currentScope, newScope, runInScope } from './task.ts';

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
export function isLoaded(module: string): boolean {
  return loaded.has(module);
}

/**
 * Imports a module, if that was not done before. One that fails is tried again the next time.
 *
 * @throws TypeError when it is no file here: a `data:` URL would be code from whoever names it
 * @throws whatever the module throws while it loads
 * @throws MainModuleError when the module would run the main program again
 */
export async function loadModule(module: string): Promise<void> {
  let loading = imports.get(module);
  if (loading === undefined) {
    loading = importModule(module);
    imports.set(module, loading);
  }
  try {
    await loading;
    loaded.add(module);
  } catch (error) {
    imports.delete(module);
    throw error;
  }
}

/** What went wrong, for a message. */
export function describeFailure(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

async function importModule(module: string): Promise<void> {
  if (!isName(module) || (await isSpecial(module))) {
    throw new TypeError('only modules that are files are loaded by their name');
  }
  const forgetNames = rememberNames(module);
  const forgetRoutines = rememberRoutines(module);
  const importing = { pending: true };
  try {
    await runInScope(newScope({ importing }), () => importWithLoader(module));
  } catch (error) {
    forgetNames();
    forgetRoutines();
    throw error;
  } finally {
    importing.pending = false;
  }
}

/**
 * Whether it is a file's URL as names have it. One with a query would be evaluated once more, and what it
 * makes then would take the place of what is there; one with a host is on another machine.
 */
function isName(module: string): boolean {
  if (!URL.canParse(module)) return false;
  const { protocol, host, href } = new URL(module);
  return protocol === 'file:' && host === '' && moduleUrl(href) === module;
}

/** Whether it is there, and no file: what Node reads of a device or a pipe may have no end. */
async function isSpecial(module: string): Promise<boolean> {
  try {
    return !(await stat(new URL(module))).isFile();
  } catch {
    // Not there: a loader may know better.
    return false;
  }
}

async function importWithLoader(module: string): Promise<void> {
  try {
    await import(module);
  } catch (error) {
    const uncompiled = isUncompiled(module, error);
    if (!uncompiled && !needsLoader(error)) throw error;
    if (!(await registerTsx(module))) throw uncompiled ? error : withoutLoader(module);
    await import(module);
  }
}

/** Node itself only takes the types away; what is left may be more than it knows, as decorators are. */
function isUncompiled(module: string, error: unknown): boolean {
  return error instanceof SyntaxError && /\.[cm]?tsx?$/.test(new URL(module).pathname);
}

function needsLoader(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'ERR_UNKNOWN_FILE_EXTENSION' || code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX';
}

function withoutLoader(module: string): RoutineNotFound {
  return new RoutineNotFound(
    `${module} is TypeScript, which Node ${process.versions.node} does not load by itself: ` +
      'install tsx (npm install tsx), use Node 22.18 or later, or compile it first',
  );
}

/** Lets this process import TypeScript by `tsx`. Returns whether that is installed. */
async function registerTsx(module: string): Promise<boolean> {
  for (const from of [module, pathToFileURL(`${process.cwd()}/`).href, import.meta.url]) {
    try {
      const api = createRequire(from).resolve('tsx/esm/api');
      const { register } = await import(pathToFileURL(api).href);
      register();
      return true;
    } catch {
      // Not installed there: look in the next place.
    }
  }
  return false;
}
