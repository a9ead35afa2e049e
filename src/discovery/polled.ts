/** Workers on a list that somebody else keeps, and that must be asked for again and again. */
import type { Env, Timer } from '../env.ts';
import type { DiscoveryEvent, DiscoveryLike, WorkerFilter, WorkerMetadata } from './discovery.ts';
import { Roster } from './roster.ts';

export interface PolledOptions {
  readonly env: Env;
  /** Milliseconds between an answer and the next question. */
  readonly intervalMs: number;
  /** All workers that there are. While it rejects, those are kept that are known. */
  readonly look: () => Promise<readonly WorkerMetadata[]>;
  /** What the list is, for warnings. */
  readonly name: string;
  readonly warn: (message: string) => void;
}

/** It asks while somebody listens. */
export class PolledDiscovery implements DiscoveryLike, AsyncDisposable {
  readonly #options: PolledOptions;
  readonly #roster: Roster;
  #timer: Timer | undefined;
  /** Counts the times that somebody began to listen: an answer to an earlier question says nothing. */
  #round = 0;
  #failing = false;

  constructor(options: PolledOptions) {
    this.#options = options;
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
    this.#round += 1;
    void this.#ask(this.#round);
  }

  #end(): void {
    this.#round += 1;
    this.#timer?.cancel();
    this.#roster.forget();
  }

  async #ask(round: number): Promise<void> {
    const { env, intervalMs, look, name, warn } = this.#options;
    try {
      const workers = await look();
      if (round !== this.#round) return;
      this.#failing = false;
      this.#roster.replace(workers);
    } catch (error) {
      if (round !== this.#round) return;
      if (!this.#failing) {
        warn(`${name} can't be asked for workers; those that are known are kept: ${String(error)}`);
      }
      this.#failing = true;
    }
    this.#timer = env.timer(intervalMs, () => void this.#ask(round));
  }
}
