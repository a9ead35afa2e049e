/** Chains as the program handles them. */
import { bareScope, chainOf, currentChain as present, storage } from './scope.ts';

/**
 * Runs `fn` in a chain of its own, which begins as a copy of the present one: what is set inside, nobody
 * outside sees. A server runs each request in one.
 *
 * @returns what `fn` returns
 * @throws TypeError when `fn` is no function
 * @example
 * ```ts
 * server.on('request', (request, response) => fork(() => handle(request, response)));
 * ```
 */
export function fork<T>(fn: () => T): T {
  if (typeof fn !== 'function') throw new TypeError('fork(fn) takes a function');
  const scope = storage.getStore() ?? bareScope();
  return storage.run({ ...scope, chain: chainOf(scope).fork() }, fn);
}

/** A chain, to look at. */
export interface ChainView {
  /** The same wherever the chain goes on: here, and in the routines that are awaited one after the other. */
  readonly id: string;
  /** The variables that have a value, as `namespace:name`, sorted. */
  readonly variables: readonly string[];
}

/**
 * The chain of the code that runs now, for tests and tools; undefined where nothing was set in it so far.
 */
export function currentChain(): ChainView | undefined {
  const chain = present();
  if (chain?.id === undefined) return undefined;
  const variables = Array.from(chain.snapshot().values(), ({ variable }) => String(variable));
  return { id: chain.id, variables: variables.sort() };
}
