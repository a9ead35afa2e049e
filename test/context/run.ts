/** Runs whole scripts. */
import { Task } from './interpreter.ts';
import type { Op } from './script.ts';
import type { World } from './world.ts';

let runs = 0;

/** The task that a script's first operations are of. */
export function rootTask(world: World): Task {
  runs += 1;
  return new Task({ name: 'r', run: `${process.pid}-${runs}`, held: [] }, world);
}

/** What a script does, line by line. */
export async function traceOf(script: readonly Op[], world: World): Promise<string[]> {
  const task = rootTask(world);
  try {
    await task.run(script, world);
  } finally {
    await task.close(world);
  }
  return task.drain();
}
