/** The variables of one flow of code, across await and across processes. */
import type { Binding } from './binding.ts';
import type { ContextHome } from './home.ts';

/** The values of a chain, by the keys of the variables. */
export class Values extends Map<string, Binding> {
  /** As they go into a Context, where that can't change. */
  encoded: Uint8Array | undefined;
}

/** The values of a chain at a moment. Never changed. */
export type Snapshot = ReadonlyMap<string, Binding>;

/** The right to use tokens. */
export interface Right {
  /** The id of the chain that has it. */
  id: string | undefined;
  /** The same for all chains of one task. Its caller may be in this process, too, with the same id. */
  readonly place: object;
}

/** A call, or a step of a generator, that is out. */
export interface Crossing {
  /** Whether the token is with the worker, for the time of the call. */
  carries(token: object): boolean;
  /** The task that made it is over: nobody else may use the tokens that it has. */
  leave(): void;
}

const EMPTY = new Values();

/** One mutable object for all code of a flow: what an awaited function sets, its caller sees. */
export class Chain {
  /** What tokens refer to that it may use. */
  readonly right: Right;
  readonly #home: ContextHome;
  #values = EMPTY;
  /** Somebody else has `#values`, too. */
  #shared = true;
  #out: Set<Crossing> | undefined;
  /** The one of them whose changes are to come back. */
  #continued: Crossing | undefined;

  /** @param id of the chain that it goes on with; undefined: nothing was ever set in it */
  constructor(home: ContextHome, id?: string, values?: Values, place?: object) {
    this.#home = home;
    this.right = { id, place: place ?? this };
    if (values !== undefined) this.#values = values;
  }

  get id(): string | undefined {
    return this.right.id;
  }

  get(key: string): Binding | undefined {
    return this.#values.get(key);
  }

  /** The values as they are now. */
  snapshot(): Values {
    this.#shared = true;
    return this.#values;
  }

  /**
   * Gives a variable another value, or none. A call that is out does not bring its changes back then.
   */
  set(key: string, binding: Binding | undefined): void {
    this.right.id ??= this.#home.newId();
    this.#continued = undefined;
    this.#put([[key, binding]]);
  }

  /** Takes what came from a worker, or from the caller. */
  merge(id: string | undefined, changes: Iterable<readonly [string, Binding | undefined]>): void {
    this.right.id ??= id;
    this.#continued = undefined;
    this.#put(changes);
  }

  #put(changes: Iterable<readonly [string, Binding | undefined]>): void {
    if (changes instanceof Values && this.#values.size === 0) {
      this.#values = changes;
      this.#shared = true;
      return;
    }
    if (this.#shared) this.#values = new Values(this.#values);
    this.#shared = false;
    const values = this.#values;
    for (const [key, binding] of changes) {
      if (binding === undefined) values.delete(key);
      else values.set(key, binding);
    }
  }

  /** Brings back the values of a moment. A call that is out does not bring its changes back then. */
  restore(values: Values = EMPTY): void {
    this.#values = values;
    this.#shared = true;
    this.#continued = undefined;
  }

  /** The same values in a chain of its own. */
  fork(): Chain {
    const id = this.id === undefined ? undefined : this.#home.newId();
    return new Chain(this.#home, id, this.snapshot(), this.right.place);
  }

  /**
   * Its task is over, and what crossed is its caller's. What code that goes on does there is another chain's,
   * with the tokens that did not cross.
   */
  leave(): void {
    for (const call of this.#out ?? []) call.leave();
    if (this.right.id !== undefined) this.right.id = this.#home.newId();
  }

  /**
   * A call goes out. While another one is out it is a fork, and the other one brings no changes back.
   *
   * @returns whether it goes on with this chain
   */
  begin(call: Crossing): boolean {
    this.#out ??= new Set();
    const alone = this.#out.size === 0;
    this.#continued = alone ? call : undefined;
    this.#out.add(call);
    return alone;
  }

  /** Whether the call is out, and its changes are to come back as things stand. */
  isContinuedBy(call: Crossing): boolean {
    return this.#continued === call;
  }

  /**
   * A call is over.
   *
   * @returns whether its changes belong to this chain
   */
  end(call: Crossing): boolean {
    this.#out?.delete(call);
    if (this.#continued !== call) return false;
    this.#continued = undefined;
    return true;
  }

  /** Whether a call that is out has the token with it. */
  hasOut(token: object): boolean {
    for (const call of this.#out ?? []) if (call.carries(token)) return true;
    return false;
  }
}
