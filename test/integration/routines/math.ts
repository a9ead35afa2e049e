import { currentTask, routine } from '../../../src/index.ts';

export const add = routine(async (x: number, y: number) => x + y);

export const squares = routine(async function* (n: number) {
  for (let i = 0; i < n; i += 1) yield i * i;
});

export const whoAmI = routine(() => {
  const { id, routine, caller } = currentTask() ?? {};
  return { id, routine, caller };
});
export const nested = routine(async (x: number) => {
  return { sum: await add(x, 1), me: currentTask()?.id, inner: (await whoAmI())?.caller };
});
export const fails = routine(async () => {
  throw new TypeError('wrong', { cause: new Error('inner') });
});
