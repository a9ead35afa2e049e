/** What scripts share beside the runtime: in a simulation the memory, elsewhere files. */
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isWorker } from '../../src/index.ts';
import { currentProcess, sleep } from '../../src/testing/process.ts';
import type { Strike } from './script.ts';

/** Milliseconds between two looks at a gate. */
const LOOK_MS = 2;
/** Simulated milliseconds that a script waits for what is to go wrong. */
const STRIKE_MS = 2 * LOOK_MS;
/** After so many looks a gate counts as open: who was to open it may be gone. Longer than any script takes. */
const PATIENCE = 1_000;

interface Shared {
  readonly open: Map<string, readonly string[]>;
  readonly accepted: string[];
  /** What is to go wrong. */
  readonly strikes: Strike[];
}

/** By the names of runs. */
const memory = new Map<string, Shared>();

function sharedOf(run: string): Shared {
  let shared = memory.get(run);
  if (shared === undefined) {
    shared = { open: new Map(), accepted: [], strikes: [] };
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

  /**
   * @param signal ends the waiting: it rejects with the signal's reason
   * @returns what came through the gate
   */
  async pass(gate: string, signal?: AbortSignal): Promise<readonly string[]> {
    for (let look = 0; look < PATIENCE; look += 1) {
      const lines = this.#through(gate);
      if (lines) return lines;
      await sleep(LOOK_MS, signal ? { signal } : {});
    }
    return [];
  }

  #through(gate: string): readonly string[] | undefined {
    if (this.#shared) return this.#shared.open.get(gate);
    return existsSync(gate) ? JSON.parse(readFileSync(gate, 'utf8')) : undefined;
  }

  /** As `World.strike`. Outside of a simulation a worker ends itself; nothing else can go wrong. */
  async strike(strike: Strike, name: string): Promise<void> {
    // A second attempt shall get further.
    if (this.#through(name)) return;
    this.open(name);
    if (this.#shared) {
      this.#shared.strikes.push(strike);
      await sleep(STRIKE_MS);
    } else if (isWorker && strike.kind === 'crash') process.kill(process.pid, 'SIGKILL');
  }

  /** In a simulation: has go wrong what scripts ask for, until `ended`. */
  async watch(ended: Promise<unknown>, strike: (strike: Strike) => void): Promise<void> {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    ended.then(over, over);
    while (!isOver) {
      for (const one of sharedOf(this.#run).strikes.splice(0)) strike(one);
      await sleep(LOOK_MS);
    }
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
