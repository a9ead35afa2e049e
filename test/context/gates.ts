/** Gates of scripts that run in one process. */
export class Gates {
  readonly #gates = new Map<string, Gate>();

  async pass(name: string): Promise<readonly string[]> {
    return await this.#at(name).opened;
  }

  open(name: string, lines: readonly string[] = []): void {
    this.#at(name).open(lines);
  }

  #at(name: string): Gate {
    const known = this.#gates.get(name);
    if (known) return known;
    const gate = newGate();
    this.#gates.set(name, gate);
    return gate;
  }
}

interface Gate {
  readonly opened: Promise<readonly string[]>;
  open(lines: readonly string[]): void;
}

function newGate(): Gate {
  let open: Gate['open'] = () => {};
  const opened = new Promise<readonly string[]>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
