/**
 * By what a routine is known: the module that calls `routine(...)`, found from the stack, and a name,
 * which is the function's own or that of the variable it is assigned to.
 */
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ClassRegistrationError, RoutineIdentityError } from '../errors.ts';

/** A place in a source file. Line and column count from 1. */
export interface CallSite {
  readonly module: string;
  readonly line: number;
  readonly column: number;
  /** Differs where the module was evaluated anew, as far as one can tell. */
  readonly evaluation?: string;
}

/**
 * Whether what is made at a place takes the place of what was made earlier under the same name: by the
 * same line, or by a module that is evaluated anew, by a test runner or after an edit.
 */
export function isReplacedAt(earlier: CallSite, site: CallSite): boolean {
  if (earlier.module !== site.module) return false;
  if (earlier.evaluation !== site.evaluation) return true;
  return earlier.line === site.line && earlier.column === site.column;
}

const FRAME = /(?:\(|at (?:async )?)((?:file:\/\/|node:|\/|[A-Za-z]:[\\/]).*?):(\d+):(\d+)\)?$/;
// Node gives code of `--eval` in a module a place in the current folder.
const IS_FILE = /^(?:file:\/\/|\/|[A-Za-z]:[\\/])(?!.*[\\/]\[eval\d*\]$)/;

/**
 * The place that called `callee`.
 *
 * @param module what to take for its module when the stack does not show a file there
 * @throws RoutineIdentityError, ClassRegistrationError when the stack does not show a file there
 */
// biome-ignore lint/complexity/noBannedTypes: any function, as captureStackTrace takes it
export function callSite(callee: Function, module?: string): CallSite {
  return siteOf(framesBelow(callee, 1)[0], callee.name, module);
}

/** The place that called `callee`, or made an instance of it; undefined where the stack shows no file. */
// biome-ignore lint/complexity/noBannedTypes: any function, as captureStackTrace takes it
export function fileSite(callee: Function): CallSite | undefined {
  return inFile(framesBelow(callee, 1)[0]);
}

/** The name of the variable that the value is assigned to that `callee` gives, where that is in a file. */
// biome-ignore lint/complexity/noBannedTypes: any function, as captureStackTrace takes it
export function assignedName(callee: Function): string | undefined {
  const site = fileSite(callee);
  return site && nameAt(site);
}

/** Packages with what compilers call for a decorator. */
const HELPERS = /[\\/]node_modules[\\/](?:tslib|@babel[\\/]runtime[\w-]*|@swc[\\/]helpers)[\\/]/;
/** Frames in which the class is looked for that has a decorator. */
const DECORATION_FRAMES = 30;

/**
 * The place of the class that has `decorator`, or one of whose members has it. Compilers have their own
 * functions between the two: in a package, or at the top of the same file.
 *
 * @param name of the decorator, for the message of an error
 * @param module what to take for its module when the stack does not show a file there
 * @throws RoutineIdentityError, ClassRegistrationError when the stack does not show a file there
 */
export function decorationSite(
  // biome-ignore lint/complexity/noBannedTypes: any function, as captureStackTrace takes it
  decorator: Function,
  name: string,
  module?: string,
): CallSite {
  const frames = framesBelow(decorator, DECORATION_FRAMES);
  const first = frames.findIndex(({ file }) => file !== undefined && !HELPERS.test(file));
  let last = first;
  while (first >= 0 && frames[last + 1]?.file === frames[first]?.file) last += 1;
  return siteOf(frames[last], name, module);
}

interface Frame {
  /** Empty for code that has none; undefined for the engine's own. */
  readonly file: string | undefined;
  readonly line: number;
  readonly column: number;
  /** As the stack shows it, by a source map perhaps. */
  readonly text: string;
}

