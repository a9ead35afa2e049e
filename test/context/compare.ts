/** Compares what a script did with what the oracle says. */

/** Numbers the ids of chains in the order in which they come. */
export class ChainNames {
  readonly #names = new Map<string, string>();

  in(line: string): string {
    return line.replace(/chain <(.*)>/, (_all, id: string) => {
      const name = this.#names.get(id) ?? `chain ${this.#names.size + 1}`;
      this.#names.set(id, name);
      return name;
    });
  }
}

const RESET = /^( *reset v\d with (.+)): (\w+)$/;

/**
 * Whether a line is what the oracle says. The runtime may know more: that a token was used in another
 * task, since one process ran both. Then it says so where the oracle has another reason to refuse.
 */
function matches(expected: string, actual: string, spent: ReadonlySet<string>): boolean {
  if (expected === actual) return true;
  const [, place, token = '', outcome] = RESET.exec(expected) ?? [];
  const [, actualPlace, , actualOutcome] = RESET.exec(actual) ?? [];
  if (place === undefined || place !== actualPlace || outcome === 'ok') return false;
  return actualOutcome === 'TokenUsedError' && spent.has(token);
}

/** Where the lines differ first, with those before it; undefined when they are the same. */
export function difference(
  expected: readonly string[],
  actual: readonly string[],
  spent: ReadonlySet<string>,
): string | undefined {
  const lines: string[] = [];
  for (let i = 0; i < Math.max(expected.length, actual.length); i += 1) {
    const [one = '(end)', other = '(end)'] = [expected[i], actual[i]];
    if (!matches(one, other, spent)) {
      return [...lines, `- ${one}   (oracle)`, `+ ${other}   (runtime)`].join('\n');
    }
    lines.push(`  ${other}`);
  }
  return undefined;
}
