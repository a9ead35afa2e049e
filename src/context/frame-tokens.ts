/** The tokens that the values of one frame refer to. */
import { MAX_TOKENS, type TokenTable } from '../wire/context.ts';
import type { ContextHome } from './home.ts';
import { stateOf, type Token } from './variable.ts';

export class FrameTokens implements TokenTable {
  readonly #home: ContextHome;
  /** Made when it is needed: most frames have none. */
  #byId: Map<string, Token<unknown>> | undefined;

  constructor(home: ContextHome) {
    this.#home = home;
  }

  get size(): number {
    return this.#byId?.size ?? 0;
  }

  /** Those that are added while somebody walks through come last. */
  get all(): Iterable<Token<unknown>> {
    return this.#byId?.values() ?? [];
  }

  refer(token: Token<unknown>): string | undefined {
    const state = stateOf(token);
    if (this.size >= MAX_TOKENS && !(state.id !== undefined && this.#byId?.has(state.id))) {
      return undefined;
    }
    state.id ??= this.#home.newTokenId();
    this.add(state.id, token);
    return state.id;
  }

  /** Runs `encode`; where it fails, the tokens do not count that it has referred to. */
  attempt<T>(encode: () => T): T {
    const before = this.size;
    try {
      return encode();
    } catch (error) {
      const added = [...(this.#byId?.keys() ?? [])].slice(before);
      for (const id of added) this.#byId?.delete(id);
      throw error;
    }
  }

  add(id: string, token: Token<unknown>): void {
    this.#home.remember(id, token);
    this.#byId ??= new Map();
    this.#byId.set(id, token);
  }

  find(id: string): Token<unknown> | undefined {
    return this.#byId?.get(id);
  }
}
