/** Pools where a value of a context variable that can't travel fails its call. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ChainSerializationError, fork, type Token } from '../../src/index.ts';
import { first, second, sees, usesAgain } from './routines/context-strict.ts';
import { WorkerPool } from './runtime.ts';

let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 1, strict: true });
});
afterAll(() => pool.close());

/** A step that can't go out for a value of the chain of the code that asks for it. */
async function failsToAsk(generator: AsyncGenerator<unknown>): Promise<void> {
  const token = second.set(() => 'a function');
  await expect(generator.next()).rejects.toThrow(ChainSerializationError);
  second.reset(token);
}

describe('a step that could not go out does not count: the next one', () => {
  test('tells the body that a token was used meanwhile', async () => {
    await fork(async () => {
      second.set('kept');
      const generator = usesAgain();
      const { value } = await generator.next();
      first.reset(value as Token<number>);
      await failsToAsk(generator);
      expect((await generator.next()).value).toBe('TOKEN_USED');
      await generator.return();
    });
  });

  test('takes all values of another chain along', async () => {
    await fork(async () => {
      first.set(1);
      second.set('kept');
      const generator = sees();
      expect((await generator.next()).value).toEqual([1, 'kept']);
      await fork(async () => {
        await failsToAsk(generator);
        first.set(2);
        expect((await generator.next()).value).toEqual([2, 'kept']);
      });
      expect((await generator.next()).value).toEqual([1, 'kept']);
      await generator.return();
    });
  });
});
