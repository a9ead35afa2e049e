/** A function as text, and what that text needs of the code around it. */
import { createRequire } from 'node:module';
import type * as Acorn from 'acorn';
import type * as EslintScope from 'eslint-scope';
import { Recent } from './recent.ts';

/** A name that a function uses and does not declare. */
export interface FreeName {
  /** Whether it is used other than by `typeof`. */
  readonly used: boolean;
  /** Whether it is compared with `'undefined'` by `typeof`: the function does without it. */
  readonly guarded: boolean;
  readonly assigned: boolean;
}

export interface FunctionSource {
  /** An expression that gives the function. */
  readonly expression: string;
  /** An arrow function has no `this` and no `arguments` of its own. */
  readonly kind: 'arrow' | 'method' | 'function';
  /** By name; `arguments` is one of an arrow function. */
  readonly free: ReadonlyMap<string, FreeName>;
  /** `super`, or a `this` that is not its own or that of its object, where it uses them. */
  readonly receiver: 'this' | 'super' | undefined;
}

/** Why a text is not read as a function. */
export class UnreadableFunction extends Error {}

/** Sources that were read last: functions that differ only in their captures have the same. */
const RECENT = 100;

const recent = new Recent(RECENT, analyse);

/**
 * Reads what `Function.prototype.toString` gives, as strict code, which it is on a worker.
 *
 * @throws UnreadableFunction when it can't be moved to another place
 */
export function readFunction(text: string): FunctionSource {
  return recent.get(text);
}

interface Parser {
  readonly parse: typeof Acorn.parse;
  readonly analyze: typeof EslintScope.analyze;
}

let parser: Parser | undefined;

