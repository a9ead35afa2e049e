/** Warnings of the process about what could not travel. */
import { plain } from './plain.ts';

/** Messages that were given out; beyond this many, the oldest may come again. */
const REMEMBERED = 1_000;
/** Peers can name things without an end: so many in that time, and then no more. */
const MOST = 1_000;
const PERIOD_MS = 60_000;
/** Characters of a message. */
const LONGEST = 2_000;
const TYPE = 'SkeinSerializationWarning';

const given = new Set<string>();
let began = Number.NEGATIVE_INFINITY;
let count = 0;

/** Warns once of the same thing, since it may happen with every call. */
export function warnSerialization(message: string): void {
  if (given.has(message)) return;
  const now = performance.now();
  if (now > began + PERIOD_MS) {
    began = now;
    count = 0;
  }
  count += 1;
  if (count > MOST) {
    const seconds = PERIOD_MS / 1_000;
    const more = `more than ${MOST} things can't travel: nothing more is said of that for ${seconds} s`;
    if (count === MOST + 1) process.emitWarning(more, TYPE);
    return;
  }
  for (const oldest of given) {
    if (given.size < REMEMBERED) break;
    given.delete(oldest);
  }
  given.add(message);
  process.emitWarning(plain(message, LONGEST), TYPE);
}
