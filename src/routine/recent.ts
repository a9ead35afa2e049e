/** The values that were asked for last, by key: what is used again need not be made again. */
export class Recent<V> {
  readonly #limit: number;
  readonly #make: (key: string) => V;
  /** In the order of their last use. */
  readonly #values = new Map<string, V>();

  /**
   * @param limit how many values are kept
   * @param make makes a value; nothing is kept when it throws
   */
  constructor(limit: number, make: (key: string) => V) {
    this.#limit = limit;
    this.#make = make;
  }

  get(key: string): V {
    const known = this.#values.get(key);
    const value = known ?? this.#make(key);
    if (known !== undefined) this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size > this.#limit) {
      const [oldest] = this.#values.keys();
      this.#values.delete(oldest as string);
    }
    return value;
  }
}
