/** The nonces that a server has given out on one connection, and that were not used yet. */
import { randomBytes } from 'node:crypto';
import { NONCE_BYTES } from './authkey.ts';

/** So long a nonce is good, in milliseconds. */
export const NONCE_LIFE_MS = 10_000;
/** Most that wait on one connection: with another one the oldest is forgotten. */
export const MAX_NONCES = 16;

export class Challenges {
  readonly #now: () => number;
  /** When each ends, in the order in which they were given out. */
  readonly #ends = new Map<string, number>();

  /** @param now a clock in milliseconds that only goes on */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  issue(): Buffer {
    for (const oldest of this.#ends.keys()) {
      if (this.#ends.size < MAX_NONCES) break;
      this.#ends.delete(oldest);
    }
    const nonce = randomBytes(NONCE_BYTES);
    this.#ends.set(nonce.toString('base64'), this.#now() + NONCE_LIFE_MS);
    return nonce;
  }

  /** Whether it was given out and is good still; from now on it is not. */
  take(nonce: Buffer): boolean {
    const name = nonce.toString('base64');
    const end = this.#ends.get(name);
    this.#ends.delete(name);
    return end !== undefined && this.#now() < end;
  }
}
