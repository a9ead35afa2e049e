/** Chains and tokens where code goes on, or runs while something is written or read. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fork, type Token } from '../../src/index.ts';
import { until } from './helpers.ts';
import {
  Counted,
  countEnded,
  keepsToken,
  label,
  leavesCall,
  leavesCode,
  lending,
  level,
  nestedWitness,
  resetIt,
  runLeftOver,
  setsCounted,
  spendAndFail,
  startedAgain,
  tryReset,
  usesWhenEncoded,
  Witness,
  whatFollowed,
  witness,
  witnessError,
  yieldsUnreadable,
} from './routines/left-over.ts';
import { WorkerPool } from './runtime.ts';

let one: WorkerPool;
let two: WorkerPool;

beforeAll(async () => {
  [one, two] = await Promise.all([
    WorkerPool.open({ size: 1, limits: { maxValueBytes: 300_000 } }),
    WorkerPool.open({ size: 2 }),
  ]);
});

afterAll(async () => {
  await Promise.all([one.close(), two.close()]);
});

const inFork = (pool: () => WorkerPool, fn: () => Promise<void>) => () =>
  fork(() => pool().run(async () => await fn()));

describe('code that a step has left running', () => {
  test(
    'has no token that a later step of the same chain has, too',
    inFork(
      () => two,
      async () => {
        for (let i = 0; i < 4; i += 1) {
          const token = level.set('mine');
          const steps = lending(token);
          await steps.next();
          await fork(() => steps.next());
          const { value } = await steps.next();
          expect((value as string[]).filter((outcome) => outcome === 'ok')).toHaveLength(1);
          expect(tryReset(token)).toBe('TOKEN_USED');
        }
      },
    ),
  );

  test.each([false, true])(
    'changes nothing for who asks for the next step (another value set: %s)',
    async (other) => {
      await fork(() =>
        one.run(async () => {
          level.set('home');
          const steps = leavesCode();
          expect(await steps.next()).toMatchObject({ value: 'home' });
          await runLeftOver();
          if (other) label.set(1);
          expect(await steps.next()).toMatchObject({ value: 'home' });
          expect(level.get()).toBe('home');
        }),
      );
    },
  );

  test('shows nothing to another flow that never set anything', async () => {
    const steps = leavesCode.on(one)();
    await fork(() => steps.next());
    await fork(() => runLeftOver.on(one)());
    const seen = await fork(async () => [(await steps.next()).value, level.get('none')]);
    expect(seen).toEqual(['none', 'none']);
  });
});

describe('code of classes that writes and reads them', () => {
  const each = ['A', 'B', 'C'];

  test('sees the chain of its own call', async () => {
    const calls = each.map((name) =>
      fork(async () => {
        label.set(name);
        const [given, made] = (await witness.on(one)(new Witness())) as [Witness, Witness];
        const error = await witnessError
          .on(one)()
          .catch((thrown: unknown) => thrown);
        return [given.seen, made.seen, (error as { witness: Witness }).witness.seen].flat();
      }),
    );
    const seen = await Promise.all(calls);
    expect(seen).toEqual(each.map((name) => Array(8).fill(name)));
  });

  test('sees it where a worker calls itself, too', async () => {
    const calls = each.map((name) =>
      fork(async () => {
        label.set(name);
        const [given, made] = (await nestedWitness.on(one)()) as [Witness, Witness];
        return [given.seen, made.seen].flat();
      }),
    );
    const seen = await Promise.all(calls);
    for (const [i, names] of seen.entries()) expect(new Set(names)).toEqual(new Set([each[i]]));
  });

  test(
    'spends a token for the caller, too, while the answer is written',
    inFork(
      () => one,
      async () => {
        const token = level.set(1);
        await usesWhenEncoded(token);
        expect(tryReset(token)).toBe('TOKEN_USED');
      },
    ),
  );
});

test('what the code of values does while they are read, takes no change back', async () => {
  await fork(() =>
    one.run(async () => {
      await setsCounted();
      expect(level.get()).toBeInstanceOf(Counted);
      expect(label.get()).toBe('from the worker');
    }),
  );
});

test('a token that a call of an ended task has, is used nowhere else', async () => {
  for (let i = 0; i < 4; i += 1) {
    await leavesCall.on(two)();
    const outcomes = await Promise.all(two.workers.map(() => whatFollowed.on(two)()));
    for (const outcome of outcomes) {
      if (outcome !== undefined) expect(outcome).not.toMatch(/^ok ok$/);
    }
  }
});

test('a load balancer runs in no chain, also one that is a generator', async () => {
  const seen: unknown[] = [];
  const loadBalancer = {
    *delegate(_task: unknown, { workers }: { workers: readonly { uid: string }[] }) {
      seen.push(label.get('none'));
      for (const { uid } of workers) yield uid;
    },
  };
  await using pool = await WorkerPool.open({ size: 1, loadBalancer });
  await fork(async () => {
    label.set('mine');
    await countEnded.on(pool)();
  });
  expect(seen).toEqual(['none']);
});

test('a generator whose value can not be read here, ends there, too', async () => {
  const steps = yieldsUnreadable.on(one)();
  await expect(steps.next()).rejects.toThrow(/never/);
  await until(async () => expect(await countEnded.on(one)()).toBe(1));
});

describe('what does not fit', () => {
  test(
    'beside an error takes the tokens along that the routine has used',
    inFork(
      () => one,
      async () => {
        const tokens = Array.from({ length: 500 }, (_, i) => level.set(i));
        await expect(spendAndFail(tokens, 299_000)).rejects.toThrow('xxx');
        expect(new Set(tokens.map(tryReset))).toEqual(new Set(['TOKEN_USED']));
      },
    ),
  );

  test(
    'does not make a reset put back nothing once it comes',
    inFork(
      () => one,
      async () => {
        const old = 'o'.repeat(200_000);
        level.set(old);
        const token = level.set('new');
        await keepsToken(token, 'x'.repeat(200_000));
        expect(await resetIt(token)).toBe('ok');
        expect(level.get()).toBe(old);
      },
    ),
  );

  test(
    'is a step that never left: its tokens are free',
    inFork(
      () => one,
      async () => {
        const steps = leavesCode() as unknown as AsyncGenerator<unknown, unknown, unknown>;
        await steps.next();
        const token = level.set(1);
        await expect(steps.next([token, 'x'.repeat(400_000)])).rejects.toThrow(/at most/);
        expect(tryReset(token)).toBe('ok');
      },
    ),
  );
});

test('a generator that was started again takes the tokens of later steps as they are', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'skein-again-'));
  await using pool = await WorkerPool.open({ size: 2 });
  try {
    await fork(async () => {
      level.set(0);
      const steps = startedAgain.on(pool)(join(folder, 'began'));
      expect(await steps.next()).toMatchObject({ value: 'first' });
      const token: Token<unknown> = level.set(1);
      expect(await steps.next(token)).toMatchObject({ value: ['ok', 'ok'] });
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
