/** Values that can't travel, and stay with the caller: a worker takes their variables for unset. */
import type { Binding } from './binding.ts';
import type { Snapshot } from './chain.ts';
import type { Changes } from './manifest.ts';
import { identityOf, stateOf, type Token } from './variable.ts';

/** One for each call; a generator has the same one for all of its steps. */
export class Withheld {
  readonly #own = new Map<string, Binding>();

  /** Adds those that were left out, and forgets those that have no value here any more. */
  update(leftOut: readonly string[], state: Snapshot): void {
    for (const key of this.#own.keys()) if (!state.has(key)) this.#own.delete(key);
    for (const key of leftOut) {
      const binding = state.get(key);
      if (binding !== undefined) this.#own.set(key, binding);
    }
  }

  /** What a `set` over nothing on the worker has replaced. */
  find(key: string): Binding | undefined {
    return this.#own.get(key);
  }

  /**
   * What a worker has changed, as it is here: where it has taken its own value back, the one that stayed
   * here is there again.
   *
   * @param known what the worker had of this chain, and what was withheld
   * @param spent tokens that were used there; with one of before the value, there is none any more
   */
  translate(changes: Changes, known: Snapshot, spent: readonly Token<unknown>[]): Changes {
    const emptied = new Set<string>();
    for (const token of spent) {
      const { old, incomplete } = stateOf(token);
      if (old === undefined && !incomplete) emptied.add(identityOf(token.var));
    }
    const translated = new Map(changes);
    for (const [key, binding] of this.#own) {
      if (translated.get(key) !== undefined) continue;
      // Where it was unset there all the time, nothing says that it is.
      const isUnset = translated.has(key) || known.get(key) === binding;
      if (emptied.has(key) && isUnset) translated.set(key, undefined);
      else if (translated.has(key)) translated.set(key, binding);
    }
    return translated;
  }
}
