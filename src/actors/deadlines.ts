/** All deadlines of a proxy in one heap with one timer: a timer for each call would cost more than the call. */
import type { Env, Timer } from '../env.ts';

// Timers of Node fire at once beyond 31 bits of milliseconds; the heap sets them anew.
const LONGEST_TIMER_MS = 0x7fffffff;

/** A deadline that was set. */
export interface Deadline {
  readonly due: number;
  readonly fire: () => void;
  /** Place in the heap; -1 when it is out. */
  index: number;
}

export class Deadlines {
  readonly #env: Env;
  readonly #heap: Deadline[] = [];
  #timer: Timer | undefined;
  #timerDue = Number.POSITIVE_INFINITY;

  constructor(env: Env) {
    this.#env = env;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Calls `fire` once, `ms` milliseconds from now. */
  add(ms: number, fire: () => void): Deadline {
    const deadline = { due: this.#env.now() + ms, fire, index: this.#heap.length };
    this.#heap.push(deadline);
    this.#up(deadline);
    this.#arm();
    return deadline;
  }

  remove(deadline: Deadline): void {
    const { index } = deadline;
    if (index < 0) return;
    deadline.index = -1;
    const last = this.#heap.pop() as Deadline;
    if (last !== deadline) {
      this.#put(last, index);
      this.#up(last);
      this.#down(last);
    }
    if (this.#heap.length === 0) this.#disarm();
  }

  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined || first.due >= this.#timerDue) return;
    this.#timer?.cancel();
    this.#timerDue = first.due;
    const ms = Math.min(LONGEST_TIMER_MS, Math.max(0, first.due - this.#env.now()));
    this.#timer = this.#env.timer(ms, () => this.#fire());
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerDue = Number.POSITIVE_INFINITY;
  }

  #fire(): void {
    this.#disarm();
    const now = this.#env.now();
    for (
      let first = this.#heap[0];
      first !== undefined && first.due <= now;
      first = this.#heap[0]
    ) {
      this.remove(first);
      try {
        first.fire();
      } finally {
        this.#arm();
      }
    }
    this.#arm();
  }

  #put(deadline: Deadline, index: number): void {
    this.#heap[index] = deadline;
    deadline.index = index;
  }

  #up(deadline: Deadline): void {
    let { index } = deadline;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = this.#heap[above] as Deadline;
      if (parent.due <= deadline.due) break;
      this.#put(parent, index);
      index = above;
    }
    this.#put(deadline, index);
  }

  #down(deadline: Deadline): void {
    let { index } = deadline;
    for (;;) {
      let below = index * 2 + 1;
      const right = this.#heap[below + 1];
      if (right !== undefined && right.due < (this.#heap[below] as Deadline).due) below += 1;
      const child = this.#heap[below];
      if (child === undefined || child.due >= deadline.due) break;
      this.#put(child, index);
      index = below;
    }
    this.#put(deadline, index);
  }
}
