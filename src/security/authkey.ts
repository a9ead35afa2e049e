/** A secret that both sides of a connection have: each shows that it does, and neither says it. */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';

/** An authkey as it is given: text stands for its bytes in UTF-8. */
export type AuthkeyGiven = string | Uint8Array;

/** Bytes of a nonce, of either side. */
export const NONCE_BYTES = 32;

/** Who has a proof made. */
export type Role = 'client' | 'server';

/** Why a server that has a key does not answer who has none. */
export const KEY_WANTED =
  'it answers nobody without its authkey: give the same one here, and to the pool that has spawned it, if one has';

/** What a proof is about. */
export interface Exchange {
  /** The path of the call, e.g. `/skein.v1.Worker/Link`. */
  readonly method: string;
  /** The server's. */
  readonly nonce: Uint8Array;
  readonly clientNonce: Uint8Array;
}

/** From this length on a key that was made at random can't be found by trying. */
const SAFE_BYTES = 16;

let warned = false;

/** It shows nothing of the secret, however it is printed. */
export class Authkey {
  readonly #key: KeyObject;

  /** @throws TypeError when it is neither text nor bytes, or empty */
  constructor(given: AuthkeyGiven) {
    this.#key = createSecretKey(bytesOf(given));
  }

  proof(role: Role, { method, nonce, clientNonce }: Exchange): Buffer {
    // Nothing is needed between the parts: only one of them has no length of its own.
    return createHmac('sha256', this.#key)
      .update(`skein-1 ${role}${method}`)
      .update(nonce)
      .update(clientNonce)
      .digest();
  }

  isProof(proof: Uint8Array, role: Role, exchange: Exchange): boolean {
    const expected = this.proof(role, exchange);
    return proof.length === expected.length && timingSafeEqual(proof, expected);
  }
}

/** The key for a message between processes, which may be text only. */
export function encodeAuthkey(given: AuthkeyGiven): string {
  return bytesOf(given).toString('base64');
}

/** What `encodeAuthkey` was given, as bytes. */
export function decodeAuthkey(text: string): Uint8Array {
  return Buffer.from(text, 'base64');
}

function bytesOf(given: AuthkeyGiven): Buffer {
  if (typeof given !== 'string' && !(given instanceof Uint8Array)) {
    throw new TypeError(`authkey must be text or bytes, not a value of type ${typeof given}`);
  }
  if (given.length === 0) {
    throw new TypeError('authkey is empty: give a secret, or leave it out for no authkey');
  }
  const bytes = Buffer.from(given as string);
  if (bytes.length < SAFE_BYTES && !warned) {
    warned = true;
    const message =
      `an authkey of ${bytes.length} bytes can be found by trying: take ${SAFE_BYTES} random ones ` +
      'or more, e.g. of: openssl rand -base64 24';
    process.emitWarning(message, 'SkeinSecurityWarning');
  }
  return bytes;
}
