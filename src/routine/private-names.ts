/** Finds out whether a class has private members: only its constructor gives them to an instance. */
import { createRequire } from 'node:module';
import type { ClassExpression, Node } from 'acorn';

/** What a class must have in its source to be worth the parser's loading. */
const SUSPICIOUS = /#|__private|_classPrivate|_class_private_|\.(?:set|add)\(this\b/;

/**
 * The private members of the instances of a class, its own and those that it inherits: `#amount`, `#pay()` for
 * a method, `accessor amount`. Those that a compiler made something else of are found where that is tsc,
 * esbuild, Babel or SWC, and the names of its helpers were not shortened. Empty where there is no source.
 *
 * @param classes the class, and those that it extends
 */
export function privateNames(classes: readonly object[]): string[] {
  return classes.flatMap((Class) => {
    const source = Function.prototype.toString.call(Class);
    return SUSPICIOUS.test(source) ? namesIn(source, (Class as { name: unknown }).name) : [];
  });
}

function namesIn(source: string, className: unknown): string[] {
  const { parseExpressionAt } = createRequire(import.meta.url)('acorn') as typeof import('acorn');
  let parsed: ClassExpression;
  try {
    parsed = parseExpressionAt(source, 0, { ecmaVersion: 'latest' }) as ClassExpression;
  } catch {
    // Syntax that is newer than the parser.
    return [];
  }
  if (parsed.type !== 'ClassExpression') return [];
  const names: string[] = [];
  const prefix = typeof className === 'string' && className !== '' ? `_${className}_` : undefined;
  const textOf = ({ start, end }: Node) => source.slice(start, end);
  for (const member of parsed.body.body) {
    if (!('key' in member) || member.static) continue;
    const { key, value } = member;
    if (key.type === 'PrivateIdentifier') {
      names.push(display(key.name, member.type === 'MethodDefinition' && member.kind === 'method'));
    } else if (value && (member.type === 'PropertyDefinition' || member.kind === 'constructor')) {
      names.push(...compiledNames(textOf(value), source, prefix));
    }
  }
  return names;
}

const HELPER =
  /(?:__privateAdd|_classPrivate(?:Field|Method)InitSpec|_class_private_(?:field|method)_init)\(this, (\w+)/g;
const WEAK = /\b(\w+)\.(?:set|add)\(this\b/g;

/** What `made`, the constructor or the value of a field, adds to an instance by a compiler's helpers. */
function compiledNames(made: string, source: string, prefix = '_'): string[] {
  const variables = [...made.matchAll(HELPER)].map(([, variable]) => variable as string);
  for (const [, variable] of made.matchAll(WEAK) as Iterable<[string, string]>) {
    // Programs have such lines, too.
    const used = new RegExp(`__classPrivateField\\w+\\([^;]*\\b${variable}\\b`).test(source);
    if (used || (prefix !== '_' && variable.startsWith(prefix))) variables.push(variable);
  }
  const strip = (name: string) => name.slice(name.startsWith(prefix) ? prefix.length : 0);
  return variables.flatMap((variable) => {
    if (!/_(?:instances|brand)$/.test(variable)) return display(strip(variable), false);
    const methods = methodsOf(variable, source).map((name) => strip(name));
    return methods.length > 0 ? methods.map(displayMethod) : 'methods';
  });
}

/** What a compiler calls the private methods, getters and setters that instances in this set have. */
function methodsOf(instances: string, source: string): string[] {
  const use = new RegExp(`\\(\\w+, ${instances}, (?:"\\w", )?([A-Za-z_$][\\w$]*)`, 'g');
  return [...new Set([...source.matchAll(use)].map(([, name]) => name as string))];
}

function displayMethod(name: string): string {
  return /_[gs]et$/.test(name)
    ? display(name.slice(0, -4), false)
    : display(name.replace(/_fn\d*$/, ''), true);
}

function display(name: string, method: boolean): string {
  const [, accessor] = /^_?(.+)_accessor_storage$/.exec(name) ?? [];
  if (accessor !== undefined) return `accessor ${accessor}`;
  return `#${name.replace(/^_/, '')}${method ? '()' : ''}`;
}
