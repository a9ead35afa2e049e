/** The PEM texts behind credentials: what is taken for them, and what is wrong with them. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { CredentialsError } from '../errors.ts';

/**
 * What an end of a TLS connection needs, as JSON can hold it: a pool gives it to the workers that it spawns.
 * It has the private key: it is never logged.
 */
export interface Material {
  /** Whose certificates are believed, in PEM. */
  readonly ca: string;
  /** What is shown to others, the leaf first, in PEM. Undefined: nothing, as callers may in one-way TLS. */
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** Whether callers show a certificate, too. */
  readonly mutual: boolean;
  /** The name that certificates of workers must have; undefined: that of where they are dialed. */
  readonly identity: string | undefined;
}

/** What credentials are made from: PEM. */
export interface CertificateBytes {
  /** The certificates whose signature is believed, one or several. */
  readonly ca: string | Uint8Array;
  /** The own certificate, and behind it those between it and the other side's `ca`, if there are some. */
  readonly cert?: string | Uint8Array | undefined;
  /** The private key of `cert`, not encrypted. */
  readonly key?: string | Uint8Array | undefined;
  /** Whether callers must show a certificate, and not only workers. Default: true. */
  readonly mutual?: boolean | undefined;
  /** As `credentials.as({ identity })`. Default: workers are known by where they are dialed. */
  readonly identity?: string | undefined;
}

const BEGIN = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/g;
const CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/**
 * @param names how the parts are called in errors: their files, say
 * @throws CredentialsError that says what to do, and repeats nothing of a key
 */
export function toMaterial(
  { ca, cert, key, mutual = true, identity }: CertificateBytes,
  names: { readonly ca: string; readonly cert: string; readonly key: string },
): Material {
  if (typeof mutual !== 'boolean') throw new TypeError('mutual must be true or false');
  if (identity !== undefined) checkIdentity(identity);
  if (ca === undefined) {
    throw new CredentialsError('ca is missing: the certificates whose signature is believed');
  }
  parseCertificates(ca, names.ca);
  const own = ownOf({ cert, key, mutual }, names);
  return {
    ca: textOf(ca, names.ca),
    cert: own?.cert,
    key: own?.key,
    mutual,
    identity,
  };
}

/** The certificates of a PEM text, in order. @throws CredentialsError when there is none, or one can't be read */
export function parseCertificates(
  pem: string | Uint8Array,
  name: string,
): [X509Certificate, ...X509Certificate[]] {
  const text = textOf(pem, name);
  const found = text.match(CERTIFICATE) ?? [];
  // A file that is being written ends somewhere, and its other certificates would be missed in silence.
  if (found.length !== (text.match(BEGIN) ?? []).length) {
    throw new CredentialsError(`${name} is cut off: a certificate in it has no end`);
  }
  const [first, ...more] = found.map((one) => {
    try {
      return new X509Certificate(one);
    } catch (cause) {
      throw new CredentialsError(`${name} has a certificate that can't be read`, { cause });
    }
  });
  if (first === undefined) {
    throw new CredentialsError(
      `${name} has no certificate: it must be PEM, text with -----BEGIN CERTIFICATE-----`,
    );
  }
  return [first, ...more];
}

/** @throws TypeError when it is no name */
export function checkIdentity(identity: unknown): asserts identity is string {
  if (typeof identity === 'string' && /^[^\s,]{1,1024}$/.test(identity)) return;
  throw new TypeError(
    'identity must be a name in certificates: of DNS, as workers.my-app, or a URI, as spiffe://my-app/worker',
  );
}

function ownOf(
  { cert, key, mutual }: Pick<CertificateBytes, 'cert' | 'key' | 'mutual'>,
  names: { readonly cert: string; readonly key: string },
): { cert: string; key: string } | undefined {
  if (cert === undefined && key === undefined) {
    if (!mutual) return undefined;
    throw new CredentialsError(
      'cert and key are missing: both sides show a certificate, unless mutual is false',
    );
  }
  if (cert === undefined || key === undefined) {
    const missing = cert === undefined ? 'cert' : 'key';
    throw new CredentialsError(`${missing} is missing: cert and key go together`);
  }
  const [leaf] = parseCertificates(cert, names.cert);
  const text = textOf(key, names.key);
  if (!leaf.checkPrivateKey(parseKey(text, names.key))) {
    throw new CredentialsError(
      `${names.key} is not the key of the first certificate in ${names.cert}: take the two that belong together`,
    );
  }
  return { cert: textOf(cert, names.cert), key: text };
}

function parseKey(text: string, name: string): KeyObject {
  if (/ENCRYPTED/.test(text)) {
    throw new CredentialsError(
      `${name} is encrypted, and nobody is asked for a passphrase: decrypt it, by openssl pkey -in ... -out ...`,
    );
  }
  try {
    return createPrivateKey(text);
  } catch {
    // Whose words may repeat what was given.
    throw new CredentialsError(
      `${name} has no private key that can be read: it must be PEM, text with -----BEGIN PRIVATE KEY-----`,
    );
  }
}

function textOf(pem: unknown, name: string): string {
  if (typeof pem === 'string') return pem;
  if (pem instanceof Uint8Array) return Buffer.from(pem).toString('latin1');
  throw new TypeError(`${name} must be PEM, as text or bytes, not a value of type ${typeof pem}`);
}
