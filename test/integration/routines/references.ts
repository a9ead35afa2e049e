import { rm } from 'node:fs/promises';
import { type Routine, routine } from '../../../src/index.ts';

type Add = Routine<(x: number, y: number) => Promise<number>>;

/** Calls the routine that it is given. */
export const callIt = routine((fn: Add, x: number, y: number) => fn(x, y));

export const echoRoutine = routine((fn: Add) => fn);

/** Routines of a module that its caller has not imported. */
export const lateRoutines = routine(async () => {
  const { double, triple } = await import('./late.ts');
  return [double, triple, double];
});

export const lateStep = routine(async function* () {
  yield (await import('./late-step.ts')).quadruple;
});

export const lateThrown = routine(async () => {
  const { quintuple } = await import('./late-thrown.ts');
  throw Object.assign(new Error('with a routine'), { quintuple });
});

/** A generator that calls the routines that it is given. */
export const callEach = routine(async function* (): AsyncGenerator<number, void, Add> {
  let given = yield 0;
  for (;;) given = yield await given(20, 1);
});

/** A routine of a module that nobody can load any more. */
export const unreachable = routine(async (url: string) => {
  const module = (await import(url)) as { lost: Add };
  await rm(new URL(url));
  return module.lost;
});
