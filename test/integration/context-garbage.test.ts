/** What is left of tokens that crossed, when nobody refers to them any more. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fork } from '../../src/index.ts';
import {
  leftOnWorker,
  makes,
  resets,
  returns,
  takes,
  variable,
  Watched,
  yields,
} from './routines/context-garbage.ts';
import { WorkerPool } from './runtime.ts';

const COUNT = 1_000;

/** The last call may still have its own. */
const few = (left: number) => left < 3;

let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 1 });
});
afterAll(() => pool.close());

test.for<[string, (watched: Watched) => Promise<void>]>([
  [
    'made here, used there',
    async (watched) => {
      await resets(watched.add(variable.set({})));
    },
  ],
  [
    'made there, used here',
    async (watched) => {
      variable.reset(watched.add(await makes()));
    },
  ],
  [
    'made here, used here after they were there',
    async (watched) => {
      variable.reset(watched.add(await returns(variable.set({}))));
    },
  ],
  [
    'made there, never used',
    async (watched) => {
      watched.add(await makes());
    },
  ],
])('1,000 tokens that are %s leave nothing behind', async ([, cross]) => {
  await fork(async () => {
    variable.set({});
    const watched = new Watched();
    const [, before] = await leftOnWorker();
    for (let i = 0; i < COUNT; i += 1) await cross(watched);
    expect(await watched.left()).toEqual([expect.toSatisfy(few), COUNT]);
    const [left, all] = await leftOnWorker();
    expect([left, all - before]).toEqual([expect.toSatisfy(few), COUNT]);
  });
});

test('1,000 tokens that come in steps of a generator leave nothing behind while it goes on', async () => {
  await fork(async () => {
    variable.set({});
    const watched = new Watched();
    const steps = yields();
    for (let i = 0; i < COUNT; i += 1) {
      const { value } = await steps.next();
      variable.reset(watched.add(value as never));
    }
    expect(await watched.left()).toEqual([expect.toSatisfy(few), COUNT]);
    await steps.next();
    expect((await leftOnWorker())[0]).toSatisfy(few);
    await steps.return(undefined);
  });
});

test('1,000 tokens that go with steps of a generator leave nothing behind while it goes on', async () => {
  await fork(async () => {
    variable.set({});
    const watched = new Watched();
    const steps = takes();
    await steps.next();
    for (let i = 0; i < COUNT; i += 1) await steps.next(watched.add(variable.set({})));
    expect(await watched.left()).toEqual([expect.toSatisfy(few), COUNT]);
    expect((await leftOnWorker())[0]).toSatisfy(few);
    await steps.return();
  });
});
