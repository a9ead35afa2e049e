/** Calls that wait for a worker, the longest first. */
import type { Call } from './call.ts';

/**
 * A queue in the order of the calls' sequence, so that a call that had to come back keeps its place.
 * Nearly all are appended and taken from the front.
 */
export class WaitingCalls {
  #list: Call[] = [];

  get size(): number {
    return this.#list.length;
  }

  get calls(): Call[] {
    return [...this.#list];
  }

  /** Takes out the calls that `place` finds a worker for, the longest waiting first, up to `most`. */
  takeWhere(most: number, place: (call: Call) => boolean): void {
    let taken = 0;
    for (let i = 0; i < this.#list.length && taken < most; ) {
      const call = this.#list[i] as Call;
      if (place(call)) {
        this.delete(call);
        taken += 1;
      } else i += 1;
    }
  }

  add(call: Call): void {
    this.#list.splice(this.#place(call), 0, call);
  }

  delete(call: Call): boolean {
    const place = this.#place(call);
    if (this.#list[place] !== call) return false;
    if (place === 0) this.#list.shift();
    else this.#list.splice(place, 1);
    return true;
  }

  clear(): void {
    this.#list = [];
  }

  /** The first place whose call is not older. */
  #place({ sequence }: Call): number {
    let low = 0;
    let high = this.#list.length;
    if ((this.#list[0]?.sequence ?? sequence) >= sequence) return 0;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#list[middle] as Call).sequence < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
