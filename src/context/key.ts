/** Keys that variables are found by: namespace and name in one text. */
import type { VariableKey } from '../wire/context.ts';

/** In no namespace and no name. Sorts before all other characters. */
const SEPARATOR = '\0';

export function keyOf({ namespace, name }: VariableKey): string {
  return namespace + SEPARATOR + name;
}

export function partsOf(key: string): VariableKey {
  const at = key.indexOf(SEPARATOR);
  return { namespace: key.slice(0, at), name: key.slice(at + 1) };
}

/** What people call a variable: `namespace:name`. */
export function labelOf({ namespace, name }: VariableKey): string {
  return namespace === '' ? name : `${namespace}:${name}`;
}

/** A variable, as far as its values need to know it. */
export interface Variable extends VariableKey {
  /** Whether this process has declared it, and does not just know its key. */
  readonly isDeclared: boolean;
  /** `namespace:name`. */
  toString(): string;
}
