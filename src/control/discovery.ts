/** The workers of a durable pool, as it tells of them itself. */
import type { DiscoveryEvent, DiscoveryLike, WorkerFilter } from '../discovery/discovery.ts';
import { parseMetadata } from '../discovery/metadata.ts';
import { Roster } from '../discovery/roster.ts';
import { type Warn, warnOnce } from '../discovery/warning.ts';
import { type Env, systemEnv, type Timer } from '../env.ts';
import { PoolUnreachable } from '../errors.ts';
import type { AuthkeyGiven } from '../security/authkey.ts';
import type { CredentialsGiven } from '../security/credentials.ts';
import { ControlClient, type PoolProblem } from './client.ts';
import type { PoolPlace } from './place.ts';
import type { ListedWorker } from './workers.ts';

export interface PoolDiscoveryOptions extends PoolPlace {
  /** The authkey of the pool, if it has one. */
  readonly authkey?: AuthkeyGiven | undefined;
  /** Certificates, for a pool that has them. Default: it is asked in plain text. */
  readonly credentials?: CredentialsGiven | undefined;
  /** For tests. Default: the system's. */
  readonly env?: Env | undefined;
  /** Takes warnings. Default: process warnings (`SkeinDiscoveryWarning`). */
  readonly warn?: ((message: string) => void) | undefined;
}

/** The pause after a failure, and the longest that it grows to, in milliseconds. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Finds the workers of the pool that answers at a host and port. While it does not, those are kept that
 * are known, and it is asked again. When it refuses the authkey or the credentials from the start,
 * subscriptions fail with `AuthenticationError`, and with `CredentialsError` when there are none.
 *
 * @example
 * ```ts
 * new PoolDiscovery({ host: 'build-1', port: 7411, authkey })
 * ```
 */
export class PoolDiscovery implements DiscoveryLike, AsyncDisposable {
  readonly #client: ControlClient;
  readonly #env: Env;
  readonly #warn: (message: string) => void;
  /** Once for each reason: a worker that is left out is met with each roster again. */
  readonly #skip: Warn;
  readonly #roster: Roster;
  #stop: (() => void) | undefined;
  #timer: Timer | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  /** Whether it was let in since somebody listens. */
  #known = false;
  #failing = false;

  /** @throws TypeError when the host, the port, the authkey or the credentials are none */
  constructor(options: PoolDiscoveryOptions = {}) {
    const { env = systemEnv, warn } = options;
    this.#client = new ControlClient(options);
    this.#env = env;
    this.#warn = warn ?? ((message) => process.emitWarning(message, 'SkeinDiscoveryWarning'));
    this.#skip = warnOnce(this.#warn);
    this.#roster = new Roster({ begin: () => this.#begin(), end: () => this.#end() });
  }

  subscribe(filter?: WorkerFilter): AsyncIterable<DiscoveryEvent> {
    return this.#roster.subscribe(filter);
  }

  /** Ends all subscriptions. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#roster.close();
  }

  #begin(): void {
    this.#known = false;
    this.#failing = false;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#ask();
  }

  #end(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#stop?.();
    this.#stop = undefined;
    this.#roster.forget();
  }

  #ask(): void {
    this.#stop = this.#client.watch({
      workers: (workers) => this.#take(workers),
      ended: (error) => this.#fail(error),
      skipped: (why) => this.#skip(why, `a worker of the pool at ${this.#at} was left out: ${why}`),
    });
  }

  get #at(): string {
    return this.#client.address;
  }

  #take(workers: readonly ListedWorker[]): void {
    this.#known = true;
    this.#failing = false;
    this.#pauseMs = FIRST_PAUSE_MS;
    // Without what they are doing.
    this.#roster.replace(workers.map(parseMetadata));
  }

  #fail(error: PoolProblem): void {
    this.#stop = undefined;
    if (!(error instanceof PoolUnreachable) && !this.#known) return this.#roster.fail(error);
    if (!this.#failing) {
      this.#failing = true;
      this.#warn(
        `the pool at ${this.#at} can't be asked for workers; those that are known are kept: ${error.message}`,
      );
    }
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
    this.#timer = this.#env.timer(pauseMs, () => this.#ask());
  }
}
