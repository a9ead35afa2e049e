/**
 * Has the proxy of a worker look for other workers when the worker's tasks make calls, and rest when they
 * have made none for some time. Workers that are only called hold no links, and ask nobody for others.
 */
import type { Finder } from '../actors/finder.ts';
import type { PoolProxy } from '../actors/proxy.ts';
import type { Env, Timer } from '../env.ts';

export interface KeeperOptions {
  readonly env: Env;
  readonly proxy: Pick<PoolProxy, 'checkAwaited' | 'hold' | 'release' | 'send' | 'stats'>;
  /** Whether it looks for others with the first call, and rests at all. */
  readonly lazy: boolean;
  /** It rests when the last call ended so many milliseconds ago; Infinity: never. */
  readonly ttlMs: number;
}

/** So often within the time it looks whether there are calls: that it is told of each would cost more. */
const LOOKS = 8;
/** So long calls wait for the first other worker; those that are alone run them themselves then. */
const FIRST_WORKER_MS = 250;
/** So long after the first one they wait for more. */
const MORE_WORKERS_MS = 20;

export class ProxyKeeper {
  readonly #options: KeeperOptions;
  #look: (() => Finder) | undefined;
  #finder: Finder | undefined;
  #timer: Timer | undefined;
  /** Calls are held until then. */
  #holding: Timer | undefined;
  #isFirst = false;
  /** Looks since the last one at which there was a call. */
  #quiet = 0;
  #over = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** What looks for others now, if something does. */
  get finder(): Finder | undefined {
    return this.#finder;
  }

  /** From now on there are others to be found. */
  lookWith(make: () => Finder): void {
    this.#look = make;
    if (!this.#options.lazy) this.#wake();
  }

  /** A call was made, the first since `checkAwaited` was false. */
  awaited(): void {
    this.#quiet = 0;
    this.#wake();
    if (this.#options.lazy && !this.#timer) this.#wait();
  }

  /** The proxy knows one more of the others. */
  found(): void {
    if (!this.#isFirst) return;
    this.#isFirst = false;
    this.#releaseIn(MORE_WORKERS_MS);
  }

  /** There will be no more calls. */
  end(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#release();
    this.#finder?.stop();
  }

  #wake(): void {
    if (this.#over || this.#finder) return;
    const finder = this.#look?.();
    if (finder === undefined) return;
    this.#finder = finder;
    this.#isFirst = true;
    // Otherwise the first calls, which may be all of a task's, would run here.
    this.#options.proxy.hold();
    this.#releaseIn(FIRST_WORKER_MS);
    finder.start();
    finder.began.catch(() => this.#release());
  }

  #releaseIn(ms: number): void {
    this.#holding?.cancel();
    this.#holding = this.#options.env.timer(ms, () => this.#release());
  }

  #release(): void {
    this.#isFirst = false;
    this.#holding?.cancel();
    this.#holding = undefined;
    this.#options.proxy.release();
  }

  #wait(): void {
    const { env, ttlMs } = this.#options;
    if (this.#over || ttlMs === Number.POSITIVE_INFINITY) return;
    this.#timer = env.timer(ttlMs / LOOKS, () => this.#check());
  }

  #check(): void {
    const { proxy } = this.#options;
    this.#timer = undefined;
    // A generator between two steps is a call, too.
    if (proxy.checkAwaited() || proxy.stats.calls > 0) this.#quiet = 0;
    else this.#quiet += 1;
    if (this.#quiet < LOOKS) this.#wait();
    else this.#rest();
  }

  #rest(): void {
    this.#finder?.stop();
    this.#finder = undefined;
    this.#options.proxy.send({ type: 'rest' });
  }
}
