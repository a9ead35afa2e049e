/**
 * By what a routine is known: the module that calls `routine(...)`, found from the stack, and a name,
 * which is the function's own or that of the variable it is assigned to.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { RoutineIdentityError } from '../errors.ts';

/** A place in a source file. Line and column count from 1. */
export interface CallSite {
  readonly module: string;
  readonly line: number;
  readonly column: number;
}

const FRAME = /(?:\(|at (?:async )?)((?:file:\/\/|node:|\/|[A-Za-z]:[\\/]).*?):(\d+):(\d+)\)?$/;

/**
 * The place that called `callee`.
 *
 * @throws RoutineIdentityError when the stack does not show a file there
 */
// biome-ignore lint/complexity/noBannedTypes: any function, as captureStackTrace takes it
export function callSite(callee: Function): CallSite {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 1;
  const holder: { stack?: unknown } = {};
  Error.captureStackTrace(holder, callee);
  const { stack } = holder;
  Error.stackTraceLimit = limit;
  const line = typeof stack === 'string' ? (stack.split('\n').at(-1) ?? '') : '';
  const match = FRAME.exec(line);
  if (!match?.[1]) {
    throw new RoutineIdentityError(
      `routine(...) was called from a place that is no file (${line.trim() || 'no stack'}); ` +
        'name its module: routine(fn, { module: import.meta.url })',
    );
  }
  return { module: moduleUrl(match[1]), line: Number(match[2]), column: Number(match[3]) };
}

/** The URL of a module, without query and fragment. */
export function moduleUrl(place: string): string {
  const url = /^[a-z][a-z0-9+.-]+:/.test(place) ? new URL(place) : pathToFileURL(place);
  url.search = '';
  url.hash = '';
  return url.href;
}

// What may stand between a name and the call: `const add =`, `export const add: T =`,
// `exports.add =`, `add:` in an object, `static add =` in a class.
const BINDING =
  /(?:^|[\s;{,(.])([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*(?:(?::[^=;{}]*)?=|:)\s*(?:\(0,\s*)?$/u;
const CALLEE = /^(?:[\w$.]+\s*(?:<|\()|\(0,)/;

const sources = new Map<string, readonly string[] | undefined>();

function source(module: string): readonly string[] | undefined {
  if (!sources.has(module)) {
    let lines: readonly string[] | undefined;
    try {
      lines = readFileSync(fileURLToPath(module), 'utf8').split('\n');
    } catch {
      lines = undefined;
    }
    sources.set(module, lines);
  }
  return sources.get(module);
}

/** The name of the variable, export or property that the call at `site` is assigned to. */
export function nameAt(site: CallSite): string | undefined {
  const lines = source(site.module);
  const line = lines?.[site.line - 1];
  if (!lines || line === undefined) return undefined;
  let start = site.column - 1;
  // A position inside `skein.routine(` or `(0, skein.routine)(` may point behind its beginning.
  while (start > 0 && /[\w$.]/.test(line[start - 1] ?? '')) start -= 1;
  if (line.slice(0, start).endsWith('(0, ')) start -= '(0, '.length;
  if (!CALLEE.test(line.slice(start))) return undefined;
  const before = [...lines.slice(Math.max(0, site.line - 9), site.line - 1), line.slice(0, start)];
  return BINDING.exec(before.join('\n'))?.[1];
}
