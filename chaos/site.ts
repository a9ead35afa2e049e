/** Where a run takes place: how the workers are reached, and where that can be harmed. */
import { natsTransport } from '../src/nats/index.ts';
import type { PoolOptions } from '../src/pool/options.ts';
import type { PoolWorker } from '../src/pool/pool.ts';
import type { Random } from '../src/testing/random.ts';
import { type NatsServer, noNats, startNats } from '../test/integration/nats-server.ts';
import { ALL, type FaultKind } from './history.ts';
import { type Front, Relay } from './relay.ts';

export type TransportName = 'tcp' | 'nats';

/** What the pool is given as `lostAfter`. */
export const LOST_AFTER_MS: Readonly<Record<TransportName, number>> = { tcp: 3_000, nats: 6_000 };

/** How often each kind of fault comes. */
export type Weights = Readonly<Partial<Record<FaultKind, number>>>;

/** Connections that can be harmed. */
export interface Spot {
  /** Whom that hits: the uid of a worker, or `ALL`. */
  readonly whom: string;
  readonly front: Front;
  /** Where the beat of the worker is reached, if that is elsewhere. */
  readonly beat?: Front | undefined;
}

export interface Site {
  readonly weights: Weights;
  /** Faults that last for a time only are shorter. */
  readonly lostAfterMs: number;
  readonly pool: Pick<PoolOptions, 'transport'>;
  readonly reach?: (address: string) => string;
  /** What leads to a worker; undefined when that is not known yet. */
  spot(worker: PoolWorker, random: Random): Spot | undefined;
  /** What all meet at, and how long it may be away before calls are lost. */
  readonly hub?: { readonly server: NatsServer; readonly goneAfterMs: number };
  /** The sockets that are open now, described. */
  readonly sockets: readonly string[];
  close(): Promise<void>;
}

/** @throws Error when what the transport needs is not there */
export async function openSite(transport: TransportName, size: number): Promise<Site> {
  return transport === 'tcp' ? await openTcp(size) : await openNats();
}

/** Each worker has a relay of its own before it. */
async function openTcp(size: number): Promise<Site> {
  const relay = await Relay.open(4 * size + 8);
  return {
    weights: {
      kill: 5,
      term: 2,
      stop: 4,
      stall: 1.5,
      reset: 4,
      end: 3,
      hold: 4,
      sever: 2,
      partition: 1.5,
      delay: 2,
      throttle: 2,
    },
    lostAfterMs: LOST_AFTER_MS.tcp,
    pool: { transport: 'tcp' },
    reach: (address) => relay.reach(address),
    spot: ({ uid, address, beat }) => {
      const front = relay.at(address);
      return front && { whom: uid, front, beat: beat === undefined ? undefined : relay.at(beat) };
    },
    get sockets() {
      return relay.sockets;
    },
    close: async () => relay.close(),
  };
}

/** As long as both sides may need to be connected again, on a busy machine. */
const GONE_AFTER_MS = 4_000;

/** Callers and workers meet at a server, and each side has a relay before it. */
async function openNats(): Promise<Site> {
  if (noNats !== undefined) throw new Error(noNats);
  const server = await startNats();
  const relay = await Relay.open(2);
  const place = `tcp://127.0.0.1:${server.port}`;
  const [ours, theirs] = [relay.reach(place), relay.reach(place)];
  const optionsFor = (reached: string) => ({
    servers: reached.replace('tcp:', 'nats:'),
    goneAfter: GONE_AFTER_MS,
  });
  const transport = natsTransport(optionsFor(ours));
  const { recipe } = natsTransport(optionsFor(theirs));
  return {
    weights: {
      kill: 5,
      term: 2,
      stop: 4,
      stall: 1.5,
      cut: 5,
      hold: 3,
      delay: 2,
      throttle: 2,
      restart: 3,
      freeze: 3,
      outage: 0.5,
    },
    lostAfterMs: LOST_AFTER_MS.nats,
    pool: { transport: { ...transport, recipe } },
    spot: (_worker, random) => {
      const front = relay.at(random.pick([ours, theirs]));
      return front && { whom: ALL, front };
    },
    hub: { server, goneAfterMs: GONE_AFTER_MS },
    get sockets() {
      return relay.sockets;
    },
    close: async () => {
      relay.close();
      await server[Symbol.asyncDispose]();
    },
  };
}
