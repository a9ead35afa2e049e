/** Calls that wait for a worker, the longest first. */
import type { Call } from './call.ts';

/**
 * A queue in the order of the calls' sequence, so that a call that had to come back keeps its place.
 * Nearly all are appended and taken from the front.
 */
export class WaitingCalls {
  #list: Call[] = [];
  /** How many of them each worker does not want. */
  readonly #unwanted = new Map<string, number>();

  get size(): number {
    return this.#list.length;
  }

  get calls(): Call[] {
    return [...this.#list];
  }

  /** Whether one of them may go to this worker, as far as it has said. */
  waitsFor(uid: string): boolean {
    return this.#list.length > (this.#unwanted.get(uid) ?? 0);
  }

  /** The call that came last, if that was after this one. */
  lastAfter({ sequence }: Call): Call | undefined {
    const last = this.#list.at(-1);
    return last !== undefined && last.sequence > sequence ? last : undefined;
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
    this.#count(call, 1);
  }

  delete(call: Call): boolean {
    const place = this.#place(call);
    if (this.#list[place] !== call) return false;
    if (place === 0) this.#list.shift();
    else this.#list.splice(place, 1);
    this.#count(call, -1);
    return true;
  }

  clear(): void {
    this.#list = [];
    this.#unwanted.clear();
  }

  #count({ declined }: Call, change: 1 | -1): void {
    if (declined === undefined) return;
    for (const uid of declined.by) {
      const count = (this.#unwanted.get(uid) ?? 0) + change;
      if (count === 0) this.#unwanted.delete(uid);
      else this.#unwanted.set(uid, count);
    }
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
