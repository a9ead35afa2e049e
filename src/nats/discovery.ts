/** Workers that are announced on the subjects of NATS. */
import { hostname } from 'node:os';
import { warnings } from '../discovery/adapters/warn.ts';
import type {
  DiscoveryEvent,
  DiscoveryLike,
  DiscoveryPublisher,
  WorkerFilter,
} from '../discovery/discovery.ts';
import { Roster } from '../discovery/roster.ts';
import { type Env, systemEnv } from '../env.ts';
import { busOf } from './bus.ts';
import { NatsBrowser } from './discovery-browser.ts';
import type { DiscoveryBus } from './discovery-bus.ts';
import { NatsPublisher } from './discovery-publisher.ts';
import type { NatsOptions } from './options.ts';
import { isToken } from './subjects.ts';
import type { NatsTransport } from './transport.ts';

/** Milliseconds between two announcements of a worker. */
const INTERVAL_MS = 2_000;

/**
 * Finds the workers that are announced under the same name, in the same cluster, on the same NATS servers.
 * A worker says goodbye when it stops; one that vanishes is dropped after 6 to 7 seconds.
 *
 * Whoever may publish on the subjects of announcements can announce workers: see docs/nats.md.
 *
 * @example
 * ```ts
 * const nats = natsTransport({ servers: 'nats://10.0.0.7' });
 * const discovery = new NatsDiscovery('my-app', nats);
 * ```
 */
export class NatsDiscovery implements DiscoveryLike, AsyncDisposable {
  readonly name: string;
  readonly publisher: DiscoveryPublisher;
  readonly #publisher: NatsPublisher;
  readonly #roster: Roster;

  /**
   * @param name that of the workers to announce and to find. Default: `skein`
   * @param given a transport whose connection is used, or the options of one of its own
   * @param parts for tests
   * @throws TypeError when the name can't be a part of a subject, or an option is wrong
   * @throws RangeError when an option is out of range
   */
  constructor(
    name = 'skein',
    given: NatsOptions | NatsTransport = {},
    parts: { readonly env?: Env; readonly bus?: DiscoveryBus; readonly host?: string } = {},
  ) {
    if (!isToken(name)) {
      throw new TypeError(
        'The name of a NatsDiscovery has 1 to 64 letters, digits, _ and -; ' +
          `${JSON.stringify(name)} is none.`,
      );
    }
    this.name = name;
    const { env = systemEnv, bus = busOf(given), host = hostname() } = parts;
    const common = { bus, env, name, intervalMs: INTERVAL_MS, warn: warnings() };
    this.#publisher = new NatsPublisher(common);
    this.publisher = this.#publisher;
    let browser: NatsBrowser | undefined;
    this.#roster = new Roster({
      begin: () => {
        const roster = this.#roster;
        const started = new NatsBrowser({ ...common, host, roster });
        browser = started;
        started.start().catch((error) => browser === started && roster.fail(error));
      },
      end: () => {
        browser?.stop();
        browser = undefined;
        this.#roster.forget();
      },
    });
  }

  /**
   * See `DiscoveryLike`. An iteration fails with `DiscoveryError` when no server can be used at first, or
   * the server lets this process not listen to announcements.
   */
  subscribe(filter?: WorkerFilter): AsyncIterable<DiscoveryEvent> {
    return this.#roster.subscribe(filter);
  }

  /** Ends all subscriptions, and drops the workers that were announced here. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#roster.close();
    await this.#publisher.close();
  }
}
