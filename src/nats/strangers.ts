/** Those of whom nothing is known yet, by whom they claim to be: few of each, and not too many in all. */

export interface StrangerLimits {
  /** Most of one name. With one more, its oldest goes. */
  readonly each: number;
  /** Most of all. With one more, the oldest goes of who has the most. */
  readonly all: number;
}

export class Strangers<T> {
  readonly #dismiss: (stranger: T) => void;
  readonly #limits: StrangerLimits;
  /** The oldest first. */
  readonly #byName = new Map<string, Set<T>>();
  #size = 0;

  /** @param dismiss ends one, which is removed before */
  constructor(dismiss: (stranger: T) => void, limits: StrangerLimits) {
    this.#dismiss = dismiss;
    this.#limits = limits;
  }

  add(name: string, stranger: T): void {
    const { each, all } = this.#limits;
    if ((this.#byName.get(name)?.size ?? 0) >= each) this.#endOldest(name);
    else if (this.#size >= all) this.#endOldest(this.#greatest());
    const group = this.#byName.get(name) ?? new Set();
    this.#byName.set(name, group);
    group.add(stranger);
    this.#size += 1;
  }

  /** It is known by now, or has gone. */
  remove(name: string, stranger: T): void {
    const group = this.#byName.get(name);
    if (!group?.delete(stranger)) return;
    this.#size -= 1;
    if (group.size === 0) this.#byName.delete(name);
  }

  #endOldest(name: string): void {
    for (const oldest of this.#byName.get(name) ?? []) {
      this.remove(name, oldest);
      this.#dismiss(oldest);
      return;
    }
  }

  #greatest(): string {
    let [greatest, size] = ['', 0];
    for (const [name, group] of this.#byName) {
      if (group.size > size) [greatest, size] = [name, group.size];
    }
    return greatest;
  }
}
