/**
 * Why there is no connection where one end at least has credentials: grpc-js tells little of that, and TLS 1.3
 * tells a caller nothing of what the worker makes of its certificate.
 */
import type { X509Certificate } from 'node:crypto';
import { connect, type TLSSocket } from 'node:tls';
import type { AuthenticationReason } from '../errors.ts';
import type { Material } from '../security/material.ts';
import { nameProblem } from '../security/names.ts';
import { chainProblem, dateProblem } from '../security/own-certificate.ts';
import { plain } from '../wire/plain.ts';
import type { Address } from './address.ts';
import {
  ALPN_HTTP2,
  ALPN_VERDICT,
  clientOptions,
  expectedName,
  problemOf,
  VERDICT_NONE,
  VERDICT_OK,
} from './tls.ts';

export interface TlsProblem {
  readonly reason: AuthenticationReason;
  /** In words, with `it` for the worker. */
  readonly message: string;
}

/** So long it may take, in milliseconds. */
export const PREFLIGHT_MS = 2_000;
/** So long a server that gives no verdicts may take to hang up. */
const HANG_UP_MS = 300;
/** A verdict is one line. */
const MAX_VERDICT_BYTES = 200;

/**
 * Makes one connection of its own to find out.
 *
 * @param material what the connection was to be made with; undefined for plain text
 * @returns undefined when nothing is wrong with that, or nobody answers
 */
export async function preflight(
  address: Address,
  material: Material | undefined,
): Promise<TlsProblem | undefined> {
  const seen = await look(address, material);
  const { certificate, error } = seen;
  if (material === undefined) {
    if (certificate === undefined && !isAlert(error)) return undefined;
    return { reason: 'tls', message: 'it speaks TLS only: give credentials here, too' };
  }
  if (certificate === undefined) return handshakeProblem(error);
  return workerProblem(certificate, seen, address, material) ?? callerProblem(seen, material);
}

type TlsFailure = Error & { readonly code?: string; readonly reason?: string };

interface Seen {
  /** That of the server; undefined where there was no handshake. */
  readonly certificate: X509Certificate | undefined;
  /** What OpenSSL makes of it, as a code; empty for nothing. */
  readonly objection: string;
  /** What the server makes of the certificate here; empty where it does not say. */
  readonly verdict: string;
  readonly error: TlsFailure | undefined;
}

/** Nothing is sent on the connection, so it does no harm that it is made whoever is there. */
function look(address: Address, material: Material | undefined): Promise<Seen> {
  return new Promise((resolve) => {
    const socket: TLSSocket = connect({
      ...(address.scheme === 'unix' ? { path: address.path } : address),
      ...(material && clientOptions(material, address)),
      checkServerIdentity: () => undefined,
      rejectUnauthorized: false,
      ALPNProtocols: [ALPN_VERDICT, ALPN_HTTP2],
    });
    let error: TlsFailure | undefined;
    let certificate: X509Certificate | undefined;
    let verdict = '';
    const end = () => socket.destroy();
    let timer = setTimeout(end, PREFLIGHT_MS);
    socket.on('secureConnect', () => {
      certificate = socket.getPeerX509Certificate();
      if (socket.alpnProtocol === ALPN_VERDICT) return;
      clearTimeout(timer);
      timer = setTimeout(end, HANG_UP_MS);
    });
    socket.on('data', (bytes) => {
      if (socket.alpnProtocol !== ALPN_VERDICT) return;
      verdict += bytes.toString('latin1');
      if (verdict.length > MAX_VERDICT_BYTES || verdict.includes('\n')) end();
    });
    socket.on('error', (cause) => {
      error = cause;
    });
    socket.on('close', () => {
      clearTimeout(timer);
      const objection = String(socket.authorizationError ?? '');
      verdict = plain(verdict.slice(0, MAX_VERDICT_BYTES).trim());
      resolve({ certificate, objection, verdict, error });
    });
  });
}

