/** Does harm to the workers of a pool and to their connections, as a seed decides. */
import { once, setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PoolWorker, WorkerPool } from '../src/pool/pool.ts';
import type { Random } from '../src/testing/random.ts';
import { ALL, type Fault, type FaultKind } from './history.ts';
import type { Cut, Direction } from './relay.ts';
import type { Site, Spot } from './site.ts';

/** Faults that end the process. */
const ENDS: ReadonlySet<FaultKind> = new Set(['kill', 'term', 'stall']);
/** Faults that keep it silent for a time. One at a time: two might last until it is given up. */
const SILENT: ReadonlySet<FaultKind> = new Set([
  'stop',
  'hold',
  'throttle',
  'delay',
  'partition',
  'restart',
  'freeze',
  'outage',
]);
/** Faults of the process, and not of what leads to it. */
const OF_PROCESS: ReadonlySet<FaultKind> = new Set(['kill', 'term', 'stop', 'stall']);
/** Faults of what all meet at. */
const OF_HUB: ReadonlySet<FaultKind> = new Set(['restart', 'freeze', 'outage']);

/** So long after the server is back everyone is connected again. */
const RECOVERY_MS = 2_000;

/** Milliseconds between two faults. */
const PAUSE_MS = [50, 450] as const;

const CUTS = ['reset', 'end'] as const satisfies readonly Cut[];
const DIRECTIONS = ['up', 'down', 'both'] as const satisfies readonly Direction[];

interface Victim {
  readonly worker: PoolWorker;
  readonly pid: number;
  readonly spot: Spot;
  /** The uid of the worker, or `ALL`. */
  readonly whom: string;
}

export class Monkey {
  readonly faults: Fault[] = [];
  readonly #pool: WorkerPool;
  readonly #size: number;
  readonly #site: Site;
  readonly #random: Random;
  readonly #now: () => number;
  /** Faults that go on for a time. */
  readonly #lasting = new Set<Promise<void>>();
  /** Uids of workers that are kept silent now. */
  readonly #silent = new Set<string>();

  /** @param now milliseconds since the start of the run */
  constructor(pool: WorkerPool, site: Site, random: Random, now: () => number) {
    this.#pool = pool;
    this.#size = pool.workers.length;
    this.#site = site;
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
    const kind = random.weighted(this.#site.weights as Record<FaultKind, number>);
    const { workers } = this.#pool;
    const worker = workers[Math.floor(random.next() * workers.length)];
    const spot = worker && this.#site.spot(worker, random);
    if (worker?.pid === undefined || spot === undefined) return;
    const whom = OF_PROCESS.has(kind) ? worker.uid : OF_HUB.has(kind) ? ALL : spot.whom;
    // A busy machine starts workers more slowly than they would be killed.
    if (ENDS.has(kind) && workers.length <= this.#size / 2) return;
    if (SILENT.has(kind) && this.#silent.has(whom)) return;
    const detail = this.#do(kind, { worker, pid: worker.pid, spot, whom }, random, signal);
    this.faults.push({ kind, worker: whom, at: this.#now(), detail });
  }

  /** Does it, and says what. */
  #do(kind: FaultKind, victim: Victim, random: Random, signal: AbortSignal): string {
    const { pid, spot } = victim;
    const { front, beat } = spot;
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
        const { lostAfterMs } = this.#site;
        const ms = random.whole(lostAfterMs / 2, 2 * lostAfterMs);
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
      case 'cut': {
        const how = random.pick(CUTS);
        front.cut(how);
        return `${how} of ${front.address}`;
      }
      case 'freeze': {
        const ms = random.whole(20, 800);
        this.#hub.server.pause();
        this.#last(victim, ms, signal, () => this.#hub.server.resume());
        return `for ${ms} ms`;
      }
      case 'restart':
        return this.#takeAway(victim, random.whole(0, 700), signal);
      case 'outage': {
        const { goneAfterMs } = this.#hub;
        return this.#takeAway(victim, random.whole(goneAfterMs + 500, 2 * goneAfterMs), signal);
      }
    }
  }

  get #hub() {
    const { hub } = this.#site;
    if (hub === undefined) throw new Error('there is no server that all meet at');
    return hub;
  }

  /** Kills the server, and starts it again after a time, or at the end of all. */
  #takeAway({ whom }: Victim, ms: number, signal: AbortSignal): string {
    const { server } = this.#hub;
    this.#silent.add(whom);
    const killed = server.kill();
    this.#later(sleep(ms, undefined, { signal }), async () => {
      await killed;
      await server.restart();
      await sleep(RECOVERY_MS, undefined, { signal }).catch(() => {});
      this.#silent.delete(whom);
    });
    return `for ${ms} ms`;
  }

  /** Undoes what keeps the worker silent, after a time, or at the end of all. */
  #last({ whom }: Victim, ms: number, signal: AbortSignal, undo: () => void): void {
    this.#silent.add(whom);
    this.#later(sleep(ms, undefined, { signal }), () => {
      this.#silent.delete(whom);
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
