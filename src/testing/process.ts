/** A simulated process: an event loop of its own that can be held up, and can die. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Env } from '../env.ts';
import type { Clock } from './clock.ts';
import { Random } from './random.ts';

/** Milliseconds that a turn of an event loop takes at most. */
const TURN_MS = 0.04;
/** 2026-01-01T00:00:00Z. */
const EPOCH_MS = 1_767_225_600_000;

const storage = new AsyncLocalStorage<SimulatedProcess>();

/** The process that the code which runs now belongs to. */
export function currentProcess(): SimulatedProcess | undefined {
  return storage.getStore();
}

export interface World {
  readonly clock: Clock;
  readonly seed: number | string;
  /** An error that nobody in the process handled. */
  uncaught(process: SimulatedProcess, error: unknown): void;
}

/**
 * `running`; `blocked`: its event loop is busy, but other threads of it go on; `stopped`: nothing of it
 * goes on; `dead`.
 */
export type ProcessState = 'running' | 'blocked' | 'stopped' | 'dead';

export class SimulatedProcess {
  readonly name: string;
  readonly env: Env;
  readonly #world: World;
  readonly #random: Random;
  #state: ProcessState = 'running';
  /** What waits for the event loop. */
  #waiting: (() => void)[] = [];
  /** How many of those it has yet to come to, now that it is free. */
  #behind = 0;
  #turns: (() => void)[] = [];
  #timers = 0;
  #sleepers = 0;
  #uids = 0;
  #clockOffset = 0;
  #heldUntil = 0;
  #blockedSince = 0;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    this.#random = Random.of(world.seed, name);
    const { clock } = world;
    this.env = {
      now: () => clock.now,
      date: () => EPOCH_MS + clock.now + this.#clockOffset,
      timer: (ms, fn) => this.#timer(ms, fn),
      soon: (fn) => clock.soon(() => this.enter(fn)),
      turn: (fn) => this.#turn(fn),
      collected: () => {},
      random: () => this.#random.next(),
      uid: () => {
        this.#uids += 1;
        return this.#uids === 1 ? name : `${name}#${this.#uids}`;
      },
      // Nobody here lies, and a trace is easier to read.
      disguise: (id) => id,
    };
  }

  get state(): ProcessState {
    return this.#state;
  }

  get isDead(): boolean {
    return this.#state === 'dead';
  }

  /** Timers that have not fired. */
  get timers(): number {
    return this.#timers;
  }

  /** How many wait in `sleep`. */
  get sleepers(): number {
    return this.#sleepers;
  }

  countSleeper(change: 1 | -1): void {
    this.#sleepers += change;
  }

  /** Milliseconds since its event loop last turned; undefined when nothing of the process goes on. */
  get lagMs(): number | undefined {
    if (this.#state === 'running') return 0;
    return this.#state === 'blocked' ? this.#world.clock.now - this.#blockedSince : undefined;
  }

  /** Runs `fn` as a part of this process: now, when its event loop is free again, or never. */
  enter(fn: () => void): void {
    // What came while the event loop was held up comes first.
    if (this.#behind > 0) this.#catchUp(fn);
    else this.#perform(fn);
  }

  /** Runs `fn` as a part of this process, now; what it throws is the affair of whoever asked. */
  within<T>(fn: () => T): T {
    return storage.run(this, fn);
  }

  /** Holds up the event loop. Of overlapping times the latest end counts, and the stronger state. */
  hold(state: 'blocked' | 'stopped', ms: number): void {
    if (this.#state === 'dead') return;
    if (this.#state === 'running') this.#blockedSince = this.#world.clock.now;
    if (this.#state !== 'stopped') this.#state = state;
    const end = this.#world.clock.now + ms;
    this.#heldUntil = Math.max(this.#heldUntil, end);
    this.#world.clock.after(ms, () => this.#release());
  }

  /** It goes on at once, whatever held it up. */
  wake(): void {
    this.#heldUntil = 0;
    this.#release();
  }

  /** Nothing of it ever runs again. */
  die(): void {
    this.#state = 'dead';
    this.#waiting = [];
    this.#turns = [];
    this.#timers = 0;
  }

  /** Its wall clock jumps. */
  jump(ms: number): void {
    this.#clockOffset += ms;
  }

  #release(): void {
    if (this.#state === 'dead' || this.#state === 'running') return;
    if (this.#world.clock.now < this.#heldUntil) return;
    this.#state = 'running';
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const fn of waiting) this.#catchUp(fn);
  }

  /** One after the other, with what follows from each in promises, as an event loop does it. */
  #catchUp(fn: () => void): void {
    this.#behind += 1;
    this.#world.clock.after(0, () => {
      this.#behind -= 1;
      this.#perform(fn);
    });
  }

  #perform(fn: () => void): void {
    if (this.#state === 'dead') return;
    if (this.#state !== 'running') {
      this.#waiting.push(fn);
      return;
    }
    try {
      storage.run(this, fn);
    } catch (error) {
      this.#world.uncaught(this, error);
    }
  }

  #timer(ms: number, fn: () => void) {
    const { clock } = this.#world;
    let pending = true;
    this.#timers += 1;
    const end = () => {
      if (pending && this.#state !== 'dead') this.#timers -= 1;
      pending = false;
    };
    const appointment = clock.after(Math.max(1, ms), () =>
      this.enter(() => {
        if (!pending) return;
        end();
        fn();
      }),
    );
    return {
      cancel: () => {
        end();
        appointment.cancel();
      },
    };
  }

  #turn(fn: () => void): void {
    this.#turns.push(fn);
    if (this.#turns.length > 1) return;
    this.#world.clock.after(this.#random.next() * TURN_MS, () => this.enter(this.#runTurns));
  }

  readonly #runTurns = () => {
    const turns = this.#turns;
    this.#turns = [];
    const { clock } = this.#world;
    for (const fn of turns) clock.soon(() => this.enter(fn));
  };
}

/**
 * Resolves after `ms` simulated milliseconds; for code that runs in a simulation. Outside of one it
 * waits for real ones, so that the same routine can run on real workers.
 *
 * @param options.signal ends it early: it rejects with the signal's reason
 */
export function sleep(ms: number, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
  const process = currentProcess();
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    process?.countSleeper(1);
    const wake = () => {
      process?.countSleeper(-1);
      signal?.removeEventListener('abort', giveUp);
      resolve();
    };
    const giveUp = () => {
      process?.countSleeper(-1);
      cancel();
      reject(signal?.reason);
    };
    const real = process === undefined ? setTimeout(wake, ms) : undefined;
    const timer = process?.env.timer(ms, wake);
    const cancel = () => {
      clearTimeout(real);
      timer?.cancel();
    };
    signal?.addEventListener('abort', giveUp, { once: true });
  });
}
