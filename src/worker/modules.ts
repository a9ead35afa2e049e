/** How a worker finds a routine: by importing the module that makes it. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { MainModuleError, RoutineNotFound } from '../errors.ts';
import { forgetModule, lookup, namesIn, type RegisteredRoutine } from '../routine/registry.ts';
import { currentScope, EMPTY_SCOPE, runInScope } from '../routine/task.ts';

const imports = new Map<string, Promise<unknown>>();
const loaded = new Set<string>();

/**
 * Whether the code that runs now was started by the import of a module for a task: by the module's
 * top level, or by what that left running.
 */
export function isImporting(): boolean {
  return currentScope()?.importing !== undefined;
}

/**
 * The routine of this name, at once when its module was imported before.
 *
 * @throws RoutineNotFound when the module does not load, or has no such routine
 * @throws MainModuleError when the module would run the main program again
 */
export function resolveRoutine(
  module: string,
  name: string,
): RegisteredRoutine | Promise<RegisteredRoutine> {
  // A routine of a module that still loads would see variables that have no value yet.
  return (loaded.has(module) && lookup(module, name)) || importRoutine(module, name);
}

async function importRoutine(module: string, name: string): Promise<RegisteredRoutine> {
  let loading = imports.get(module);
  if (loading === undefined) {
    loading = importModule(module);
    imports.set(module, loading);
  }
  try {
    await loading;
    loaded.add(module);
  } catch (cause) {
    imports.delete(module);
    forgetModule(module);
    if (cause instanceof MainModuleError) throw cause;
    throw new RoutineNotFound(`the worker can't load ${module}: ${describe(cause)}`, { cause });
  }
  const found = lookup(module, name);
  if (found) return found;
  const names = namesIn(module);
  const known = names.length > 0 ? `it has ${names.join(', ')}` : 'it has no routines at all';
  throw new RoutineNotFound(
    `no routine '${name}' in ${module} on the worker: ${known}. ` +
      'A routine must be made when its module loads, not later or inside a function',
  );
}

async function importModule(module: string): Promise<void> {
  const importing = { pending: true };
  try {
    await runInScope({ ...EMPTY_SCOPE, importing }, () => importWithLoader(module));
  } finally {
    importing.pending = false;
  }
}

async function importWithLoader(module: string): Promise<void> {
  try {
    await import(module);
  } catch (error) {
    if (!needsLoader(error) || !(await registerTypeScript(module))) throw error;
    await import(module);
  }
}

function needsLoader(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'ERR_UNKNOWN_FILE_EXTENSION' || code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX';
}

/** Lets this process import TypeScript by `tsx`, where Node does not do it alone. */
async function registerTypeScript(module: string): Promise<boolean> {
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
  throw new RoutineNotFound(
    `${module} is TypeScript, which Node ${process.versions.node} does not load by itself: ` +
      'install tsx (npm install tsx), use Node 22.18 or later, or compile it first',
  );
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
