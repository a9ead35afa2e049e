/** Which credentials new connections are made with now, as they change. */
import { CredentialsError } from '../errors.ts';
import {
  type CredentialsGiven,
  checkCredentials,
  isProvider,
  lastGiven,
  materialOf,
} from './credentials.ts';
import { ExpiryWarnings } from './expiry.ts';
import type { Material } from './material.ts';
import { dateProblem } from './own-certificate.ts';
import { wordsOf } from './words.ts';

export interface SourceOptions {
  /** Told why new credentials are not used, in words. */
  readonly warn: (message: string) => void;
}

/** So often a provider that is reloadable is asked, while somebody wants to know. */
const POLL_MS = 1_000;
/** A provider that has not answered by then has failed. */
const PROVIDER_MS = 30_000;
/** Others are looked at so often, whether they are about to expire. */
const EXPIRY_MS = 60_000;
/** The same failure is told again only after so long. */
const WARNING_MS = 60_000;

/**
 * What an end of connections is given, with what becomes of it later. Those who keep an open server `watch`
 * it; those who connect look at `material` each time.
 */
export class CredentialSource {
  readonly #given: CredentialsGiven | undefined;
  readonly #warn: (message: string) => void;
  readonly #listeners = new Set<(material: Material) => void>();
  #material: Material | undefined;
  #asking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #refreshedAt = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #warned = '';
  #warnedAt = Number.NEGATIVE_INFINITY;
  readonly #expiry: ExpiryWarnings;

  /**
   * @param given undefined for one that is pushed to
   * @throws TypeError when they are no credentials
   */
  constructor(given: CredentialsGiven | undefined, { warn }: SourceOptions) {
    if (given !== undefined) checkCredentials(given);
    this.#given = given;
    this.#warn = warn;
    this.#expiry = new ExpiryWarnings(warn);
    if (given !== undefined && !isProvider(given)) this.#material = materialOf(given);
  }

  /**
   * Of credentials that may be given or not; what there is to warn of is a process warning.
   *
   * @throws TypeError when they are no credentials
   */
  static of(given: CredentialsGiven | undefined): CredentialSource | undefined {
    if (given === undefined) return undefined;
    const warn = (message: string) => process.emitWarning(message, 'SkeinSecurityWarning');
    return new CredentialSource(given, { warn });
  }

  /** That of a process which is told by another one what to use: at once, and by `push` later. */
  static pushed(material: Material): CredentialSource {
    const source = new CredentialSource(undefined, { warn: () => {} });
    source.#material = material;
    return source;
  }

  /**
   * Resolves when there is something to connect with: where a provider fails, what it gave last to anyone.
   *
   * @throws CredentialsError when the provider gives none, or fails, and has given none before
   */
  async ready(): Promise<void> {
    if (this.#material !== undefined) return;
    try {
      this.#material = await this.#ask();
      this.#refreshedAt = performance.now();
    } catch (cause) {
      this.#material = isProvider(this.#given) ? lastGiven.get(this.#given) : undefined;
      if (this.#material !== undefined) {
        this.#failures += 1;
        return;
      }
      if (cause instanceof CredentialsError) throw cause;
      throw new CredentialsError(`the provider gave no credentials: ${wordsOf(cause)}`, { cause });
    }
  }

  /** @throws CredentialsError before `ready` has resolved */
  get material(): Material {
    if (this.#material !== undefined) return this.#material;
    throw new CredentialsError('the credentials are not there yet');
  }

  /**
   * What a connection is to be made with now. Where nobody watches, a provider that is reloadable is asked
   * before, at most once a second, and waited for so long.
   *
   * @throws CredentialsError as `ready` does
   */
  async fresh(): Promise<Material> {
    await this.ready();
    const isWatched = this.#timer !== undefined;
    if (this.#isReloadable && !isWatched && performance.now() >= this.#refreshedAt + POLL_MS) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise((resolve) => {
        timer = setTimeout(resolve, POLL_MS);
      });
      await Promise.race([this.refresh(), late]);
      clearTimeout(timer);
    }
    return this.material;
  }

  /** From now on new connections use this. */
  push(material: Material): void {
    if (isSame(material, this.#material)) return;
    this.#material = material;
    for (const listener of [...this.#listeners]) listener(material);
  }

  /** Asks a provider that is reloadable now: who was refused may have old ones. Never rejects. */
  refresh(): Promise<void> {
    if (!this.#isReloadable || this.#material === undefined) return Promise.resolve();
    this.#refreshedAt = performance.now();
    this.#asking ??= this.#reload().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /**
   * Calls the listener with each change. As long as somebody listens, a provider is asked for changes once a
   * second, and it is warned of a certificate that is about to expire; that keeps no process alive.
   *
   * @returns what ends that
   */
  watch(listener: (material: Material) => void): () => void {
    this.#listeners.add(listener);
    const pollMs = this.#isReloadable ? POLL_MS : EXPIRY_MS;
    this.#timer ??= setInterval(() => this.#poll(), pollMs).unref();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  get #isReloadable(): boolean {
    return isProvider(this.#given) && this.#given.reloadable;
  }

  #poll(): void {
    void this.refresh();
    if (this.#material !== undefined) this.#expiry.look(this.#material);
  }

  async #reload(): Promise<void> {
    try {
      const next = await this.#ask();
      // Who is let in must not depend on when it was looked.
      if (next.mutual !== this.material.mutual) {
        throw new CredentialsError('mutual can not change while they are in use');
      }
      const problem = dateProblem(next);
      if (problem !== undefined && !isSame(next, this.material)) {
        throw new CredentialsError(problem.message);
      }
      this.#failures = 0;
      this.#warned = '';
      this.push(next);
    } catch (error) {
      this.#failures += 1;
      // Files that are replaced one after the other do not belong together for a moment.
      if (this.#failures > 1) this.#fail(wordsOf(error));
    }
  }

  #fail(why: string): void {
    const now = performance.now();
    if (why === this.#warned && now < this.#warnedAt + WARNING_MS) return;
    this.#warned = why;
    this.#warnedAt = now;
    this.#warn(`new credentials are not used, and the last good ones are kept: ${why}`);
  }

  async #ask(): Promise<Material> {
    if (!isProvider(this.#given)) return this.material;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const why = `the provider gave no credentials within ${PROVIDER_MS} ms`;
      timer = setTimeout(() => reject(new CredentialsError(why)), PROVIDER_MS);
    });
    try {
      const material = materialOf(await Promise.race([this.#given.credentials(), late]));
      lastGiven.set(this.#given, material);
      return material;
    } finally {
      clearTimeout(timer);
    }
  }
}

function isSame(one: Material, other: Material | undefined): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}
