/** Does harm to the workers of a pool and to their connections, as a seed decides. */
import { once, setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PoolWorker, WorkerPool } from '../src/pool/pool.ts';
import type { Random } from '../src/testing/random.ts';
import type { Fault, FaultKind } from './history.ts';
import type { Direction, Front, Relay } from './relay.ts';

/** How often each kind of fault comes. */
const WEIGHTS: Readonly<Record<FaultKind, number>> = {
  kill: 5,
  term: 2,
  stop: 4,
  stall: 1.5,
  reset: 4,
  end: 3,
  hold: 4,
  sever: 2,
  partition: 1.5,
  delay: 2,
  throttle: 2,
};

/** Faults that end the process. */
const ENDS: ReadonlySet<FaultKind> = new Set(['kill', 'term', 'stall']);
/** Faults that keep it silent for a time. One at a time: two might last until it is given up. */
const SILENT: ReadonlySet<FaultKind> = new Set(['stop', 'hold', 'throttle', 'delay', 'partition']);

/** What the pool is given as `lostAfter`. The faults that last for a time only are shorter. */
export const LOST_AFTER_MS = 3_000;

/** Milliseconds between two faults. */
const PAUSE_MS = [50, 450] as const;

const DIRECTIONS = ['up', 'down', 'both'] as const satisfies readonly Direction[];

interface Victim {
  readonly worker: PoolWorker;
  readonly pid: number;
  readonly front: Front;
  /** Where its beat is reached. */
  readonly beat: Front | undefined;
}

export class Monkey {
  readonly faults: Fault[] = [];
  readonly #pool: WorkerPool;
  readonly #size: number;
  readonly #relay: Relay;
  readonly #random: Random;
  readonly #now: () => number;
  /** Faults that go on for a time. */
  readonly #lasting = new Set<Promise<void>>();
  /** Uids of workers that are kept silent now. */
  readonly #silent = new Set<string>();

  /** @param now milliseconds since the start of the run */
  constructor(pool: WorkerPool, relay: Relay, random: Random, now: () => number) {
    this.#pool = pool;
    this.#size = pool.workers.length;
    this.#relay = relay;
    this.#random = random;
    this.#now = now;
  }

  /** Does harm until the signal aborts, and then takes back what can be taken back. */
  async rage(signal: AbortSignal): Promise<void> {
    // One for each fault that lasts.
    setMaxListeners(Number.POSITIVE_INFINITY, signal);
    while (!signal.aborted) {
      // Drawn whether there is a worker or not, so that what comes after does not depend on that.
      const random = this.#random.fork();
      await sleep(this.#random.whole(...PAUSE_MS), undefined, { signal }).catch(() => {});
      if (!signal.aborted) this.#harm(random, signal);
    }
    await Promise.all(this.#lasting);
  }

  #harm(random: Random, signal: AbortSignal): void {
    const kind = random.weighted(WEIGHTS);
    const { workers } = this.#pool;
    const worker = workers[Math.floor(random.next() * workers.length)];
    const front = worker && this.#relay.at(worker.address);
    if (worker?.pid === undefined || front === undefined) return;
    // A busy machine starts workers more slowly than they would be killed.
    if (ENDS.has(kind) && workers.length <= this.#size / 2) return;
    if (SILENT.has(kind) && this.#silent.has(worker.uid)) return;
    const beat = worker.beat === undefined ? undefined : this.#relay.at(worker.beat);
    const detail = this.#do(kind, { worker, pid: worker.pid, front, beat }, random, signal);
    this.faults.push({ kind, worker: worker.uid, at: this.#now(), detail });
  }

  /** Does it, and says what. */
  #do(kind: FaultKind, victim: Victim, random: Random, signal: AbortSignal): string {
    const { pid, front, beat } = victim;
    switch (kind) {
      case 'kill':
        process.kill(pid, 'SIGKILL');
        return `pid ${pid}`;
      case 'term':
        process.kill(pid, 'SIGTERM');
        return `pid ${pid}`;
      case 'stop': {
        const ms = random.whole(20, 600);
        process.kill(pid, 'SIGSTOP');
        this.#last(victim, ms, signal, () => this.#continue(victim));
        return `pid ${pid} for ${ms} ms`;
      }
      case 'stall':
        process.kill(pid, 'SIGSTOP');
        this.#untilEnd(signal, () => this.#continue(victim));
        return `pid ${pid}`;
      case 'reset':
      case 'end':
        front.cut(kind);
        return front.address;
      case 'hold': {
        const [direction, ms] = [random.pick(DIRECTIONS), random.whole(50, 800)];
        this.#last(victim, ms, signal, front.hold(direction, true));
        return `${direction} for ${ms} ms`;
      }
      case 'sever': {
        const direction = random.pick(DIRECTIONS);
        this.#untilEnd(signal, front.hold(direction, false));
        return direction;
      }
      case 'partition': {
        const ms = random.whole(LOST_AFTER_MS / 2, 2 * LOST_AFTER_MS);
        const holds = [front, beat].map((one) => one?.hold('both', true));
        this.#last(victim, ms, signal, () => {
          for (const release of holds) release?.();
        });
        return `for ${ms} ms`;
      }
      case 'delay': {
        const ms = random.whole(5, 50);
        front.delay(ms);
        this.#last(victim, 1_000, signal, () => front.delay(0));
        return `${ms} ms for 1 s`;
      }
      case 'throttle': {
        const [direction, kib] = [random.pick(DIRECTIONS), random.whole(64, 1024)];
        front.throttle(direction, kib * 1024);
        this.#last(victim, 1_000, signal, () => front.throttle('both', Number.POSITIVE_INFINITY));
        return `${direction} ${kib} KiB/s for 1 s`;
      }
    }
  }

  /** Undoes what keeps the worker silent, after a time, or at the end of all. */
  #last({ worker }: Victim, ms: number, signal: AbortSignal, undo: () => void): void {
    this.#silent.add(worker.uid);
    this.#later(sleep(ms, undefined, { signal }), () => {
      this.#silent.delete(worker.uid);
      undo();
    });
  }

  #untilEnd(signal: AbortSignal, undo: () => void): void {
    this.#later(once(signal, 'abort'), undo);
  }

  #later(time: Promise<unknown>, undo: () => void): void {
    const lasting = time
      .catch(() => {})
      .then(undo)
      .finally(() => this.#lasting.delete(lasting));
    this.#lasting.add(lasting);
  }

  #continue({ worker, pid }: Victim): void {
    // Not a process that got the same number since.
    const lives = this.#pool.workers.some(({ uid }) => uid === worker.uid);
    if (lives) process.kill(pid, 'SIGCONT');
  }
}
