/**
 * Keys of a Map, or items of a Set, that the engine finds slowly: it hashes a bigint by its low 64 bits
 * alone, so that each of those that have them in common is compared with all of them.
 */

/** So many of them, as sender and receiver agree; a collection of no more entries is not looked at. */
export const MOST_ALIKE = 256;
/** What counting one takes in memory. */
export const WIDE_KEY = 128;

const WIDE = 1n << 64n;

/** Of one Map or Set. */
export class WideKeys {
  readonly #counts = new Map<bigint, number>();
  readonly #charge: (bytes: number) => void;

  constructor(charge: (bytes: number) => void) {
    this.#charge = charge;
  }

  /** Counts a key; false when there are too many like it. */
  add(key: bigint): boolean {
    if (key < WIDE && key > -WIDE) return true;
    this.#charge(WIDE_KEY);
    const low = BigInt.asUintN(64, key);
    const count = (this.#counts.get(low) ?? 0) + 1;
    this.#counts.set(low, count);
    return count <= MOST_ALIKE;
  }
}
