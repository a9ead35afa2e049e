/** Notices when nothing was done on a link for long. */
import type { Env, Timer } from '../env.ts';

export interface IdlenessOptions {
  readonly env: Env;
  /** Milliseconds in which nothing was heard, and it was not busy. */
  readonly ms: number;
  readonly isBusy: () => boolean;
  /** Called once, at most a quarter of the time late. */
  readonly idle: () => void;
}

/** The time is cut in so many parts: a timer that is set anew with each frame would cost more. */
const PARTS = 4;

export class Idleness {
  readonly #options: IdlenessOptions;
  #timer: Timer | undefined;
  #heard = false;
  #quietParts = 0;

  constructor(options: IdlenessOptions) {
    this.#options = options;
    this.#wait();
  }

  /** Something came that counts. */
  heard(): void {
    this.#heard = true;
  }

  end(): void {
    this.#timer?.cancel();
  }

  #wait(): void {
    const { env, ms, isBusy, idle } = this.#options;
    this.#timer = env.timer(ms / PARTS, () => {
      const busy = this.#heard || isBusy();
      this.#heard = false;
      this.#quietParts = busy ? 0 : this.#quietParts + 1;
      if (this.#quietParts < PARTS) this.#wait();
      else idle();
    });
  }
}
