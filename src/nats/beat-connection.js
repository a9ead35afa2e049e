/**
 * A connection to one NATS server for the thread that answers for a blocked worker. JavaScript, since
 * Node 20 starts no thread from TypeScript; connection.ts is the one of the worker itself, which says more of
 * what goes wrong.
 */
import { authenticatorOf, tlsOf } from './login.js';

/** @typedef {import('./options.ts').BusOptions} BusOptions */
/** @typedef {import('./options.ts').NatsServer} NatsServer */

/** A server that has not answered by then is given up. */
const CONNECT_MS = 5_000;
/** Whoever connects asks by itself whether the server lives. Node's timers know no longer time. */
const NO_PINGS_MS = 0x7fffffff;

/**
 * Connects once; when the connection is lost it is over.
 *
 * @param {NatsServer} server
 * @param {Pick<BusOptions, 'tls' | 'name'>} options
 * @returns {Promise<import('@nats-io/transport-node').NatsConnection>}
 * @throws {Error} when the package is missing, a file can't be read, or the server can't be reached or refuses it
 */
export async function connectTo(server, { tls, name }) {
  const client = await import('@nats-io/transport-node');
  const { host, port } = server;
  const authenticator = await authenticatorOf(client, server);
  const secured = tls && (await tlsOf(tls, server));
  return await client.connect({
    servers: [`${host.includes(':') ? `[${host}]` : host}:${port}`],
    name,
    reconnect: false,
    ignoreClusterUpdates: true,
    timeout: CONNECT_MS,
    pingInterval: NO_PINGS_MS,
    ...(authenticator && { authenticator }),
    ...(secured && { tls: secured }),
  });
}
