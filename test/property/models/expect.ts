/** vitest's `expect`, which is only asked for what does not hold: making its chains took half of the time of the walks. */
import { isDeepStrictEqual } from 'node:util';
import { type Assertion, expect as vitest } from 'vitest';

export function expect<T>(actual: T): Light<T> {
  return new Light(actual);
}

class Light<T> {
  readonly #actual: T;

  constructor(actual: T) {
    this.#actual = actual;
  }

  toBe(expected: unknown): void {
    if (!Object.is(this.#actual, expected)) this.#full.toBe(expected);
  }

  toEqual(expected: unknown): void {
    if (!isDeepStrictEqual(this.#actual, expected)) this.#full.toEqual(expected);
  }

  toHaveLength(length: number): void {
    const { length: own } = this.#actual as { length?: unknown };
    if (own !== length) this.#full.toHaveLength(length);
  }

  toBeGreaterThan(limit: number): void {
    if (!((this.#actual as number) > limit)) this.#full.toBeGreaterThan(limit);
  }

  toBeLessThanOrEqual(limit: number): void {
    if (!((this.#actual as number) <= limit)) this.#full.toBeLessThanOrEqual(limit);
  }

  toContain(item: unknown): void {
    if (!Array.isArray(this.#actual) || !this.#actual.includes(item)) this.#full.toContain(item);
  }

  toBeDefined(): void {
    if (this.#actual === undefined) this.#full.toBeDefined();
  }

  toMatchObject(expected: object): void {
    this.#full.toMatchObject(expected);
  }

  get not(): { toBe(expected: unknown): void } {
    const toBe = (expected: unknown) => {
      if (Object.is(this.#actual, expected)) this.#full.not.toBe(expected);
    };
    return { toBe };
  }

  get #full(): Assertion<T> {
    return vitest(this.#actual);
  }
}
