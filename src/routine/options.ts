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

/** @throws RangeError when it is given, and neither a whole number from `least` on nor Infinity */
export function checkWhole(name: string, value: number | undefined, least: number): void {
  if (value === undefined || value === Number.POSITIVE_INFINITY) return;
  if (Number.isInteger(value) && value >= least) return;
  throw new RangeError(`${name} must be a whole number, ${least} or more, not ${String(value)}`);
}

/** @throws RangeError when it is given, and no number of milliseconds from `least` on */
export function checkMs(name: string, value: number | undefined, least: number): void {
  if (value === undefined || (typeof value === 'number' && value >= least)) return;
  throw new RangeError(
    `${name} must be a number of milliseconds, ${least} or more, not ${String(value)}`,
  );
}

/** @throws TypeError when one is given, and neither true nor false */
export function checkBooleans(values: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || typeof value === 'boolean') continue;
    throw new TypeError(`${name} must be true or false, not ${describe(value)}`);
  }
}

/** @throws TypeError when it is given, and no array of texts */
export function checkTexts(name: string, value: unknown): void {
  if (value === undefined) return;
  if (Array.isArray(value) && value.every((text) => typeof text === 'string')) return;
  throw new TypeError(`${name} must be an array of strings`);
}

/** The same without those that are undefined, so that they do not hide defaults. */
export function given<T extends object>(options: T): T {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as T;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function') return 'a function';
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/** Any name, so that editors still propose those that are spelled out beside it. */
export type OtherName = string & Record<never, never>;
