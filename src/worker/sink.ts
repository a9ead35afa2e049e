/** This process's standard output or error, for lines that are not its own. */

export type StreamName = 'stdout' | 'stderr';

export class Sink {
  readonly #name: StreamName;
  #text = '';
  #pending = 0;

  constructor(name: StreamName) {
    this.#name = name;
  }

  /** Takes a line, which is written with the next `flush`. */
  add(line: string): void {
    this.#text += `${line}\n`;
  }

  flush(): void {
    if (this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    const target = process[this.#name];
    // That a reader has gone would end the program, which may not print anything itself.
    if (this.#pending === 0) target.on('error', ignore);
    this.#pending += 1;
    target.write(text, () => {
      // The event comes after that.
      setImmediate(() => {
        this.#pending -= 1;
        if (this.#pending === 0) target.off('error', ignore);
      });
    });
  }

  /** Whether more than it can write at present waits in memory. */
  get isFull(): boolean {
    return process[this.#name].writableNeedDrain;
  }

  /** Runs `fn` when it is not full any more, or has no reader. */
  whenFree(fn: () => void): void {
    const target = process[this.#name];
    const free = () => {
      target.off('drain', free);
      target.off('close', free);
      fn();
    };
    target.on('drain', free);
    target.on('close', free);
  }
}

function ignore(): void {}
