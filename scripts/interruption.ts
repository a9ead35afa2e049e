/** SIGINT and SIGTERM for a command that has something to tidy up and to say before it ends. */
import { constants } from 'node:os';

type Signal = 'SIGINT' | 'SIGTERM';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const satisfies readonly Signal[];

/** On a terminal npm sends a Ctrl-C on to a process that has got it already. */
const SAME_MS = 250;

/**
 * From its making on the first signal aborts `signal`, and a later one ends the process at once, with
 * the handlers of its `exit`. When it is disposed of signals do what they do by themselves.
 */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  #by: Signal | undefined;
  #at = 0;

  constructor() {
    for (const name of SIGNALS) process.on(name, this.#receive);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The signal that came; undefined when none did. */
  get by(): Signal | undefined {
    return this.#by;
  }

  /** What a shell says of a process that the signal ended: 130 for SIGINT, 143 for SIGTERM. */
  get exitCode(): number {
    return this.#by === undefined ? 0 : 128 + constants.signals[this.#by];
  }

  [Symbol.dispose](): void {
    for (const name of SIGNALS) process.off(name, this.#receive);
  }

  readonly #receive = (name: Signal): void => {
    if (this.#by === undefined) {
      this.#by = name;
      this.#at = performance.now();
      this.#controller.abort();
    } else if (performance.now() - this.#at > SAME_MS) {
      process.exit(this.exitCode);
    }
  };
}
