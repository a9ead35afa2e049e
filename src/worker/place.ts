/** One of the addresses at which a worker listens. */
import type { WorkerAbout } from '../discovery/discovery.ts';
import { parseAbout } from '../discovery/metadata.ts';

export class Place {
  #about: WorkerAbout;
  #address: string;

  /** @param about what the worker says of itself, wherever it is reached */
  constructor(address: string, about: WorkerAbout) {
    this.#address = address;
    this.#about = about;
  }

  /** Where callers reach it: the real one, once it listens. */
  get address(): string {
    return this.#address;
  }

  set address(address: string) {
    this.#address = address;
  }

  /** What the worker says of itself to those who connect here from now on. */
  get about(): WorkerAbout {
    return this.#about;
  }

  /** Where they find its beat, which may be known only when it listens. */
  get beat(): string | undefined {
    return this.#about.beat;
  }

  set beat(beat: string | undefined) {
    this.#about = parseAbout({ ...this.#about, beat });
  }
}
