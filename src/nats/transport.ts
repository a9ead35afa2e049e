/** Links over a NATS server, for workers that callers can't dial. */
import { systemEnv } from '../env.ts';
import { Authkey } from '../security/authkey.ts';
import type { Transport } from '../transport/transport.ts';
import { beatOf, natsBeats } from './beat.ts';
import { Bus } from './bus.ts';
import { CallerChannel } from './caller.ts';
import { callOverNats } from './calls.ts';
import { ANYWHERE, listenNats } from './listener.ts';
import type { NatsOptions } from './options.ts';
import { defaultStreamLimits, type StreamLimits } from './stream.ts';

/** A transport whose connection others may share, as `NatsDiscovery` does. */
export interface NatsTransport extends Transport {
  /** Its connection to the servers. Not for programs. */
  readonly bus: Bus;
}

/**
 * Carries links over a NATS server or cluster: neither end must be reachable for the other one. It
 * connects when it is used for the first time, once for all links, and again whenever the connection is
 * lost; calls go on after that, as long as it lasts no longer than `goneAfter`. It needs the package
 * `@nats-io/transport-node`.
 *
 * @throws TypeError, RangeError when an option is wrong
 * @example
 * ```ts
 * const nats = natsTransport({ servers: 'nats://10.0.0.1:4222' });
 * await using pool = await WorkerPool.open({
 *   transport: nats,
 *   discovery: new NatsDiscovery('my-app', nats),
 * });
 * ```
 */
export function natsTransport(options: NatsOptions = {}): NatsTransport {
  return transportWith(options);
}

/** The same with other limits, for tests. */
export function transportWith(
  options: NatsOptions,
  limits: Partial<StreamLimits> = {},
): NatsTransport {
  const bus = new Bus(options);
  const all = { ...defaultStreamLimits, goneAfterMs: bus.goneAfterMs, ...limits };
  return transportOn(bus, options, all, undefined);
}

/** How a process that a pool spawned makes the transport of its pool. */
export function transportOf(options: unknown): NatsTransport {
  return natsTransport(options as NatsOptions);
}

function transportOn(
  bus: Bus,
  options: NatsOptions,
  limits: StreamLimits,
  authkey: Authkey | undefined,
): NatsTransport {
  const settings = { bus, env: systemEnv, limits, authkey };
  const beats = natsBeats(bus);
  const schemes = ['nats', ...beats.schemes];
  const transport: NatsTransport & { toJSON(): object } = {
    bus,
    schemes,
    anywhere: ANYWHERE,
    connect: (address) =>
      address.startsWith('beat+')
        ? beats.connect(address)
        : new CallerChannel(address, 'link', settings),
    call: (address, method, request, { timeoutMs } = {}) =>
      callOverNats(address, method, request, settings, timeoutMs),
    listen: (address, service) => listenNats(address, service, settings),
    // The same connection: what is guarded is the links.
    guarded: (key) => transportOn(bus, options, limits, new Authkey(key)),
    // Shown to nobody who prints the transport, or writes it to a log: there are passwords in it.
    get recipe() {
      return { module: import.meta.url, options };
    },
    toJSON: () => ({ schemes }),
    beat: (listening) => beatOf(listening, options),
  };
  return transport;
}
