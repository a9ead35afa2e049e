/** What all copies of the package in one process have together. */

const key = Symbol.for('skein.context.1');
const holder = globalThis as { [key]?: Map<string, unknown> };
holder[key] ??= new Map();
const parts = holder[key];

/**
 * Gives what the first copy of the package has made under this name. A loader may make a second copy, for
 * CommonJS say: what one of them sets, the other must see.
 */
export function shared<T>(name: string, make: () => T): T {
  if (!parts.has(name)) parts.set(name, make());
  return parts.get(name) as T;
}
