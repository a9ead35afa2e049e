/** TLS as every connection has it that is made with credentials: of links, of calls, of beats. */
import { constants } from 'node:crypto';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
} from 'node:tls';
import { CredentialsError } from '../errors.ts';
import type { Material } from '../security/material.ts';
import { nameProblem } from '../security/names.ts';
import type { Address } from './address.ts';

/** What gRPC asks for in ALPN. */
export const ALPN_HTTP2 = 'h2';
/**
 * In ALPN: asks a worker what it makes of the caller's certificate. It answers with one line of text, which is
 * `ok`, `none`, or what OpenSSL calls the problem (`CERT_HAS_EXPIRED`), and ends the connection. In TLS 1.3 a
 * caller has all it needs before the worker has looked, and would see no more than that it is hung up on.
 */
export const ALPN_VERDICT = 'skein-verdict';

/** So many milliseconds a handshake may take, on either side. */
export const HANDSHAKE_MS = 10_000;

/** The words of the worker that are not of OpenSSL. */
export const VERDICT_OK = 'ok';
export const VERDICT_NONE = 'none';

const contexts = new WeakMap<Material, SecureContext>();

/** What both sides have in common. */
export function contextOptions({ ca, cert, key }: Material): SecureContextOptions {
  return {
    ca,
    cert,
    key,
    minVersion: 'TLSv1.3',
    // A session that is resumed would not have its certificates looked at again.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** @throws CredentialsError when OpenSSL does not take the certificates */
export function contextOf(material: Material): SecureContext {
  let context = contexts.get(material);
  if (context === undefined) {
    try {
      context = createSecureContext(contextOptions(material));
    } catch (cause) {
      const why = (cause as Error).message;
      throw new CredentialsError(`the certificates can't be used for TLS: ${why}`, { cause });
    }
    contexts.set(material, context);
  }
  return context;
}

/** The name that the certificate of a worker must have. */
export function expectedName({ identity }: Material, address: Address): string {
  if (identity !== undefined) return identity;
  // Without the interface of a link-local address.
  return address.scheme === 'unix' ? 'localhost' : address.host.replace(/%.*/, '');
}

/** How a caller connects to what is at the address, by `connect` of `node:tls`. */
export function clientOptions(material: Material, address: Address): ConnectionOptions {
  const name = expectedName(material, address);
  return {
    secureContext: contextOf(material),
    // For what stands between and chooses by it; an IP address is no name there.
    ...(address.scheme === 'tcp' && isIP(address.host) === 0 && { servername: address.host }),
    checkServerIdentity: (_host, { subjectaltname }) => {
      const problem = nameProblem(name, subjectaltname);
      return problem === undefined ? undefined : new Error(problem);
    },
  };
}

const WRONG_CA = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
]);

/** What OpenSSL's code says of a certificate; undefined for no code. */
export function problemOf(
  code: string,
): 'expired' | 'not-yet-valid' | 'wrong-ca' | 'other' | undefined {
  if (code === '') return undefined;
  if (code === 'CERT_HAS_EXPIRED') return 'expired';
  if (code === 'CERT_NOT_YET_VALID') return 'not-yet-valid';
  return WRONG_CA.has(code) ? 'wrong-ca' : 'other';
}
