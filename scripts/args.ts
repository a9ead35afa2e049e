/** Command lines of the scripts: what is wrong with one is said in a line, without a stack. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

/** The command line was wrong. */
export class UsageError extends Error {}

/**
 * The values of the options of a command line.
 *
 * @throws UsageError
 */
export function parseOptions<O extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: O,
) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** @throws UsageError */
export function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^-?\d+$/.test(text) && value >= least && value <= most) return value;
  throw new UsageError(`--${name} takes a whole number from ${least} to ${most}, not '${text}'`);
}