/** There was no handshake. */
function handshakeProblem(error: TlsFailure | undefined): TlsProblem | undefined {
  const code = error?.code ?? '';
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH|RECORD|HTTP_REQUEST/.test(code)) {
    const message =
      'it speaks plain text, and credentials are given here: give it credentials, too, or none here';
    return { reason: 'plaintext', message };
  }
  return otherProblem(error);
}

/** Who hangs up without a word may have other reasons. */
function otherProblem(error: TlsFailure | undefined): TlsProblem | undefined {
  if (!error || !/^(?:ERR_SSL|ERR_TLS|EPROTO)/.test(error.code ?? '')) return undefined;
  return {
    reason: 'handshake',
    message: `the TLS handshake fails: ${plain(error.reason ?? error.message)}`,
  };
}

function workerProblem(
  { subjectAltName, validFrom, validTo }: X509Certificate,
  { objection }: Seen,
  address: Address,
  material: Material,
): TlsProblem | undefined {
  const problem = problemOf(objection);
  const now = Date.now();
  switch (problem) {
    case 'expired': {
      const message =
        now > Date.parse(validTo)
          ? `its certificate has expired, on ${day(validTo)}: it needs a new one`
          : 'a certificate that its own one depends on has expired';
      return { reason: 'worker-expired', message };
    }
    case 'not-yet-valid': {
      const message =
        now < Date.parse(validFrom)
          ? `its certificate is not valid yet, but from ${day(validFrom)} on: do the clocks agree?`
          : 'a certificate that its own one depends on is not valid yet: do the clocks agree?';
      return { reason: 'worker-not-yet-valid', message };
    }
    case 'wrong-ca': {
      const message =
        'its certificate was not signed by one of those in ca here; if it is the right one, put who has signed it into ca';
      return { reason: 'worker-wrong-ca', message };
    }
    case 'other':
      return { reason: 'handshake', message: `its certificate is not accepted: ${objection}` };
  }
  const wrong = nameProblem(expectedName(material, address), subjectAltName);
  if (wrong === undefined) return undefined;
  const isGiven = material.identity !== undefined;
  const remedy = isGiven
    ? ''
    : '; if it is the right one, say its name by credentials.as({ identity })';
  return { reason: 'worker-wrong-name', message: wrong + remedy };
}

/** The worker is the right one, and might not take the certificate here. */
function callerProblem({ verdict, error }: Seen, material: Material): TlsProblem | undefined {
  if (verdict === VERDICT_OK) return undefined;
  if (verdict === VERDICT_NONE || error?.code?.includes('CERTIFICATE_REQUIRED')) {
    const message = 'it asks for a certificate, and there is none here: give cert and key';
    return { reason: 'no-client-certificate', message };
  }
  const problem = problemOf(verdict);
  const own = dateProblem(material);
  const what = 'it does not take the certificate here';
  if (problem === 'expired' || (problem === undefined && own?.reason === 'expired')) {
    return { reason: 'caller-expired', message: `${what}: ${own?.message ?? 'it has expired'}` };
  }
  if (problem === 'not-yet-valid' || (problem === undefined && own?.reason === 'not-yet-valid')) {
    const why = own?.message ?? 'it is not valid yet by its clock';
    return { reason: 'caller-not-yet-valid', message: `${what}: ${why}` };
  }
  if (problem === 'wrong-ca' || (problem === undefined && error && chainProblem(material))) {
    const message = `${what}, which was not signed by one of those in its ca`;
    return { reason: 'caller-wrong-ca', message };
  }
  if (problem === 'other') return { reason: 'handshake', message: `${what}: ${verdict}` };
  return otherProblem(error);
}

function isAlert(error: TlsFailure | undefined): boolean {
  return /^ERR_SSL_.*ALERT/.test(error?.code ?? '');
}

function day(date: string): string {
  return new Date(date).toISOString();
}
