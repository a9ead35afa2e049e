/** Finds out whether a class keeps state that nobody outside of it can read. */
import { createRequire } from 'node:module';
import type { ClassDeclaration, ClassExpression } from 'acorn';

/**
 * The private names (`#amount`) of the instances of a class, its own and those that it inherits. Empty
 * where there is no source to look at.
 *
 * @param classes the class, and those that it extends
 */
export function privateNames(classes: readonly object[]): string[] {
  return classes.flatMap((Class) => {
    const source = Function.prototype.toString.call(Class);
    // Most classes have none, and the parser need not be loaded for them.
    return source.includes('#') ? namesIn(source) : [];
  });
}

function namesIn(source: string): string[] {
  const { parseExpressionAt } = createRequire(import.meta.url)('acorn') as typeof import('acorn');
  let parsed: ClassDeclaration | ClassExpression;
  try {
    parsed = parseExpressionAt(source, 0, { ecmaVersion: 'latest' }) as ClassExpression;
  } catch {
    // Syntax that is newer than the parser.
    return [];
  }
  const names: string[] = [];
  for (const member of parsed.body.body) {
    const hidden = 'key' in member && member.key.type === 'PrivateIdentifier' && !member.static;
    if (hidden) names.push(`#${(member.key as { name: string }).name}`);
  }
  return names;
}
