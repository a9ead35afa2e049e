/** Checks of options that users give. */

/**
 * @param what whose options they are, e.g. `WorkerPool.open(options)`
 * @param known the names of all that there are
 * @throws TypeError when it is no object, or has an option of another name
 */
export function checkNames(what: string, options: unknown, known: readonly string[]): void {
  checkObject(what, options, `; it may have ${known.join(', ')}`);
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new TypeError(`${what} has no option '${name}'; it may have ${known.join(', ')}`);
  }
}

/** @throws TypeError when it is no object */
export function checkObject(
  what: string,
  value: unknown,
  hint = '',
): asserts value is Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
  throw new TypeError(`${what} must be an object, not ${describe(value)}${hint}`);
}

/** @throws TypeError when it is no function */
export function checkFunction(what: string, fn: unknown): void {
  if (typeof fn === 'function') return;
  throw new TypeError(`${what} takes a function, not ${describe(fn)}`);
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function') return 'a function';
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/** Any name, so that editors still propose those that are spelled out beside it. */
export type OtherName = string & Record<never, never>;
