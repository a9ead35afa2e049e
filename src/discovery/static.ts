/** Workers at addresses that are known beforehand. */
import type { DiscoveryEvent, DiscoveryLike, WorkerFilter } from './discovery.ts';
import { parseMetadata } from './metadata.ts';
import { Roster } from './roster.ts';

/**
 * Workers at these addresses, always: none is ever dropped. All but the address is unknown, until the
 * worker is asked.
 *
 * @example
 * ```ts
 * new StaticDiscovery(['tcp://10.0.0.7:4000', 'tcp://10.0.0.8:4000'])
 * ```
 */
export class StaticDiscovery implements DiscoveryLike {
  readonly #roster = new Roster();

  /** @throws TypeError when there is no address, or one is none */
  constructor(addresses: readonly string[]) {
    if (!Array.isArray(addresses) || addresses.length === 0) {
      throw new TypeError('StaticDiscovery needs an array of at least one address');
    }
    for (const [index, address] of addresses.entries()) {
      try {
        this.#roster.put(parseMetadata({ address }));
      } catch (error) {
        const given = typeof address === 'string' ? JSON.stringify(address) : String(address);
        const why = (error as Error).message.replace(/^address/, `addresses[${index}]`);
        throw new TypeError(`${why}, not ${given}`);
      }
    }
  }

  subscribe(filter?: WorkerFilter): AsyncIterable<DiscoveryEvent> {
    return this.#roster.subscribe(filter);
  }
}
