/** Warnings of the process about what could not travel. */

/** Messages that were given out; beyond this many, the oldest may come again. */
const REMEMBERED = 1_000;

const given = new Set<string>();

/** Warns once of the same thing, since it may happen with every call. */
export function warnSerialization(message: string): void {
  if (given.has(message)) return;
  for (const oldest of given) {
    if (given.size < REMEMBERED) break;
    given.delete(oldest);
  }
  given.add(message);
  process.emitWarning(message, 'SkeinSerializationWarning');
}
