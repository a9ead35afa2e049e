/** What scripts share beside the runtime: in a simulation the memory, elsewhere files. */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { currentProcess, sleep } from '../../src/testing/process.ts';

/** Milliseconds between two looks at a gate. */
const LOOK_MS = 1;

interface Shared {
  readonly open: Set<string>;
  readonly accepted: string[];
}

/** By the names of runs. */
const memory = new Map<string, Shared>();

function sharedOf(run: string): Shared {
  let shared = memory.get(run);
  if (shared === undefined) {
    shared = { open: new Set(), accepted: [] };
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

  open(gate: string): void {
    if (this.#shared) this.#shared.open.add(gate);
    else writeFileSync(gate, '');
  }

  /** @param signal ends the waiting: it rejects with the signal's reason */
  async pass(gate: string, signal?: AbortSignal): Promise<void> {
    const shared = this.#shared;
    const isOpen = () => (shared ? shared.open.has(gate) : existsSync(gate));
    while (!isOpen()) await sleep(LOOK_MS, signal ? { signal } : {});
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
