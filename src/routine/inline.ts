/** `routine.inline(fn)`: functions by value. Their source travels, with what they capture. */
import { builtinModules } from 'node:module';
import { InlineFunctionError } from '../errors.ts';
import { type InlineParts, isInlineRoutine } from '../wire/inline-kind.ts';
import { nameOf } from '../wire/names.ts';
import { encodeArgs } from '../wire/value.ts';
import { type Definition, define } from './definition.ts';
import type { RoutineId } from './dispatcher.ts';
import {
  type FreeName,
  type FunctionSource,
  readFunction,
  UnreadableFunction,
} from './function-source.ts';
import { checkFunction, checkNames, checkObject } from './options.ts';

export interface InlineOptions {
  /**
   * Variables around the function that it uses: their values, by name. They are read and sent with each
   * call; those that it does not use stay where they are. Default: none.
   */
  readonly captures?: Readonly<Record<string, unknown>>;
  /** What it is called in stacks and messages. Default: the function's name, or that of the variable. */
  readonly name?: string;
  /** As of `routine(fn, options)`. */
  readonly idempotent?: boolean;
  /** As of `routine(fn, options)`. */
  readonly attempts?: number;
}

/** Stands for a module: its routines take a name, a source and captures before their arguments. */
export const INLINE_MODULE = 'skein:inline';

const FUNCTION = idOf('function');
const GENERATOR = idOf('generator');

function idOf(name: string): RoutineId {
  return { module: INLINE_MODULE, name, key: `${INLINE_MODULE}#${name}` };
}

/** What the worker has for it: one routine for all functions, and one for all generators. */
export function inlineId(generator: boolean): RoutineId {
  return generator ? GENERATOR : FUNCTION;
}

/** Helpers that compilers put around functions, by name: a worker has them for every source. */
export const INLINE_HELPERS = {
  // esbuild's for `keepNames`, and so tsx's.
  __name: (fn: object, value: string) =>
    Object.defineProperty(fn, 'name', { value, configurable: true }),
};

export type InlineFunction = Pick<InlineParts, 'name' | 'source' | 'captures'>;

const WHAT = 'routine.inline(fn, options)';
const LEADING = ['name', 'source', 'captures'];

/**
 * Prepares a function to be sent.
 *
 * @param assigned gives the name of the variable that the routine is assigned to
 * @throws InlineFunctionError when it needs more of the code around it than it captures
 * @throws TypeError when it is no function, or an option is not what it should be
 */
export function inlineFunction(
  fn: unknown,
  options: InlineOptions,
  assigned: () => string | undefined,
): InlineFunction {
  checkFunction(WHAT, fn);
  checkNames(WHAT, options, ['captures', 'name', 'idempotent', 'attempts']);
  const { captures = {} } = options;
  checkObject('captures', captures);
  if (Symbol.iterator in captures) {
    throw new TypeError(
      'captures must be an object with values by name, not a Map or another list',
    );
  }
  if (nameOf(fn as object)?.kind === 'routine' || isInlineRoutine(fn as object)) {
    throw new TypeError(`${WHAT} takes a plain function; this one is a routine already`);
  }
  const name = options.name ?? ((fn as { name: string }).name || (assigned() ?? 'anonymous'));
  const read = readOrRefuse(fn, name);
  const captured = new Set(Object.keys(captures));
  check(read, name, captured);
  const sent = [...captured].filter((one) => read.free.has(one));
  return {
    name,
    source: read.expression,
    captures: () => Object.fromEntries(sent.map((one) => [one, captures[one]])),
  };
}

/** What calls the function: its name, source and captures go before the arguments. */
export function inlineDefinition(parts: InlineParts): Definition {
  const { name, source, generator, attempts, captures } = parts;
  const encode = (args: readonly unknown[]) =>
    encodeArgs([name, source, captures(), ...args], LEADING);
  return define({ name, id: inlineId(generator), generator, attempts, encode });
}

function readOrRefuse(fn: unknown, name: string): FunctionSource {
  try {
    return readFunction(Function.prototype.toString.call(fn));
  } catch (error) {
    if (!(error instanceof UnreadableFunction)) throw error;
    throw refusal(name, [error.message], []);
  }
}

