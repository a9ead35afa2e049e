/** Context variables with large values: they travel in chunks, or are left out where there is no room. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChainSerializationError, fork, ValueTooLarge } from '../../src/index.ts';
import { rejection, until } from './helpers.ts';
import {
  a,
  b,
  c,
  change,
  changeAndThrow,
  fill,
  look,
  slow,
  small,
  steps,
  sum,
  workerWarnings,
} from './routines/context-large.ts';
import { WorkerPool } from './runtime.ts';

const MIB = 1024 * 1024;

let warnings: string[] = [];
process.on('warning', ({ name, message }) => {
  if (name === 'SkeinSerializationWarning') warnings.push(message);
});
beforeEach(() => {
  warnings = [];
});

async function callerWarnings(): Promise<string[]> {
  await new Promise((resolve) => setImmediate(resolve));
  return warnings;
}

function inChain<T>(pool: WorkerPool, fn: () => Promise<T>): Promise<T> {
  return pool.run(() => fork(fn));
}

describe('a value that takes chunks', () => {
  let pool: WorkerPool;
  beforeAll(async () => {
    pool = await WorkerPool.open({ size: 1 });
  });
  afterAll(() => pool.close());

  test.each([MIB, 64 * MIB])('%i bytes, there and back', async (size) => {
    await inChain(pool, async () => {
      const sent = fill(size, 1);
      b.set(sent);
      a.set('beside it');
      expect(await look(new Uint8Array(100_000))).toEqual({ a: 9, b: size, sum: sum(sent), c: 0 });
      expect(await change({ b: size, given: 100_000 })).toHaveLength(100_000);
      expect([b.get().length, sum(b.get())]).toEqual([size, sum(fill(size, 2))]);
      expect(a.get()).toBe('beside it');
    });
  });

  test('with each step of a generator', async () => {
    await inChain(pool, async () => {
      for await (const total of steps(MIB)) expect(sum(b.get())).toBe(total);
    });
  });

  test('lets small calls pass', async () => {
    await inChain(pool, async () => {
      b.set(fill(64 * MIB, 1));
      let over = false;
      const large = look().finally(() => {
        over = true;
      });
      let passed = 0;
      // Of another chain, which has nothing large.
      await pool.run(async () => {
        await fork(async () => {
          b.set(new Uint8Array());
          while (!over) {
            expect(await small()).toBe('small');
            passed += 1;
          }
        });
      });
      await large;
      expect(passed).toBeGreaterThan(10);
    });
  });

  test('that is cancelled on its way leaves nothing behind', async () => {
    const [worker] = pool.workers;
    await inChain(pool, async () => {
      b.set(fill(4 * MIB, 1));
      // More than a link has transfers.
      for (let i = 0; i < 40; i += 1) {
        const controller = new AbortController();
        const call = look.with({ signal: controller.signal })();
        await fork(async () => {
          b.set(new Uint8Array());
          await small();
        });
        controller.abort(new Error('given up'));
        expect(String(await rejection(call))).toContain('given up');
      }
      expect(await look()).toMatchObject({ b: 4 * MIB });
    });
    await inChain(pool, async () => {
      for (let i = 0; i < 40; i += 1) {
        const controller = new AbortController();
        const call = slow.with({ signal: controller.signal })(4 * MIB);
        await small();
        controller.abort(new Error('given up'));
        expect(String(await rejection(call))).toContain('given up');
        expect(b.get(new Uint8Array())).toHaveLength(0);
      }
      expect(await change({ b: 4 * MIB })).toBe('');
      expect(b.get()).toHaveLength(4 * MIB);
    });
    expect(pool.workers[0]?.uid).toBe(worker?.uid);
    await until(() => expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, workers: 1 }));
  });
});

describe('where values may have 200,000 bytes', () => {
  let lenient: WorkerPool;
  let strict: WorkerPool;
  beforeAll(async () => {
    const maxValueBytes = 200_000;
    [lenient, strict] = await Promise.all([
      WorkerPool.open({ size: 1, limits: { maxValueBytes } }),
      WorkerPool.open({ size: 1, limits: { maxValueBytes }, strict: true }),
    ]);
  });
  afterAll(() => Promise.all([lenient.close(), strict.close()]));

  test('one that is larger is left out of the call', async () => {
    await inChain(lenient, async () => {
      a.set('a'.repeat(200_001));
      c.set('c'.repeat(1_000));
      expect(await look()).toMatchObject({ a: 0, c: 1_000 });
      expect(a.get()).toHaveLength(200_001);
    });
    expect(await callerWarnings()).toEqual([
      expect.stringMatching(/large:a can't be sent.*it is too large.*maxValueBytes/),
    ]);
  });

  test('where they are too much together, the largest is', async () => {
    await inChain(lenient, async () => {
      a.set('a'.repeat(60_000));
      b.set(fill(80_000, 1));
      c.set('c'.repeat(70_000));
      expect(await look()).toMatchObject({ a: 60_000, b: 0, c: 70_000 });
      // What the call itself takes goes before.
      expect(await look('x'.repeat(100_000))).toMatchObject({ a: 60_000, b: 0, c: 0 });
      expect(await look('x'.repeat(199_000))).toMatchObject({ a: 0, b: 0, c: 0 });
      expect(await rejection(look('x'.repeat(200_001)))).toBeInstanceOf(ValueTooLarge);
      expect(b.get()).toHaveLength(80_000);
    });
  });

  test('what is left out does not come back as lost', async () => {
    await inChain(lenient, async () => {
      a.set('a'.repeat(300_000));
      expect(await change({ c: 10 })).toBe('');
      expect(a.get()).toHaveLength(300_000);
      expect(c.get()).toHaveLength(10);
    });
  });

  test('one that the routine sets does not come back; its result does', async () => {
    await inChain(lenient, async () => {
      expect(await change({ a: 150_000, c: 10, given: 100_000 })).toHaveLength(100_000);
      expect(a.get('unset')).toBe('unset');
      expect(c.get()).toHaveLength(10);
      expect(await workerWarnings()).toEqual([
        expect.stringMatching(/large:a can't be sent back.*maxValueBytes/),
      ]);
    });
  });

  test('its error does, too', async () => {
    await inChain(lenient, async () => {
      const error = (await rejection(changeAndThrow(199_000, 100_000))) as Error;
      expect(error).toBeInstanceOf(RangeError);
      expect(error.message).toHaveLength(100_000);
      expect(a.get('unset')).toBe('unset');
      expect(c.get()).toBe('c');
    });
  });

  test('a result that is too large itself fails as ever, and what was set comes back', async () => {
    await inChain(lenient, async () => {
      expect(await rejection(change({ c: 10, given: 300_000 }))).toBeInstanceOf(ValueTooLarge);
      expect(c.get()).toHaveLength(10);
      const error = await rejection(change({ a: 185_000, given: 300_000 }));
      expect(error).toBeInstanceOf(ValueTooLarge);
    });
  });

  test('in steps, too', async () => {
    await inChain(lenient, async () => {
      let count = 0;
      for await (const _total of steps(300_000)) {
        expect(b.get(new Uint8Array())).toHaveLength(0);
        count += 1;
      }
      expect(count).toBe(3);
    });
  });

  test('where context is strict, they fail the call', async () => {
    await inChain(strict, async () => {
      await fork(async () => {
        a.set('a'.repeat(150_000));
        b.set(fill(150_001, 1));
        c.set('c'.repeat(200_001));
        const error = (await rejection(look())) as ChainSerializationError;
        expect(error).toBeInstanceOf(ChainSerializationError);
        expect(error.variables).toEqual(['large:c', 'large:b']);
        expect(error.message).toContain('maxValueBytes');
      });
      const error = (await rejection(
        change({ a: 190_000, c: 10, given: 100_000 }),
      )) as ChainSerializationError;
      expect(error).toBeInstanceOf(ChainSerializationError);
      expect(error.variables).toEqual(['large:a']);
      expect(c.get()).toHaveLength(10);
      const failed = (await rejection(changeAndThrow(199_000, 100_000))) as ChainSerializationError;
      expect(failed).toBeInstanceOf(ChainSerializationError);
      expect(failed.cause).toBeInstanceOf(RangeError);
      expect(c.get()).toBe('c');
    });
  });
});
