/**
 * Which tasks a worker starts: each call number of a caller once. See docs/decisions/002.
 */

/** Callers whose last call number is kept after their links have ended. */
const REMEMBERED_EPOCHS = 4096;

/** What is known of a caller while it has links. */
interface Caller {
  links: number;
  /** Highest call number seen, or 0. */
  last: number;
}

/**
 * Admits each call number of a caller's epoch once. Numbers count up, so the highest one seen is
 * enough. A caller is never forgotten while it has a link; of those whose links have ended, the
 * last 4,096 are remembered.
 */
export class Admission {
  readonly #linked = new Map<string, Caller>();
  /** Highest call number of callers without a link, those whose link ended longest ago first. */
  readonly #left = new Map<string, number>();

  /** Callers that are remembered. */
  get size(): number {
    return this.#linked.size + this.#left.size;
  }

  /** A link of this caller is up. */
  open(epoch: string): void {
    const caller = this.#linked.get(epoch);
    if (caller) {
      caller.links += 1;
      return;
    }
    this.#linked.set(epoch, { links: 1, last: this.#left.get(epoch) ?? 0 });
    this.#left.delete(epoch);
  }

  /** A link of this caller, opened before, has ended. */
  close(epoch: string): void {
    const caller = this.#linked.get(epoch);
    if (!caller) return;
    caller.links -= 1;
    if (caller.links > 0) return;
    this.#linked.delete(epoch);
    if (caller.last === 0) return;
    this.#left.set(epoch, caller.last);
    if (this.#left.size <= REMEMBERED_EPOCHS) return;
    for (const oldest of this.#left.keys()) {
      this.#left.delete(oldest);
      break;
    }
  }

  /** Whether this call number is new; from now on it is not. False for a caller without a link. */
  admit(epoch: string, call: number): boolean {
    const caller = this.#linked.get(epoch);
    if (!caller || call <= caller.last) return false;
    caller.last = call;
    return true;
  }
}
