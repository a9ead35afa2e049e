/** Ctrl-C and the like: the first one asks to come to an end, the second one does not ask. */
import { constants } from 'node:os';
import { EXIT } from './failure.ts';
import { say } from './output.ts';

export type EndSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

const SIGNALS: readonly EndSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Calls `end` with the first signal; the next one ends the process at once. Resolves to the exit code. */
export class Signals {
  /** Of the first that came. */
  exitCode: number | undefined;
  readonly #end: (signal: EndSignal) => void;

  /** @param waits what is waited for, to be said */
  constructor(waits: string, end: (signal: EndSignal) => void) {
    this.#end = end;
    for (const signal of SIGNALS) process.on(signal, () => this.#take(signal, waits));
  }

  #take(signal: EndSignal, waits: string): void {
    if (this.exitCode !== undefined) process.exit(128 + constants.signals[signal]);
    this.exitCode = EXIT[signal];
    say(`${signal}: ${waits}; a second signal ends it at once`);
    this.#end(signal);
  }
}
