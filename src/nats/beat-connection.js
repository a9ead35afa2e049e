/**
 * A connection to one NATS server for the thread that answers for a blocked worker. JavaScript, since
 * Node 20 starts no thread from TypeScript; connection.ts is the one of the worker itself, which says more of
 * what goes wrong.
 */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';

/** @typedef {import('./options.ts').BusOptions} BusOptions */
/** @typedef {import('./options.ts').NatsServer} NatsServer */
/** @typedef {typeof import('@nats-io/transport-node')} NatsClient */

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
  const secured = tls && (await securedBy(tls, server));
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

/**
 * @param {NatsClient} client
 * @param {NatsServer} server
 * @returns {Promise<import('@nats-io/transport-node').Authenticator | undefined>}
 */
async function authenticatorOf(client, { login: { user, pass, token, nkey, credentials } }) {
  if (user !== undefined) return client.usernamePasswordAuthenticator(user, pass);
  if (token !== undefined) return client.tokenAuthenticator(token);
  if (nkey !== undefined) return client.nkeyAuthenticator(new TextEncoder().encode(nkey));
  if (credentials === undefined) return undefined;
  return client.credsAuthenticator(await readFile(credentials));
}

/**
 * As `tls.connect` takes it: the client passes it on.
 *
 * @param {import('./options.ts').NatsTls} tls
 * @param {NatsServer} server
 */
async function securedBy(tls, { host, certName }) {
  const pem = async (/** @type {'ca' | 'cert' | 'key'} */ part) => {
    const path = tls[`${part}File`];
    const text = path === undefined ? tls[part] : await readFile(path, 'utf8');
    return text === undefined ? {} : { [part]: text };
  };
  const name = tls.servername ?? (isIP(host) === 0 ? host : certName);
  return {
    ...(await pem('ca')),
    ...(await pem('cert')),
    ...(await pem('key')),
    ...(tls.handshakeFirst === true && { handshakeFirst: true }),
    // An address is no server's name, but what a certificate is compared with.
    ...(name !== undefined && isIP(name) === 0 ? { servername: name } : { host }),
  };
}
