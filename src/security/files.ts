/** Files that are read again when they were replaced. */
import { statSync } from 'node:fs';

export class WatchedFiles<T> {
  readonly #paths: readonly string[];
  readonly #read: () => T;
  #value: T;
  #state: string;

  /** @throws whatever `read` throws now */
  constructor(paths: readonly string[], read: () => T) {
    this.#paths = paths;
    this.#read = read;
    this.#state = this.#look();
    this.#value = read();
  }

  /** @throws whatever `read` throws, as long as what is there now makes it throw */
  value(): T {
    // Before they are read: what is replaced meanwhile is seen the next time.
    const state = this.#look();
    if (state !== this.#state) {
      this.#value = this.#read();
      this.#state = state;
    }
    return this.#value;
  }

  /** Changes with the files; it follows links, as those by which Kubernetes replaces a mounted secret. */
  #look(): string {
    return this.#paths.map(stateOf).join(' ');
  }
}

function stateOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(':');
  } catch {
    return 'missing';
  }
}