/** @throws InlineFunctionError that names all that is missing */
function check(read: FunctionSource, name: string, captured: ReadonlySet<string>): void {
  const missing = [...read.free].filter(([one, use]) => isMissing(one, use, captured));
  const names = missing.map(([one]) => one);
  const assigned = (one: string) => read.free.get(one)?.assigned === true;
  const unassigned = names.filter((one) => !assigned(one));
  const why = [...reasonsOf(read), ...namesReasons(unassigned, name)];
  const lost = [...captured].filter(assigned);
  if (lost.length > 0) {
    why.push(
      `it assigns to ${lost.join(', ')}, of which a worker has a copy: return the new value`,
    );
  }
  const outside = names.filter(assigned);
  if (outside.length > 0) {
    why.push(
      `it assigns to ${outside.join(', ')}, which a worker does not have: declare it inside, and return the value`,
    );
  }
  if (why.length > 0) throw refusal(name, why, names);
}

function isMissing(name: string, use: FreeName, captured: ReadonlySet<string>): boolean {
  if (captured.has(name) || Object.hasOwn(INLINE_HELPERS, name)) return false;
  if (name === 'arguments') return false;
  return use.used && !use.guarded && !isGlobal(name);
}

function reasonsOf({ free, kind, receiver }: FunctionSource): string[] {
  const reasons: string[] = [];
  if (free.has('arguments')) reasons.push("it uses the 'arguments' of the function around it");
  if (receiver === 'super') reasons.push("it uses 'super', and is sent without its class");
  if (receiver === 'this') {
    const [what, whose] =
      kind === 'arrow' ? ['an arrow function', 'around it'] : ['a method', 'of its object'];
    reasons.push(`it is ${what}, and uses the 'this' ${whose}`);
  }
  return reasons;
}

/** What compilers make of a name that was imported: `import_math`, `math_1`, `__vi_import_0__`. */
const IMPORTED = /^(?:import_\w+|\w+_\d+|__vi(?:te_ssr)?_import_\d+__|__webpack\w+)$/;
/** The same may be a variable's name. */
const VARIABLE = /^(?!import_|__)/;

function namesReasons(missing: readonly string[], name: string): string[] {
  if (missing.length === 0) return [];
  const list = missing.join(', ');
  const isImport = (one: string) => IMPORTED.test(one) || AT_HAND.has(one);
  const values = missing.filter((one) => !isImport(one) || VARIABLE.test(one));
  const hints: string[] = [];
  if (values.length > 0) hints.push(`pass values by { captures: { ${values.join(', ')} } }`);
  if (missing.some(isImport)) {
    const what = values.length > 0 ? 'of imports' : 'of the import';
    hints.push(`${what}, capture a variable with what you need, or \`await import(...)\` inside`);
  }
  if (missing.includes(name)) hints.push(`write it as \`function ${name}\` where it calls itself`);
  return [`it uses ${list}, which a worker does not have: ${hints.join('; ')}`];
}

function refusal(name: string, why: readonly string[], missing: readonly string[]) {
  const message = `'${name}' can't be sent to a worker by its source: ${why.join('; ')}`;
  return new InlineFunctionError(message, { missing });
}

/** The enumerable ones that Node itself makes: others are a program's own, or variables of a REPL. */
const ENUMERABLE = new Set([
  'atob',
  'btoa',
  'clearImmediate',
  'clearInterval',
  'clearTimeout',
  'crypto',
  'fetch',
  'global',
  'localStorage',
  'navigator',
  'performance',
  'queueMicrotask',
  'sessionStorage',
  'setImmediate',
  'setInterval',
  'setTimeout',
  'structuredClone',
]);

/** Modules, and what goes with them, that a REPL and `node --eval` have as globals. */
const AT_HAND = new Set(['require', 'module', 'exports', '__filename', '__dirname']);
for (const name of builtinModules) AT_HAND.add(name);
for (const name of ['console', 'crypto', 'process']) AT_HAND.delete(name);

/** Whether every process has it. */
function isGlobal(name: string): boolean {
  const own = Object.getOwnPropertyDescriptor(globalThis, name);
  if (own === undefined) return name in globalThis;
  return ENUMERABLE.has(name) || !(own.enumerable || AT_HAND.has(name));
}
