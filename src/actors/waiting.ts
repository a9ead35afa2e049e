/** Calls that wait for a worker, the longest first. */
import type { Call } from './call.ts';

export interface Waiting {
  readonly call: Call;
  /** Workers that it may not go to, until they have room again. */
  refused: readonly string[];
}

/**
 * A queue in the order of the calls' sequence, so that a call that had to come back keeps its place.
 * Nearly all are appended and taken from the front.
 */
export class WaitingCalls {
  #list: Waiting[] = [];

  get size(): number {
    return this.#list.length;
  }

  get calls(): Call[] {
    return this.#list.map(({ call }) => call);
  }

  /** Takes out the calls that `place` finds a worker for, the longest waiting first, up to `most`. */
  takeWhere(most: number, place: (waiting: Waiting) => boolean): void {
    let taken = 0;
    for (let i = 0; i < this.#list.length && taken < most; ) {
      const waiting = this.#list[i] as Waiting;
      if (place(waiting)) {
        this.delete(waiting.call);
        taken += 1;
      } else i += 1;
    }
  }

  add(waiting: Waiting): void {
    this.#list.splice(this.#place(waiting.call), 0, waiting);
  }

  delete(call: Call): boolean {
    const place = this.#place(call);
    if (this.#list[place]?.call !== call) return false;
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
    if ((this.#list[0]?.call.sequence ?? sequence) >= sequence) return 0;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#list[middle] as Waiting).call.sequence < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
