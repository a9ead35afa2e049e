/** Tells people what is wrong with workers: of one at most once a minute, and not of many one by one. */
import type { WorkerMetadata } from '../discovery/discovery.ts';
import type { Env, Timer } from '../env.ts';

/** Workers are warned of one by one, so many within a time in milliseconds. */
const MAX_WARNINGS = 10;
const WARNINGS_MS = 10_000;
/** What was said of one worker stands for so long, in milliseconds. */
const REPEAT_MS = 60_000;

interface Said {
  readonly at: number;
  readonly message: string;
  /** What is to be said when the time is over; undefined for nothing. */
  next: (() => void) | undefined;
  timer: Timer | undefined;
}

export class WorkerWarnings {
  readonly #env: Env;
  readonly #warn: (message: string) => void;
  /** By the keys of the workers, that first of which something was said first. */
  readonly #said = new Map<string, Said>();
  /** Since when they are counted, and how many there were. */
  #since = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(env: Env, warn: (message: string) => void) {
    this.#env = env;
    this.#warn = warn;
  }

  /**
   * Says it now, or when a minute has passed since something else was said of the worker.
   *
   * @param key what tells the worker from others, as long as it is known
   */
  tell(key: string, worker: WorkerMetadata, message: string): void {
    const now = this.#env.now();
    this.#forget(now);
    const said = this.#said.get(key);
    if (said === undefined) return this.#say(key, worker, message);
    said.next = said.message === message ? undefined : () => this.#say(key, worker, message);
    if (said.next === undefined) return;
    said.timer ??= this.#env.timer(said.at + REPEAT_MS - now, () => {
      said.timer = undefined;
      this.#said.delete(key);
      said.next?.();
    });
  }

  /** Nothing is wrong with the worker any more, or it is gone: what waits is not said. */
  clear(key: string): void {
    const said = this.#said.get(key);
    if (said) said.next = undefined;
  }

  /** Says no more. */
  end(): void {
    for (const { timer } of this.#said.values()) timer?.cancel();
    this.#said.clear();
  }

  #forget(now: number): void {
    for (const [key, { at, timer }] of this.#said) {
      if (at + REPEAT_MS > now) return;
      if (timer === undefined) this.#said.delete(key);
    }
  }

  #say(key: string, { uid, address }: WorkerMetadata, message: string): void {
    const now = this.#env.now();
    this.#said.set(key, { at: now, message, next: undefined, timer: undefined });
    if (now >= this.#since + WARNINGS_MS) {
      this.#since = now;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count > MAX_WARNINGS + 1) return;
    if (this.#count > MAX_WARNINGS) {
      const seconds = WARNINGS_MS / 1_000;
      return this.#warn(`more workers can't be used; nothing is said of them for ${seconds} s`);
    }
    const name = uid === undefined ? 'the worker' : `worker ${uid.slice(0, 8)}`;
    this.#warn(`${name} at ${address}: ${message}`);
  }
}
