/** Holds the runtime against the oracle, command by command. */
import fc from 'fast-check';
import { fork } from '../../src/index.ts';
import { rootOperations } from './arbitrary.ts';
import { ChainNames, difference } from './compare.ts';
import { type OracleWorld, oracle } from './oracle.ts';
import { RootTask } from './run.ts';
import { RuntimeWorld } from './runtime.ts';
import type { Op } from './script.ts';

/** One side: the oracle or the runtime. */
class Side<W extends OracleWorld | RuntimeWorld> {
  readonly world: W;
  readonly root: RootTask;
  readonly #names = new ChainNames();
  readonly #lines: string[] = [];

  constructor(world: W, run: string) {
    this.world = world;
    this.root = new RootTask(world, run);
  }

  /** All that happened so far. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  add(lines: readonly string[]): void {
    this.#lines.push(...lines.map((line) => this.#names.in(line)));
  }
}

export class Difference extends Error {
  override name = 'Difference';

  constructor(script: readonly Op[], lines: string) {
    super(`the runtime does not do what the oracle says\n${lines}\n${JSON.stringify(script)}`);
  }
}

interface Pair {
  readonly oracle: Side<OracleWorld>;
  readonly runtime: Side<RuntimeWorld>;
  readonly script: Op[];
}

function newPair(run: string): Pair {
  return {
    oracle: new Side(oracle(), run),
    runtime: new Side(new RuntimeWorld(run), run),
    script: [],
  };
}

async function both(
  { oracle, runtime, script }: Pair,
  act: (root: RootTask) => Promise<string[]>,
): Promise<void> {
  oracle.add(await act(oracle.root));
  runtime.add(await act(runtime.root));
  const found = difference(oracle.lines, runtime.lines, oracle.world.spent);
  if (found !== undefined) throw new Difference(script, found);
}

/** A part of a script; the model is in the pair. */
class Command implements fc.AsyncCommand<Pair, Pair> {
  readonly #ops: readonly Op[];

  constructor(ops: readonly Op[]) {
    this.#ops = ops;
  }

  check(): boolean {
    return true;
  }

  async run(pair: Pair): Promise<void> {
    pair.script.push(...this.#ops);
    await both(pair, (root) => root.do(this.#ops));
  }

  toString(): string {
    return this.#ops.map((op) => JSON.stringify(op)).join(', ');
  }
}

/** Scripts of a caller. */
export const commands = fc.commands([rootOperations.map((ops) => new Command(ops))], {
  maxCommands: 12,
});

/**
 * Runs a script on both sides.
 *
 * @param run as `Surroundings` has it
 * @throws Difference
 */
export function runCommands(
  script: Iterable<fc.AsyncCommand<Pair, Pair>>,
  run: string,
): Promise<void> {
  return fork(async () => {
    const pair = newPair(run);
    try {
      await fc.asyncModelRun(() => ({ model: pair, real: pair }), script);
      await both(pair, (root) => root.end());
    } finally {
      // Also where it failed.
      await pair.runtime.root.end();
    }
  });
}

/** As `runCommands`, for a script as it was printed. */
export function runScript(script: readonly Op[], run: string): Promise<void> {
  return runCommands([new Command(script)], run);
}
