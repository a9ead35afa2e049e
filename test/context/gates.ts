/** Gates of scripts that run in one process. */
export class Gates {
  readonly #gates = new Map<string, Gate>();

  async pass(name: string): Promise<void> {
    await this.#at(name).opened;
  }

  open(name: string): void {
    this.#at(name).open();
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
  readonly opened: Promise<void>;
  open(): void;
}

function newGate(): Gate {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
