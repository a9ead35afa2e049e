/** Runs whole scripts. */
import { Task } from './interpreter.ts';
import type { Op } from './script.ts';
import type { World } from './world.ts';

/** The task that a script's first operations are of. */
export class RootTask extends Task {
  readonly #world: World;
  readonly #run: string;

  /** @param run names it among others that go on in the same processes */
  constructor(world: World, run = 'run') {
    super({ name: 'r', run, held: [] }, world);
    this.#world = world;
    this.#run = run;
  }

  /** @returns what happened, line by line */
  async do(ops: readonly Op[]): Promise<string[]> {
    await this.run(ops, this.#world);
    return this.drain();
  }

  /** Ends what was left open. */
  async end(): Promise<string[]> {
    await this.wake(this.#world);
    await this.close(this.#world);
    this.#world.open(`${this.#run} never`);
    return this.drain();
  }
}

/** What comes at the end where no token may be used twice: everybody tries to use what they have. */
export const SPEND_ALL: readonly Op[] = [{ op: 'spend' }, { op: 'wake' }, { op: 'spend' }];

/** What a script does, line by line. */
export async function traceOf(
  script: readonly Op[],
  world: World,
  run?: string,
): Promise<string[]> {
  const root = new RootTask(world, run);
  const lines = await root.do(script);
  return [...lines, ...(await root.end())];
}
