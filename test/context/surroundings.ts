/** What scripts share beside the runtime: in a simulation the memory, elsewhere files. */
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { currentProcess, sleep } from '../../src/testing/process.ts';

/** Milliseconds between two looks at a gate. */
const LOOK_MS = 1;

interface Shared {
  readonly open: Map<string, readonly string[]>;
  readonly accepted: string[];
}

/** By the names of runs. */
const memory = new Map<string, Shared>();

function sharedOf(run: string): Shared {
  let shared = memory.get(run);
  if (shared === undefined) {
    shared = { open: new Map(), accepted: [] };
    memory.set(run, shared);
  }
  return shared;
}

/** @param run a path that the names of files begin with; in a simulation any name */
export class Surroundings {
  readonly #run: string;

  constructor(run: string) {
    this.#run = run;
  }

  get #shared(): Shared | undefined {
    return currentProcess() && sharedOf(this.#run);
  }

  open(gate: string, lines: readonly string[] = []): void {
    if (this.#shared) {
      this.#shared.open.set(gate, lines);
      return;
    }
    writeFileSync(`${gate} new`, JSON.stringify(lines));
    renameSync(`${gate} new`, gate);
  }

  /** @param signal ends the waiting: it rejects with the signal's reason */
  async pass(gate: string, signal?: AbortSignal): Promise<readonly string[]> {
    for (;;) {
      const lines = this.#through(gate);
      if (lines) return lines;
      await sleep(LOOK_MS, signal ? { signal } : {});
    }
  }

  #through(gate: string): readonly string[] | undefined {
    if (this.#shared) return this.#shared.open.get(gate);
    return existsSync(gate) ? JSON.parse(readFileSync(gate, 'utf8')) : undefined;
  }

  /** Notes that a reset took a token. */
  accept(uid: string): void {
    if (this.#shared) this.#shared.accepted.push(uid);
    else appendFileSync(`${this.#run} accepted`, `${uid}\n`);
  }

  /** The tokens that resets took, anywhere. */
  get accepted(): readonly string[] {
    const shared = memory.get(this.#run);
    if (shared) return shared.accepted;
    const file = `${this.#run} accepted`;
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  }

  /** Drops what a simulation has noted. */
  forget(): void {
    memory.delete(this.#run);
  }
}
