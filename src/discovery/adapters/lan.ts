/** Workers of one network, by multicast DNS. */
import { type Env, systemEnv } from '../../env.ts';
import type {
  DiscoveryEvent,
  DiscoveryLike,
  DiscoveryPublisher,
  WorkerFilter,
} from '../discovery.ts';
import { Roster } from '../roster.ts';
import type { ListInterfaces } from './interfaces.ts';
import { LanBrowser } from './lan-browser.ts';
import { Network } from './lan-network.ts';
import { LanPublisher } from './lan-publisher.ts';
import { MDNS, type MulticastGroup } from './lan-socket.ts';
import { warnings } from './warn.ts';

export interface LanDiscoveryOptions {
  /**
   * Names (`eth0`) or IPv4 addresses of the interfaces to announce and to look on. Default: all that
   * lead to a network; that of the machine itself where none does.
   */
  readonly interfaces?: readonly string[];
  /**
   * Milliseconds between two questions for workers. One that leaves three in a row unanswered is dropped.
   * With over 200 workers the questions are rarer. Default: 2,000.
   */
  readonly interval?: number;
  /** The multicast group and UDP port; another one hides the workers. Default: those of multicast DNS. */
  readonly group?: MulticastGroup;
  /** For tests. Default: the system's. */
  readonly env?: Env;
  /** For tests. Default: the system's. */
  readonly list?: ListInterfaces;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,61}$/;
const MULTICAST = /^(22[4-9]|23\d)(\.\d{1,3}){3}$/;

/**
 * Finds the workers that are announced under the same name on the networks that this machine is in. A
 * worker says goodbye when it stops; one that vanishes is dropped after some seconds.
 *
 * Whoever is in the network can announce workers, and hear of them: see docs/discovery.md.
 *
 * @example
 * ```ts
 * const discovery = new LanDiscovery('my-app');
 * ```
 */
export class LanDiscovery implements DiscoveryLike, AsyncDisposable {
  readonly name: string;
  readonly publisher: DiscoveryPublisher;
  readonly #publisher: LanPublisher;
  readonly #roster: Roster;
  #browsing: Promise<void> = Promise.resolve();

  /**
   * @param name that of the workers to announce and to find. Default: `skein`
   * @throws TypeError when the name can't be one of DNS, or an option is wrong
   */
  constructor(name = 'skein', options: LanDiscoveryOptions = {}) {
    if (typeof name !== 'string' || !NAME.test(name)) {
      throw new TypeError(
        'The name of a LanDiscovery has 1 to 62 letters, digits, _ and -, and begins with a letter or ' +
          `digit; ${JSON.stringify(name)} is none.`,
      );
    }
    const { interfaces, list, group = MDNS, interval: intervalMs = 2_000 } = options;
    const { env = systemEnv } = options;
    if (!(Number.isFinite(intervalMs) && intervalMs >= 100)) {
      throw new TypeError('interval must be a number of milliseconds, 100 or more');
    }
    if (interfaces !== undefined && !(Array.isArray(interfaces) && interfaces.length > 0)) {
      throw new TypeError("interfaces must be an array of interfaces' names or addresses");
    }
    if (!(MULTICAST.test(group.ip) && group.port >= 1 && group.port <= 65_535)) {
      throw new TypeError('group must have the ip of an IPv4 multicast group, and a port');
    }
    this.name = name;
    const warn = warnings();
    const network = new Network({ env, group, interfaces, list, warn });
    const local = interfaces?.every((one) => one === 'lo' || one.startsWith('127.')) ?? false;
    this.#publisher = new LanPublisher({ env, name, network, local, warn });
    this.publisher = this.#publisher;
    let browser: LanBrowser | undefined;
    this.#roster = new Roster({
      begin: () => {
        const roster = this.#roster;
        const started = new LanBrowser({ env, name, network, intervalMs, roster, warn });
        browser = started;
        started.start().catch((error) => browser === started && roster.fail(error));
      },
      end: () => {
        const stopped = browser;
        browser = undefined;
        this.#roster.forget();
        this.#browsing = stopped?.stop() ?? Promise.resolve();
      },
    });
  }

  /**
   * See `DiscoveryLike`. An iteration fails with `DiscoveryError` when the port can't be used on this
   * machine.
   */
  subscribe(filter?: WorkerFilter): AsyncIterable<DiscoveryEvent> {
    return this.#roster.subscribe(filter);
  }

  /** Ends all subscriptions, and drops the workers that were announced here. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#roster.close();
    await this.#browsing;
    await this.#publisher.close();
  }
}
