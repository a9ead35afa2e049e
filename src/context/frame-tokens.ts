/** The tokens that the values of one frame refer to. */
import type { TokenTable } from '../wire/context.ts';
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

  refer(token: Token<unknown>): string {
    const state = stateOf(token);
    state.id ??= this.#home.newId();
    this.add(state.id, token);
    return state.id;
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