/** Loaded when needed: most programs, and most workers, never do. */
function load(): Parser {
  if (parser === undefined) {
    const require = createRequire(import.meta.url);
    const { parse } = require('acorn') as typeof Acorn;
    const { analyze } = require('eslint-scope') as typeof EslintScope;
    parser = { parse, analyze };
  }
  return parser;
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** What may stand around the text to make it an expression, in the order in which it is tried. */
const FRAMES = [
  { before: "'use strict';(", after: '\n)' },
  // A method.
  { before: "'use strict';({", after: '\n})' },
  // A private method.
  { before: "'use strict';(class{", after: '\n})' },
];

/** What TypeScript and esbuild call for generators, where the target has none of that kind. */
const GENERATOR_HELPER = /^__(?:asyncG|g)enerator$/;

/**
 * Whether it is what a compiler made of a generator function for an older target: a function whose body
 * gives what `__asyncGenerator(...)` does.
 *
 * @param text as `Function.prototype.toString` gives it
 */
export function isCompiledGenerator(text: string): boolean {
  // So that the parser is not loaded for others.
  if (!text.includes('__asyncGenerator') && !text.includes('__generator')) return false;
  let node: Node | undefined;
  try {
    ({ node } = nodeOf(parse(text)));
  } catch {
    return false;
  }
  const statements = (node?.body as Node | undefined)?.body;
  if (!Array.isArray(statements)) return false;
  return (statements as Node[]).some(({ type, argument }) => {
    if (type !== 'ReturnStatement') return false;
    const callee = (argument as Node | null)?.callee as Node | undefined;
    return GENERATOR_HELPER.test(helperName(callee));
  });
}

/** As in `__generator(...)`, `tslib.__generator(...)` and `(0, tslib.__generator)(...)`. */
function helperName(callee: Node | undefined): string {
  const last =
    callee?.type === 'SequenceExpression' ? (callee.expressions as Node[]).at(-1) : callee;
  const named = last?.type === 'MemberExpression' ? (last.property as Node) : last;
  return String(named?.name);
}

function analyse(text: string): FunctionSource {
  const parsed = parse(text);
  const { code } = parsed;
  const { member, node } = nodeOf(parsed);
  if (node === undefined || !/Function/.test(node.type)) {
    throw new UnreadableFunction('it is a class, which is not called');
  }
  const other = node.type === 'ArrowFunctionExpression' ? 'arrow' : 'function';
  const kind = member ? 'method' : other;
  const expression = member ? asProperty(member, code) : text;
  // Without the key of a method, which may be computed.
  const { program } = member ? parse(expression) : parsed;
  return { expression, kind, free: freeNames(program), receiver: receiverOf(node, kind) };
}

/** The function itself, and where it is a method, the member that it is of something. */
function nodeOf({ framed, expression }: Parsed): {
  readonly member: Node | undefined;
  readonly node: Node | undefined;
} {
  const member = framed ? memberOf(expression) : undefined;
  return { member, node: framed ? (member?.value as Node | undefined) : expression };
}

interface Parsed {
  readonly code: string;
  readonly program: Node;
  readonly expression: Node;
  /** Whether the text alone is no expression. */
  readonly framed: boolean;
}

function parse(text: string): Parsed {
  let why = '';
  let furthest = -1;
  for (const { before, after } of FRAMES) {
    const code = `${before}${text}${after}`;
    try {
      const options = { ecmaVersion: 'latest', ranges: true } as const;
      const program = load().parse(code, options) as unknown as Node;
      const { expression } = (program.body as readonly { expression?: unknown }[])[1] ?? {};
      const framed = before !== FRAMES[0]?.before;
      return { code, program, expression: expression as Node, framed };
    } catch (error) {
      const { pos, message } = error as SyntaxError & { pos?: number };
      if (pos === undefined) throw error;
      if (pos - before.length <= furthest) continue;
      furthest = pos - before.length;
      why = message.replace(/ \(\d+:\d+\)$/, '');
    }
  }
  if (/\{\s*\[native code\]\s*\}$/.test(text)) {
    const hint =
      'it is built in or bound, and has no source: put it into a function, `(x) => f(x)`';
    throw new UnreadableFunction(hint);
  }
  throw new UnreadableFunction(`its source can't be read by itself (${why})`);
}

/** The only member of the object or class around a method. */
function memberOf({ properties, body }: Node): Node | undefined {
  const [member] = (properties ?? (body as Node).body) as Node[];
  return member;
}

/** A method in an object of its own, where what its key is computed from is not needed. */
function asProperty({ key, value, computed }: Node, code: string): string {
  const { start, end, async, generator } = value as Node;
  const { name, value: literal } = key as Node;
  const label = JSON.stringify(computed === true ? 'method' : String(name ?? literal));
  const kind = `${async === true ? 'async ' : ''}${generator === true ? '*' : ''}`;
  return `({ ${kind}${label}${code.slice(start, end)} })[${label}]`;
}

function freeNames(program: Node): Map<string, FreeName> {
  const options = { ecmaVersion: 2022, ignoreEval: true } as const;
  const tree = program as unknown as Parameters<typeof EslintScope.analyze>[0];
  const { globalScope } = load().analyze(tree, options);
  const { asked, guarded } = typeofs(program);
  const free = new Map<string, FreeName>();
  for (const reference of globalScope?.through ?? []) {
    const { name } = reference.identifier as unknown as { name: string };
    const other = free.get(name);
    free.set(name, {
      used: (other?.used ?? false) || !asked.has(reference.identifier),
      guarded: guarded.has(name),
      assigned: (other?.assigned ?? false) || reference.isWrite(),
    });
  }
  return free;
}

/** The identifiers that stand behind a `typeof`, and the names of those compared with 'undefined'. */
function typeofs(program: Node): { asked: Set<unknown>; guarded: Set<string> } {
  const asked = new Set<unknown>();
  const guarded = new Set<string>();
  walk(program, (node) => {
    const name = typeofName(node);
    if (name !== undefined) asked.add(node.argument);
    if (node.type === 'BinaryExpression') {
      const sides = [node.left as Node, node.right as Node];
      // Minifiers write `< 'u'`.
      if (!sides.some(({ value }) => value === 'undefined' || value === 'u')) return true;
      for (const side of sides) {
        const compared = typeofName(side);
        if (compared !== undefined) guarded.add(compared);
      }
    }
    return true;
  });
  return { asked, guarded };
}

function typeofName({ type, operator, argument }: Node): string | undefined {
  if (type !== 'UnaryExpression' || operator !== 'typeof') return undefined;
  const { type: kind, name } = argument as Node;
  return kind === 'Identifier' ? String(name) : undefined;
}

/** What the function takes from around it beside names. The `this` of a function is whoever calls it. */
function receiverOf(fn: Node, kind: FunctionSource['kind']): FunctionSource['receiver'] {
  let found: FunctionSource['receiver'];
  walk(fn, (node) => {
    if (node.type === 'Super') found = 'super';
    if (node.type === 'ThisExpression' && kind !== 'function') found ??= 'this';
    // What follows has a receiver of its own.
    if (node !== fn && /^Function(?:Expression|Declaration)$/.test(node.type)) return false;
    if (node.type === 'StaticBlock') return false;
    return node.type === 'PropertyDefinition' ? ['key'] : true;
  });
  return found;
}

/** @param visit says whether to go on with the children of a node, or with which of them */
function walk(node: Node, visit: (node: Node) => boolean | readonly string[]): void {
  const on = visit(node);
  if (on === false) return;
  for (const key of on === true ? Object.keys(node) : on) {
    for (const child of [node[key]].flat() as (Node | null | undefined)[]) {
      if (typeof child?.type === 'string') walk(child, visit);
    }
  }
}
