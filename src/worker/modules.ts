/** How a worker finds a routine: by importing the module that makes it. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { RoutineNotFound } from '../errors.ts';
import { lookup, namesIn, type RegisteredRoutine } from '../routine/registry.ts';

const imports = new Map<string, Promise<unknown>>();
let pending = 0;

/** Whether this process is importing a module for a task right now. */
export function isImporting(): boolean {
  return pending > 0;
}

/**
 * The routine of this name, at once when its module was imported before.
 *
 * @throws RoutineNotFound when the module does not load, or has no such routine
 */
export function resolveRoutine(
  module: string,
  name: string,
): RegisteredRoutine | Promise<RegisteredRoutine> {
  return lookup(module, name) ?? importRoutine(module, name);
}

async function importRoutine(module: string, name: string): Promise<RegisteredRoutine> {
  let loading = imports.get(module);
  if (loading === undefined) {
    loading = importModule(module);
    imports.set(module, loading);
  }
  try {
    await loading;
  } catch (cause) {
    imports.delete(module);
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
  pending += 1;
  try {
    await import(module);
  } catch (error) {
    if (!needsLoader(error) || !(await registerTypeScript(module))) throw error;
    await import(module);
  } finally {
    pending -= 1;
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
