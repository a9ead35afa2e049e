/** The names in certificates, and whether a worker has the one that it should. */
import type { X509Certificate } from 'node:crypto';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';

/** Who a certificate says that somebody is. */
export interface PeerIdentity {
  /** The subject alternative names that can stand for someone: of DNS, URIs and e-mail addresses. */
  readonly names: readonly string[];
  /** The distinguished name of the subject, e.g. `CN=web,O=my-app`. */
  readonly subject: string;
  /** SHA-256 of the certificate, e.g. `AB:CD:...`. */
  readonly fingerprint: string;
}

/** What stands between the commas of a list of names; a value with odd characters is a JSON string. */
const NAME =
  /(?<kind>[A-Za-z][A-Za-z ]*):(?:(?<quoted>"(?:[^"\\]|\\.)*")|(?<plain>[^,]*))(?:, |$)/y;
/** Which can stand for someone, and how they look: no name of one kind passes for one of another. */
const STANDS_FOR_SOMEONE: Readonly<Record<string, RegExp>> = {
  DNS: /^[^:/@]+$/,
  URI: /:/,
  email: /^[^:/]+@[^:/]+$/,
};

export function identityOf(certificate: X509Certificate): PeerIdentity {
  const names = parseNames(certificate.subjectAltName)
    .filter(({ kind, value }) => STANDS_FOR_SOMEONE[kind]?.test(value))
    .map(({ value }) => value);
  return {
    names: [...new Set(names)],
    subject: certificate.subject?.split('\n').join(',') ?? '',
    fingerprint: certificate.fingerprint256,
  };
}

/**
 * What is wrong with the names of a worker's certificate; undefined for nothing.
 *
 * @param expected a URI, or a name or an IP address
 * @param subjectaltname as Node.js writes it in a certificate
 */
export function nameProblem(
  expected: string,
  subjectaltname: string | undefined,
): string | undefined {
  if (!subjectaltname) {
    return `its certificate has no subject alternative name, and must have ${expected}`;
  }
  const names = parseNames(subjectaltname);
  const isUri = expected.includes('://');
  // Without a subject: its common name is no name of a worker.
  const fits = isUri
    ? names.some(({ kind, value }) => kind === 'URI' && value === expected)
    : checkServerIdentity(expected, { subjectaltname, subject: {} } as PeerCertificate) ===
      undefined;
  if (fits) return undefined;
  return `its certificate is for ${names.map(({ value }) => value).join(', ')}, and not for ${expected}`;
}

function parseNames(text: string | undefined): { kind: string; value: string }[] {
  const names: { kind: string; value: string }[] = [];
  if (!text) return names;
  NAME.lastIndex = 0;
  for (let match = NAME.exec(text); match !== null; match = NAME.exec(text)) {
    const { kind = '', quoted, plain = '' } = match.groups ?? {};
    names.push({ kind, value: quoted === undefined ? plain : unquoted(quoted) });
    if (NAME.lastIndex === text.length) return names;
  }
  // What can't be read in full names nobody.
  return [];
}

function unquoted(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    return '';
  }
}
