/** Discovery within one process, for tests and simulations. */
import type {
  DiscoveryEvent,
  DiscoveryLike,
  DiscoveryPublisher,
  WorkerFilter,
} from '../discovery/discovery.ts';
import { parseAnnounced } from '../discovery/metadata.ts';
import { Roster } from '../discovery/roster.ts';

/** Workers that are announced here are found here, at once. */
export class MemoryDiscovery implements DiscoveryLike {
  readonly #roster = new Roster();

  readonly publisher: DiscoveryPublisher = {
    publish: async (event, metadata) => {
      const worker = parseAnnounced(metadata);
      if (event === 'worker-dropped') this.#roster.drop(worker.uid);
      else this.#roster.put(worker);
    },
  };

  subscribe(filter?: WorkerFilter): AsyncIterable<DiscoveryEvent> {
    return this.#roster.subscribe(filter);
  }
}