// biome-ignore lint/complexity/noBannedTypes: any function, as captureStackTrace takes it
function framesBelow(callee: Function, limit: number): Frame[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  let stack: unknown;
  let sites: readonly NodeJS.CallSite[];
  try {
    Error.stackTraceLimit = limit;
    stack = attempt(() => captureStack(callee));
    Error.prepareStackTrace = (_error, all) => all;
    sites = captureStack(callee) as readonly NodeJS.CallSite[];
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
  const lines = typeof stack === 'string' ? stack.split('\n') : [];
  const header = lines.length - sites.length;
  return sites.map((site, i) => ({
    // Not the text's: that of code in an eval names the file around it.
    file: site.isEval() ? '' : (site.getFileName() ?? undefined),
    line: site.getLineNumber() ?? 1,
    column: site.getColumnNumber() ?? 1,
    text: lines[header + i] ?? '',
  }));
}

/** The program's own `Error.prepareStackTrace` may throw. */
function attempt<T>(fn: () => T): T | undefined {
  try {
    return fn();
  } catch {
    return undefined;
  }
}

function siteOf(frame: Frame | undefined, callee: string, module: string | undefined): CallSite {
  const site = inFile(frame);
  if (site !== undefined) return site;
  if (module !== undefined) return { module: moduleUrl(module), line: 0, column: 0 };
  const [things, named, Unnamed] =
    callee === 'routine'
      ? [
          'routines',
          'routine(fn, { module }), and routine.inline(fn) sends it without one',
          RoutineIdentityError,
        ]
      : ['classes', 'the option module', ClassRegistrationError];
  throw new Unnamed(
    `${callee}(...) was called from a place that is no file (${frame?.text.trim() || 'no stack'}), ` +
      `and workers import the module that does so: ${things} must be in a file. ` +
      `Import them from there; code that a file generates names it by ${named}`,
  );
}

function inFile(frame: Frame | undefined): CallSite | undefined {
  if (frame?.file === undefined || !IS_FILE.test(frame.file)) return undefined;
  const { file, text, line, column } = frame;
  const url = moduleUrl(file);
  // Its query is another one for each import that evaluates it anew.
  const evaluation = `${file}@${versionOf(url)}`;
  // A loader like tsx maps positions to the file as it was written. Where a source map leads to another
  // file, the script that runs counts: workers import that one.
  const [, mappedFile, mappedLine, mappedColumn] = FRAME.exec(text) ?? [];
  if (mappedFile !== undefined && moduleUrl(mappedFile) === url) {
    return { module: url, line: Number(mappedLine), column: Number(mappedColumn), evaluation };
  }
  return { module: url, line, column, evaluation };
}

// biome-ignore lint/complexity/noBannedTypes: any function, as captureStackTrace takes it
function captureStack(callee: Function): unknown {
  const holder: { stack?: unknown } = {};
  Error.captureStackTrace(holder, callee);
  return holder.stack;
}

/** The URL of a module, without query and fragment. */
export function moduleUrl(place: string): string {
  const url = /^[a-z][a-z0-9+.-]+:/.test(place) ? new URL(place) : pathToFileURL(place);
  url.search = '';
  url.hash = '';
  return url.href;
}

// What may stand before the call: `const add =`, `exports.add =`, `static add =`, and in objects
// `add:` or `'add':`.
const ASSIGNED = /([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*[=:]$/u;
const QUOTED = /(['"])([^'"]+)\1\s*:$/;
const DEFAULT = /\bexport\s+default$/;
// What may stand before the type of a variable or field: `const add:`, `static readonly add:`.
const TYPED =
  /(?:^|[;{},]|\b(?:const|let|var|static|readonly))\s*([\p{ID_Start}$_][\p{ID_Continue}$]*)[!?]?\s*$/mu;
const COMMENTS = /(?:\/\*(?:(?!\*\/)[\s\S])*\*\/|\/\/.*)/g;
const INDIRECT = /\(0,\s*[\w$.]+\)$/;
const CALLEE = /^(?:[\w$.]+\s*(?:<|\()|\(0,)/;
/** Lines before the call in which its variable is looked for. */
const LOOK_BACK = 40;

/** Of a file: another one when it was changed. */
function versionOf(module: string): string {
  try {
    const { mtimeMs, size } = statSync(fileURLToPath(module));
    return `${mtimeMs}:${size}`;
  } catch {
    return '';
  }
}

interface Source {
  readonly version: string;
  readonly lines: readonly string[] | undefined;
}

const sources = new Map<string, Source>();

function source(module: string): Source['lines'] {
  const version = versionOf(module);
  let known = sources.get(module);
  if (known?.version !== version) {
    known = { version, lines: readLines(module) };
    sources.set(module, known);
  }
  return known.lines;
}

function readLines(module: string): Source['lines'] {
  try {
    return readFileSync(fileURLToPath(module), 'utf8').split('\n');
  } catch {
    return undefined;
  }
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
  // In compiled CommonJS, `(0, skein_1.routine)(`, the position is that of the last parenthesis.
  start = INDIRECT.exec(line.slice(0, start))?.index ?? start;
  if (!CALLEE.test(line.slice(start))) return undefined;
  const above = lines.slice(Math.max(0, site.line - LOOK_BACK), site.line - 1);
  const before = [...above, line.slice(0, start)].join('\n').replace(COMMENTS, '').trimEnd();
  if (DEFAULT.test(before)) return 'default';
  return ASSIGNED.exec(before)?.[1] ?? QUOTED.exec(before)?.[2] ?? typedName(before);
}

/** The name in `name: Type<...> =`, whatever the type is. */
function typedName(before: string): string | undefined {
  if (!before.endsWith('=')) return undefined;
  let depth = 0;
  for (let i = before.length - 2; i >= 0; i -= 1) {
    const char = before[i] as string;
    if (char === '>' && before[i - 1] === '=') i -= 1;
    else if ('>)}]'.includes(char)) depth += 1;
    else if ('<({['.includes(char)) depth -= 1;
    else if (depth === 0 && char === ':') {
      const name = TYPED.exec(before.slice(0, i))?.[1];
      if (name !== undefined) return name;
    }
    if (depth < 0 || (depth === 0 && char === ';')) return undefined;
  }
  return undefined;
}
