/** Tokens that cross, and what is left of them on the worker. */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ContextVar, routine, type Token } from '../../../src/index.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

export const variable = new ContextVar<object>('of context-garbage');

/** Refers to tokens, and keeps none. */
export class Watched {
  readonly #refs: WeakRef<object>[] = [];

  add<T extends object>(token: T): T {
    this.#refs.push(new WeakRef(token));
    return token;
  }

  /** How many are still there, of how many. */
  async left(): Promise<[number, number]> {
    for (let i = 0; i < 5; i += 1) {
      await setImmediate();
      collect();
    }
    return [this.#refs.filter((ref) => ref.deref() !== undefined).length, this.#refs.length];
  }
}

const onWorker = new Watched();

export const leftOnWorker = routine(async () => await onWorker.left());

export const makes = routine(async () => onWorker.add(variable.set({})));

export const resets = routine(async (token: Token<object>) => {
  variable.reset(onWorker.add(token));
});

export const returns = routine(async (token: Token<object>) => onWorker.add(token));

export const yields = routine(async function* (): AsyncGenerator<Token<object>, void> {
  for (;;) yield onWorker.add(variable.set({}));
});

export const takes = routine(async function* (): AsyncGenerator<number, void, Token<object>> {
  for (let i = 0; ; i += 1) {
    const token = yield i;
    variable.reset(onWorker.add(token));
  }
});
