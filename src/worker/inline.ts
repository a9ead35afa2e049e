/** Runs functions that came by value: compiles their source, and gives it what they capture. */
import { compileFunction, constants } from 'node:vm';
import { InlineNotAllowed, RoutineNotFound, SerializationError } from '../errors.ts';
// Functions by value may capture others.
import '../routine/routine.ts';
import { INLINE_HELPERS, INLINE_MODULE, inlineId } from '../routine/inline.ts';
import { Recent } from '../routine/recent.ts';
import type { RegisteredRoutine } from '../routine/registry.ts';
import { currentScope } from '../routine/task.ts';

/** Gives the function, once it knows the values of the names around it. */
type Factory = (values: Readonly<Record<string, unknown>>) => unknown;

/** Sources that are kept compiled. */
const RECENT = 100;
/** Longer ones are compiled each time, so that what is kept is bounded. */
const MAX_KEPT_LENGTH = 65_536;

const recent = new Recent(RECENT, compile);

const routines = [false, true].map((generator): RegisteredRoutine => {
  const { module, name } = inlineId(generator);
  return { module, name, generator, fn: run, site: { module, line: 0, column: 0 } };
});

/** Whether it stands for functions by value. */
export function isInline(module: string): boolean {
  return module === INLINE_MODULE;
}

/**
 * The routine that runs functions of this kind.
 *
 * @throws InlineNotAllowed when the worker does not run any
 * @throws RoutineNotFound when there is no such kind
 */
export function resolveInline(name: string, allowed: boolean): RegisteredRoutine {
  if (!allowed) {
    throw new InlineNotAllowed(
      'the worker runs no functions by value: open its pool with { allowInline: true }, ' +
        'or make the routine in a module, by routine(fn)',
    );
  }
  const found = routines.find((routine) => routine.name === name);
  if (found === undefined) throw new RoutineNotFound(`there are no functions by value '${name}'`);
  return found;
}

/** Arguments as `routine.inline` sends them. */
function run(name: unknown, source: unknown, captures: unknown, ...args: unknown[]): unknown {
  const complete = typeof name === 'string' && typeof source === 'string';
  if (!complete || typeof captures !== 'object' || captures === null) {
    throw new SerializationError('a function by value without name, source or captures');
  }
  const task = currentScope()?.task;
  if (task) task.label = name;
  const values = { ...INLINE_HELPERS, ...captures };
  const key = JSON.stringify([name, source, ...Object.keys(values)]);
  const factory = key.length > MAX_KEPT_LENGTH ? compile(key) : recent.get(key);
  const fn = factory(values);
  if (typeof fn !== 'function') throw new TypeError('the source of a function gave none');
  return fn(...args);
}

/** Compiles code of the global scope, in which `import()` works as in a main program. */
function compile(key: string): Factory {
  const [name, source, ...names] = JSON.parse(key) as [string, string, ...string[]];
  quietImport();
  // Not as parameters: Node ends the process where one is no name.
  const before = `'use strict';const {${names.join()}}=arguments[0];return (`;
  return compileFunction(`${before}${source}\n)`, [], {
    // No URL, which `import()` would start from.
    filename: `skein-inline/${encodeURIComponent(name)}`,
    columnOffset: -before.length,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  }) as Factory;
}

let quiet = false;

/** Node warns at the first import of this kind that it may change; nobody could act upon that. */
function quietImport(): void {
  if (quiet) return;
  quiet = true;
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    const importModuleDynamically = constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;
    compileFunction("import('node:vm')", [], { importModuleDynamically })();
  } finally {
    process.emitWarning = emitWarning;
  }
}
