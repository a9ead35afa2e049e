/**
 * What a NATS server is shown: who connects, and by which TLS. JavaScript, since Node 20 starts no thread from
 * TypeScript, and a worker's beat connects in one.
 */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';

/** @typedef {import('./options.ts').NatsServer} NatsServer */
/** @typedef {import('@nats-io/transport-node').Authenticator} Authenticator */

/** What was given to log in is of no use; the message says why, and has no secret in it. */
export class LoginError extends Error {}

/**
 * @param {typeof import('@nats-io/transport-node')} client
 * @param {NatsServer} server
 * @returns {Promise<Authenticator | undefined>} undefined where nothing was given
 * @throws {LoginError}
 */
export async function authenticatorOf(client, { login }) {
  const { user, pass, token, nkey, credentials } = login;
  if (user !== undefined) return client.usernamePasswordAuthenticator(user, pass);
  if (token !== undefined) return client.tokenAuthenticator(token);
  if (nkey !== undefined) {
    return tried(client.nkeyAuthenticator(new TextEncoder().encode(nkey)), 'nkey is damaged');
  }
  if (credentials === undefined) return undefined;
  return tried(
    client.credsAuthenticator(await file(credentials, 'credentials')),
    `${credentials} is no credentials file of NATS: it has no JWT and seed of a user`,
  );
}

/**
 * The client says too little, and too late, of a seed that is none.
 *
 * @param {Authenticator} authenticator
 * @param {string} fault
 */
function tried(authenticator, fault) {
  try {
    authenticator('nonce');
  } catch {
    throw new LoginError(fault);
  }
  return authenticator;
}

/**
 * As `tls.connect` takes it: the client passes it on.
 *
 * @param {import('./options.ts').NatsTls} tls
 * @param {NatsServer} server
 * @throws {LoginError}
 */
export async function tlsOf(tls, { host, certName }) {
  const pem = async (/** @type {'ca' | 'cert' | 'key'} */ part) => {
    const path = tls[`${part}File`];
    const text = path === undefined ? tls[part] : String(await file(path, `tls.${part}File`));
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

/** @param {string} path @param {string} option */
async function file(path, option) {
  try {
    return await readFile(path);
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    const why = code === 'ENOENT' ? 'there is no such file' : message;
    throw new LoginError(`${option} of NATS is ${path}: ${why}`, { cause: error });
  }
}
