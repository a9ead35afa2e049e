/** What the code that runs now is part of. One storage holds all of it, since each costs. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Chain } from './chain.ts';
import { type ContextHome, processHome } from './home.ts';
import { shared } from './shared.ts';

/** The floors above say what their parts are. */
export interface Scope {
  /** Made when it is first needed. Scopes that derive from each other share it. */
  chain: Chain | undefined;
  readonly home: ContextHome;
  readonly task: unknown;
  readonly dispatcher: unknown;
  readonly options: unknown;
  readonly importing: unknown;
}

export const storage = shared('storage', () => new AsyncLocalStorage<Scope>());

/** A scope that is part of nothing. */
export function bareScope(): Scope {
  return {
    chain: undefined,
    home: processHome,
    task: undefined,
    dispatcher: undefined,
    options: undefined,
    importing: undefined,
  };
}

/**
 * Runs `fn`, which makes something that outlives the code that runs now, and must not keep its chain, nor
 * act in it.
 */
export function outside<T>(fn: () => T): T {
  return storage.getStore() === undefined ? fn() : storage.run(undefined as never, fn);
}

/** The chain of the code that runs now, if it has one. */
export function currentChain(): Chain | undefined {
  return storage.getStore()?.chain;
}

/** The chain of a scope, made if need be. */
export function chainOf(scope: Scope): Chain {
  scope.chain ??= new Chain(scope.home);
  return scope.chain;
}

/**
 * The chain of the code that runs now. Outside of any scope, one is made that holds for the rest of the
 * current asynchronous execution: for what awaits it, too, when this comes before its first await.
 */
export function enterChain(): Chain {
  let scope = storage.getStore();
  if (scope === undefined) {
    scope = bareScope();
    storage.enterWith(scope);
  }
  return chainOf(scope);
}
