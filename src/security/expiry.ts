/** Says in time that the own certificate ends, and again when it has. */
import { type Material, parseCertificates } from './material.ts';

const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;
/** It is warned of when no more than this share of its life is left, and no more than so long. */
const LAST_SHARE = 0.1;
const LAST_MS = 7 * DAY_MS;

export class ExpiryWarnings {
  readonly #warn: (message: string) => void;
  #material: Material | undefined;
  #validTo = Number.POSITIVE_INFINITY;
  #warnFrom = Number.POSITIVE_INFINITY;
  /** Nothing is said before. */
  #quietUntil = Number.NEGATIVE_INFINITY;

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /** @param now milliseconds since 1970 */
  look(material: Material, now = Date.now()): void {
    if (material !== this.#material) this.#take(material);
    if (now < this.#warnFrom || now < this.#quietUntil) return;
    const when = new Date(this.#validTo).toISOString();
    const hasEnded = now > this.#validTo;
    this.#quietUntil = hasEnded ? now + HOUR_MS : Math.min(now + DAY_MS, this.#validTo + 1);
    this.#warn(
      hasEnded
        ? `the certificate has expired, on ${when}: no new connections come about until there is a new one`
        : `the certificate expires on ${when}: no new connections come about then, so renew it`,
    );
  }

  #take(material: Material): void {
    this.#material = material;
    this.#quietUntil = Number.NEGATIVE_INFINITY;
    this.#validTo = Number.POSITIVE_INFINITY;
    this.#warnFrom = Number.POSITIVE_INFINITY;
    if (material.cert === undefined) return;
    // Of those between it and the authority, too: the first that ends, ends it.
    for (const { validFrom, validTo } of parseCertificates(material.cert, 'cert')) {
      const end = Date.parse(validTo);
      if (end >= this.#validTo) continue;
      this.#validTo = end;
      this.#warnFrom = end - Math.min(LAST_MS, LAST_SHARE * (end - Date.parse(validFrom)));
    }
  }
}
