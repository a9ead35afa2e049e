/** Workers behind a DNS name, as that of a headless service of Kubernetes. */
import { lookup, resolve4, resolve6, resolveSrv } from 'node:dns/promises';
import { type Env, systemEnv } from '../../env.ts';
import type { DiscoveryEvent, DiscoveryLike, WorkerFilter, WorkerMetadata } from '../discovery.ts';
import { parseMetadata } from '../metadata.ts';
import { PolledDiscovery } from '../polled.ts';
import { warnings } from './warn.ts';

/** What is asked of the DNS; each rejects as `node:dns/promises` does. */
export interface Resolver {
  readonly resolve4: (name: string) => Promise<string[]>;
  readonly resolve6: (name: string) => Promise<string[]>;
  readonly resolveSrv: (name: string) => Promise<{ name: string; port: number }[]>;
  /** The system's way, with its search domains and its file of hosts. */
  readonly lookup: (name: string) => Promise<string[]>;
}

export interface DnsDiscoveryOptions {
  /**
   * The workers' port; the name is then asked for addresses (A and AAAA). Default: the name is asked for
   * services (SRV), which have ports of their own.
   */
  readonly port?: number;
  /** Milliseconds between an answer and the next question. Default: 5,000. */
  readonly interval?: number;
  /** For tests. Default: the system's. */
  readonly env?: Env;
  /** For tests. Default: that of Node. */
  readonly resolver?: Resolver;
}

const system: Resolver = {
  resolve4,
  resolve6,
  resolveSrv,
  lookup: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
};

/** The name has no such records. Every other failure says nothing of the workers. */
const NONE = new Set(['ENODATA', 'ENOTFOUND']);

/**
 * Finds a worker at each address that a DNS name has. All but the address is unknown, until the worker
 * is asked. While the DNS does not answer, the workers are kept that are known.
 *
 * @example
 * ```ts
 * new DnsDiscovery('workers.default.svc.cluster.local', { port: 4000 })
 * ```
 */
export class DnsDiscovery implements DiscoveryLike, AsyncDisposable {
  readonly #polled: PolledDiscovery;

  /** @throws TypeError when the name is empty, or an option is wrong */
  constructor(name: string, options: DnsDiscoveryOptions = {}) {
    const { port, interval = 5_000, env = systemEnv, resolver = system } = options;
    if (typeof name !== 'string' || !/^[A-Za-z0-9._-]{1,255}$/.test(name)) {
      throw new TypeError(`DnsDiscovery needs a host name, not ${JSON.stringify(name)}`);
    }
    if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_535)) {
      throw new TypeError(`port must be a whole number from 1 to 65535, not ${String(port)}`);
    }
    if (!(Number.isFinite(interval) && interval >= 100)) {
      throw new TypeError('interval must be a number of milliseconds, 100 or more');
    }
    const warn = warnings();
    const worker = (host: string, port: number): WorkerMetadata[] => {
      const address = `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`;
      try {
        return [parseMetadata({ address })];
      } catch (error) {
        const { message } = error as Error;
        warn(message, `an answer of the DNS for ${name} was skipped: ${message}`);
        return [];
      }
    };
    const hosts = hostsOf(resolver, name);
    const find = async () => {
      if (port === undefined) {
        const found = await services(resolver, name);
        return found.flatMap((service) => worker(service.name, service.port));
      }
      return (await hosts()).flatMap((host) => worker(host, port));
    };
    let met = false;
    const look = async () => {
      const workers = await find();
      met ||= workers.length > 0;
      // Later, they may all have been ended.
      if (!met) warn('none', nothingAt(name, port));
      return workers;
    };
    const tell = (message: string) => process.emitWarning(message, 'SkeinDiscoveryWarning');
    this.#polled = new PolledDiscovery({ env, name, intervalMs: interval, look, warn: tell });
  }

  subscribe(filter?: WorkerFilter): AsyncIterable<DiscoveryEvent> {
    return this.#polled.subscribe(filter);
  }

  /** Ends all subscriptions. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#polled[Symbol.asyncDispose]();
  }
}

function nothingAt(name: string, port: number | undefined): string {
  const what =
    port === undefined ? 'services (SRV; for its addresses give a port)' : 'addresses (A, AAAA)';
  return `${name} has no ${what} in the DNS: there are no workers, or the name is another one. It is asked again`;
}

/** Asks for the addresses of a name. */
function hostsOf(resolver: Resolver, name: string): () => Promise<string[]> {
  // Some servers answer one kind of question and never the other.
  const kinds = [
    { ask: resolver.resolve4, last: [] as string[] },
    { ask: resolver.resolve6, last: [] as string[] },
  ];
  return async () => {
    const answers = await Promise.allSettled(kinds.map(({ ask }) => orNone(ask(name))));
    const failures = answers.filter((answer) => answer.status === 'rejected');
    if (failures.length === kinds.length) throw failures[0]?.reason;
    for (const [index, answer] of answers.entries()) {
      const kind = kinds[index];
      if (kind !== undefined && answer.status === 'fulfilled') kind.last = answer.value;
    }
    const found = kinds.flatMap(({ last }) => last);
    // A name without its domain is known to the system only, and so is one of its own.
    return found.length > 0 ? found : await orNone(resolver.lookup(name));
  };
}

async function services(resolver: Resolver, name: string) {
  // A single dot as the target means that there is no such service.
  return (await orNone(resolver.resolveSrv(name))).filter(
    ({ name }) => name !== '' && name !== '.',
  );
}

async function orNone<T>(question: Promise<T[]>): Promise<T[]> {
  try {
    return await question;
  } catch (error) {
    if (NONE.has((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
