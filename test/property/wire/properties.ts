/** As `Object.fromEntries`; an entry `__proto__` becomes a property here too. */
export function fromEntries(target: object, entries: readonly [string, unknown][]): object {
  for (const [key, value] of entries) {
    Object.defineProperty(target, key, {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return target;
}
