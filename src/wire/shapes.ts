/**
 * Which keys followed each other in objects so far. The engine makes a hidden class for each key that
 * follows another one for the first time, which takes more memory than the property itself; and most
 * objects have the same keys in the same order as others before them.
 *
 * The encoder and the decoder keep one tree each. What is new to the decoder must be new to the encoder,
 * as the encoder pays for it: so the encoder's counts for one value only, and the decoder's, which may know
 * more than that, takes up at least what the encoder's does.
 */

/** Longer keys are not kept; they have bytes enough to pay for themselves. */
const KEPT_KEY = 23;
/** Beyond so many keys, the engine makes no hidden classes, but a table for each object. */
export const SHAPED = 24;
/** So many transitions are kept for one value; all others are new each time. */
const KEPT_PER_VALUE = 512;
/** A tree that is larger is thrown away before the next value. */
const KEPT = 2_048;

export class Shape {
  readonly key: string;
  /** Whether the key has nothing but ASCII. */
  readonly ascii: boolean;
  /** The value that had it last, by its number. */
  value = 0;
  /** The child that was asked for last. */
  next: Shape | undefined;
  #children: Map<string, Shape> | undefined;

  constructor(key: string) {
    this.key = key;
    this.ascii = !/[^\0-\x7f]/.test(key);
  }

  find(key: string): Shape | undefined {
    if (this.next?.key === key) return this.next;
    const found = this.#children?.get(key);
    if (found !== undefined) this.next = found;
    return found;
  }

  add(key: string): Shape {
    const child = new Shape(key);
    if (this.next !== undefined && this.#children === undefined) {
      this.#children = new Map([[this.next.key, this.next]]);
    }
    this.#children?.set(key, child);
    this.next = child;
    return child;
  }
}

/** Follows transitions that are not kept: all that come after are new. */
export const unkept = new Shape('');

export class Shapes {
  /** The object without properties. */
  root = new Shape('');
  /** The number of the value; see `Shape.value`. */
  value = 0;
  #size = 0;
  #left = KEPT_PER_VALUE;

  /** Begins another value. */
  begin(): void {
    this.value++;
    this.#left = KEPT_PER_VALUE;
    if (this.#size <= KEPT) return;
    this.root = new Shape('');
    this.#size = 0;
  }

  /** Has all transitions count once more, since the part of the value that counted some is gone. */
  forget(): void {
    this.value++;
  }

  /**
   * Takes up that a key follows `shape`.
   *
   * @param known what follows already, from an earlier value
   */
  keep(shape: Shape, key: string, known?: Shape): Shape {
    if (shape === unkept || key.length > KEPT_KEY || this.#left === 0) return unkept;
    this.#left--;
    if (known === undefined) this.#size++;
    const kept = known ?? shape.add(key);
    kept.value = this.value;
    return kept;
  }
}

/** Whether the engine may keep a property of this key among the items of an array. */
export function isIndexLike(key: string): boolean {
  const first = key.charCodeAt(0);
  return first >= 0x30 && first <= 0x39;
}
