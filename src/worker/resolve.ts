/** How a worker finds a routine: by importing the module that makes it. */

import { MainModuleError, RoutineNotFound } from '../errors.ts';
import type { HookName } from '../routine/hook.ts';
import { explainFailure, isLoaded, loadModule } from '../routine/modules.ts';
import { lookup, namesIn, type RegisteredRoutine } from '../routine/registry.ts';
import { type ModulePolicy, modulePolicy } from '../routine/whereabouts.ts';
import { isInline, resolveInline } from './inline.ts';

/**
 * @param allowInline whether functions by value run here
 * @param policy which modules are imported for callers. Default: as for the process
 */
export function resolver(allowInline: boolean, policy?: ModulePolicy) {
  return (module: string, name: string) =>
    isInline(module) ? resolveInline(name, allowInline) : resolveRoutine(module, name, policy);
}

/**
 * The plain function of the routine that is a hook of a pool.
 *
 * @throws RoutineNotFound, MainModuleError when it is not there
 */
export async function resolveHook<T extends (...args: never[]) => unknown>({
  module,
  name,
}: HookName): Promise<T> {
  // It is the pool that names it.
  const { fn } = await resolveRoutine(module, name, { ...modulePolicy(), files: true });
  return ((...args) => fn(...args)) as T;
}

/**
 * The routine of this name, at once when its module was imported before.
 *
 * @throws RoutineNotFound when the module does not load, or has no such routine
 * @throws MainModuleError when the module would run the main program again
 */
function resolveRoutine(
  module: string,
  name: string,
  policy?: ModulePolicy,
): RegisteredRoutine | Promise<RegisteredRoutine> {
  const known = lookup(module, name);
  // One of a module that still loads would see variables that have no value yet. But a program's own module
  // may never have loaded: at its top level, it may wait for its worker to stop.
  if (known !== undefined && (known.own || isLoaded(module))) return known;
  return importRoutine(module, name, policy);
}

async function importRoutine(
  module: string,
  name: string,
  policy: ModulePolicy | undefined,
): Promise<RegisteredRoutine> {
  try {
    await loadModule(module, policy);
  } catch (cause) {
    if (cause instanceof MainModuleError) throw cause;
    const { why, options } = explainFailure(cause, policy);
    throw new RoutineNotFound(`the worker can't load ${module}: ${why}`, options);
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
