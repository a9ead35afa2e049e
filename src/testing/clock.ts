/** Simulated time: what happens next happens at once, and nothing else does meanwhile. */

export interface Appointment {
  cancel(): void;
}

interface Entry extends Appointment {
  readonly at: number;
  /** Those of the same moment come in the order in which they were made. */
  readonly order: number;
  run: (() => void) | undefined;
}

/** So many steps in one go, then the real event loop has its turn. */
const STEPS_PER_TURN = 5_000;
/** Real milliseconds that something real may take, such as the import of a module. */
const REAL_MS = 1_000;

/** What ended a stretch of simulated time. */
export type Stop = 'done' | 'stuck' | 'limit';

export class Clock {
  /** Milliseconds since the start. */
  now = 0;
  readonly #heap: Entry[] = [];
  #orders = 0;
  #soon: (() => void)[] = [];
  #steps = 0;

  /** Has `run` called `ms` milliseconds from now. */
  after(ms: number, run: () => void): Appointment {
    this.#orders += 1;
    const entry: Entry = {
      at: this.now + Math.max(0, ms),
      order: this.#orders,
      run,
      cancel() {
        this.run = undefined;
      },
    };
    this.#push(entry);
    return entry;
  }

  /** Has `run` called in this moment, when the code that runs now is done, its promises included. */
  soon(run: () => void): void {
    this.#soon.push(run);
  }

  /** Steps that were taken. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * Lets time pass until `done`, or until `limitMs`.
   *
   * @param stuck whether only something real can help: simulated time stands still then, for a while
   * @returns what stopped it: `stuck` when nothing can happen any more
   */
  async run(done: () => boolean, limitMs: number, stuck?: () => boolean): Promise<Stop> {
    await settled();
    for (;;) {
      while (this.#soon.length > 0) {
        const soon = this.#soon;
        this.#soon = [];
        for (const run of soon) {
          run();
          await settled();
        }
      }
      if (done()) return 'done';
      const next = this.#peek();
      if (next === undefined || stuck?.()) {
        if (!stuck?.()) return 'stuck';
        const came = () => this.#soon.length > 0 || done() || !stuck();
        if (!(await somethingReal(came))) return 'stuck';
        continue;
      }
      if (next.at > limitMs) return 'limit';
      this.#pop();
      this.now = next.at;
      this.#steps += 1;
      next.run?.();
      await (this.#steps % STEPS_PER_TURN === 0 ? realTurn() : settled());
    }
  }

  #peek(): Entry | undefined {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.run !== undefined) return first;
      this.#pop();
    }
    return undefined;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above] as Entry;
      if (!before(entry, parent)) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let below = index * 2 + 1;
      if (below >= heap.length) break;
      const right = below + 1;
      if (right < heap.length && before(heap[right] as Entry, heap[below] as Entry)) below = right;
      if (!before(heap[below] as Entry, last)) break;
      heap[index] = heap[below] as Entry;
      index = below;
    }
    heap[index] = last;
  }
}

function before(one: Entry, other: Entry): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

/** Resolves when all promises have come as far as they can without time passing. */
function settled(): Promise<void> {
  // A tick comes before the microtasks that are due, except when a microtask asks for it: then it comes
  // when none is left.
  return new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));
}

/** Waits for the real event loop to bring what simulated time can't; false when it does not. */
async function somethingReal(came: () => boolean): Promise<boolean> {
  const began = performance.now();
  while (performance.now() - began < REAL_MS) {
    await realTurn();
    if (came()) return true;
  }
  return false;
}

function realTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
