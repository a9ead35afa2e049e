import { ContextVar, routine, SkeinError } from '../../../src/index.ts';

export const first = new ContextVar<number>('first of context-strict');
export const second = new ContextVar<unknown>('second of context-strict');

/** Gives the token that it makes; then, with each step, what becomes of it where the body uses it. */
export const usesAgain = routine(async function* (): AsyncGenerator<unknown, void> {
  const token = first.set(1);
  yield token;
  for (;;) {
    try {
      first.reset(token);
      yield 'accepted';
    } catch (error) {
      yield error instanceof SkeinError ? error.code : String(error);
    }
  }
});

export const sees = routine(async function* (): AsyncGenerator<unknown[], void> {
  for (;;) yield [first.get('unset'), second.get('unset')];
});
