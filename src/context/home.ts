/** What a process knows of the tokens that have crossed its border, and the ids that it gives. */
import { type Env, systemEnv } from '../env.ts';
import { shared } from './shared.ts';

export class ContextHome {
  readonly #env: Pick<Env, 'uid'>;
  #uid: string | undefined;
  #count = 0;
  /** Tokens that have crossed, by their ids: one that comes back is the same object. */
  readonly #tokens = new Map<string, WeakRef<object>>();
  readonly #collected = new FinalizationRegistry<string>((id) => {
    if (this.#tokens.get(id)?.deref() === undefined) this.#tokens.delete(id);
  });

  constructor(env: Pick<Env, 'uid'>) {
    this.#env = env;
  }

  /** An id for a chain, which no other process gives. */
  newId(): string {
    this.#uid ??= this.#env.uid();
    this.#count += 1;
    return `${this.#uid}-${this.#count}`;
  }

  /**
   * An id for a token. Nobody can guess it: who names a token has had it, and so gets no more than it had.
   */
  newTokenId(): string {
    return this.#env.uid();
  }

  remember(id: string, token: object): void {
    if (this.find(id) === token) return;
    this.#tokens.set(id, new WeakRef(token));
    this.#collected.register(token, id);
  }

  find(id: string): object | undefined {
    return this.#tokens.get(id)?.deref();
  }
}

/** That of code outside of any task. */
export const processHome = shared('home', () => new ContextHome(systemEnv));
