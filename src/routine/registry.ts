/** The routines that this process knows, by module and name. */
import { RoutineIdentityError } from '../errors.ts';
import { type CallSite, isReplacedAt } from './identity.ts';
import { currentScope } from './task.ts';

/** What a worker needs to run a routine. */
export interface RegisteredRoutine {
  readonly module: string;
  readonly name: string;
  readonly generator: boolean;
  // biome-ignore lint/complexity/noBannedTypes: any callable, whatever its parameters
  readonly fn: Function;
  readonly site: CallSite;
  /** Its first argument is the instance. */
  readonly method?: boolean;
  /** The program made it itself, not a module that was imported because somebody named it. */
  readonly own?: boolean;
}

// Two copies of the package in one process, or a module evaluated twice by a test runner, must see
// the same routines.
const key = Symbol.for('skein.registry');
const holder = globalThis as { [key]?: Map<string, Map<string, RegisteredRoutine>> };
holder[key] ??= new Map();
const modules = holder[key];

/**
 * Makes a routine findable.
 *
 * @throws RoutineIdentityError when another routine of the module has this name. A module that is
 * evaluated anew replaces its routines.
 */
export function register(routine: RegisteredRoutine): void {
  let names = modules.get(routine.module);
  if (names === undefined) {
    names = new Map();
    modules.set(routine.module, names);
  }
  const other = names.get(routine.name);
  if (other && !isReplacedAt(other.site, routine.site)) {
    throw new RoutineIdentityError(
      `two routines of ${routine.module} are called '${routine.name}' (lines ${other.site.line} and ${routine.site.line}); ` +
        `give one another name: routine(fn, { name: '...' })`,
    );
  }
  const own = currentScope()?.importing === undefined;
  names.set(routine.name, { ...routine, own });
}

export function lookup(module: string, name: string): RegisteredRoutine | undefined {
  return modules.get(module)?.get(name);
}

/** Gives what drops the routines again that a module makes from now on, for when it fails to load. */
export function rememberRoutines(module: string): () => void {
  const names = modules.get(module);
  const before = names && new Map(names);
  return () => {
    if (before === undefined) modules.delete(module);
    else modules.set(module, before);
  };
}

/** Lets the routines of a module be found by another name of that module, too. */
export function addRoutineAlias(alias: string, module: string): void {
  const names = modules.get(module);
  if (names !== undefined) modules.set(alias, names);
}

/** The names of all routines of a module, for error messages. */
export function namesIn(module: string): string[] {
  return [...(modules.get(module)?.keys() ?? [])].sort();
}
