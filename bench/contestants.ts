/** Several children measured side by side; one that fails is left out, and the others go on. */
import { Child, type Methods } from './ipc.ts';
import { rotated } from './measure.ts';
import type { Failure } from './suite.ts';

export interface Entry<N extends string = string> {
  readonly name: N;
  readonly module: URL;
  readonly args: readonly string[];
}

export class Contestants<M extends Methods, N extends string = string> implements AsyncDisposable {
  readonly failures: Failure[] = [];
  readonly #children = new Map<N, Child<M>>();

  static async start<M extends Methods, N extends string = string>(
    entries: readonly Entry<N>[],
  ): Promise<Contestants<M, N>> {
    const contestants = new Contestants<M, N>();
    // One after another: each starts undisturbed.
    for (const { name, module, args } of entries) {
      try {
        contestants.#children.set(name, await Child.start<M>(name, module, args));
      } catch (error) {
        contestants.#fail(name, error);
      }
    }
    return contestants;
  }

  /** Has everyone who is still in it do one thing, one after another. */
  async each(round: number, turn: (child: Child<M>, name: N) => Promise<void>): Promise<void> {
    const names = [...this.#children.keys()];
    if (names.length === 0) return;
    for (const name of rotated(names, round)) {
      const child = this.#children.get(name)!;
      try {
        await turn(child, name);
      } catch (error) {
        this.#fail(name, error);
        this.#children.delete(name);
        await child.end();
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#children.values()].map((child) => child.end()));
    this.#children.clear();
  }

  #fail(what: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.failures.push({ what, reason });
  }
}

/** Values by any list of keys, one for each round. */
export class Samples {
  readonly #values = new Map<string, number[]>();

  add(value: number, ...key: readonly (string | number)[]): void {
    const name = key.join('\n');
    const values = this.#values.get(name);
    if (values) values.push(value);
    else this.#values.set(name, [value]);
  }

  /** The values of `key`; empty when its contestant failed. */
  of(...key: readonly (string | number)[]): readonly number[] {
    return this.#values.get(key.join('\n')) ?? [];
  }
}
