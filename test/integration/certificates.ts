/** Certificates for tests: authorities, and what they issue, as PEM and as files. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

// Node 20 has it as `webcrypto` only.
x509.cryptoProvider.set(webcrypto);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY = 24 * 60 * 60 * 1000;
const USAGES = {
  server: x509.ExtendedKeyUsage.serverAuth,
  client: x509.ExtendedKeyUsage.clientAuth,
};

/** From when, and until when, in ms from now. */
const DATES = {
  valid: [-DAY, DAY],
  expired: [-2 * DAY, -DAY],
  'not-yet-valid': [DAY, 2 * DAY],
} as const;

/** Where workers of tests are dialed. */
export const LOCAL_NAMES: readonly string[] = ['localhost', '127.0.0.1', '::1'];

export type Dates = keyof typeof DATES | { readonly from: Date; readonly to: Date };

export interface IssueOptions {
  /** Common name of the subject. @default 'skein test' */
  readonly subject?: string;
  /** Subject alternative names: DNS names, IP addresses and URIs. @default LOCAL_NAMES */
  readonly names?: readonly string[];
  /** @default 'valid': from yesterday until tomorrow */
  readonly dates?: Dates;
  /** Extended key usages; with none the certificate has no such extension. @default both */
  readonly usages?: readonly (keyof typeof USAGES)[];
}

/** PEM texts, or the paths of files with them. */
export interface Certificates {
  /** What the other side is verified by. */
  readonly ca: string;
  /** The leaf first, then the certificates between it and `ca`. */
  readonly cert: string;
  readonly key: string;
}

/**
 * An authority that certificates are issued by.
 *
 * @example
 * const authority = await Authority.make();
 * const worker = await authority.issue();
 * const caller = await authority.issue({ names: ['spiffe://test/caller'], usages: ['client'] });
 * const files = writeCertificates(scratchFolder(), worker);
 */
export class Authority {
  /** Of the root, which this authority is itself or was issued by. PEM. */
  readonly ca: string;
  readonly #certificate: x509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;
  /** From this authority up, without the root. */
  readonly #between: readonly string[];

  private constructor(
    certificate: x509.X509Certificate,
    key: webcrypto.CryptoKey,
    above?: { readonly ca: string; readonly between: readonly string[] },
  ) {
    const own = certificate.toString('pem');
    this.ca = above?.ca ?? `${own}\n`;
    this.#certificate = certificate;
    this.#key = key;
    this.#between = above === undefined ? [] : [own, ...above.between];
  }

  /** A root: it is signed by itself. */
  static async make(options: Pick<IssueOptions, 'subject' | 'dates'> = {}): Promise<Authority> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      keys,
      name: nameOf(options.subject ?? 'skein test authority'),
      ...validity(options.dates),
      signingAlgorithm: ALGORITHM,
      extensions: await ofAuthority(keys.publicKey),
    });
    return new Authority(certificate, keys.privateKey);
  }

  /** One that this authority has issued: what it issues has a chain of one certificate more. */
  async intermediate(options: Pick<IssueOptions, 'subject' | 'dates'> = {}): Promise<Authority> {
    const keys = await newKeys();
    const certificate = await this.#sign(
      options.subject ?? 'skein test intermediate',
      keys.publicKey,
      options.dates,
      await ofAuthority(keys.publicKey),
    );
    return new Authority(certificate, keys.privateKey, { ca: this.ca, between: this.#between });
  }

  /** A new key, and a certificate for it. */
  async issue(options: IssueOptions = {}): Promise<Certificates> {
    const { names = LOCAL_NAMES, usages = ['server', 'client'] } = options;
    const keys = await newKeys();
    const extensions: x509.Extension[] = [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ];
    if (usages.length > 0) {
      extensions.push(new x509.ExtendedKeyUsageExtension(usages.map((usage) => USAGES[usage])));
    }
    if (names.length > 0) {
      extensions.push(new x509.SubjectAlternativeNameExtension(names.map(generalName)));
    }
    const { subject = 'skein test', dates } = options;
    const leaf = await this.#sign(subject, keys.publicKey, dates, extensions);
    const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
    return {
      ca: this.ca,
      cert: `${[leaf.toString('pem'), ...this.#between].join('\n')}\n`,
      key: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
    };
  }

  async #sign(
    subject: string,
    publicKey: webcrypto.CryptoKey,
    dates: Dates | undefined,
    extensions: x509.Extension[],
  ): Promise<x509.X509Certificate> {
    return await x509.X509CertificateGenerator.create({
      subject: nameOf(subject),
      issuer: this.#certificate.subject,
      publicKey,
      signingKey: this.#key,
      signingAlgorithm: ALGORITHM,
      ...validity(dates),
      extensions: [
        ...extensions,
        await x509.AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
      ],
    });
  }
}

/**
 * Writes `ca.pem`, `cert.pem` and `key.pem` (mode 0600) into `folder`, which is made. Each file is replaced as a whole,
 * as rotation must do it.
 */
export function writeCertificates(folder: string, certificates: Certificates): Certificates {
  mkdirSync(folder, { recursive: true });
  return {
    key: replace(join(folder, 'key.pem'), certificates.key, 0o600),
    cert: replace(join(folder, 'cert.pem'), certificates.cert),
    ca: replace(join(folder, 'ca.pem'), certificates.ca),
  };
}

function replace(path: string, content: string, mode = 0o644): string {
  const next = `${path}.next`;
  writeFileSync(next, content, { mode });
  chmodSync(next, mode);
  renameSync(next, path);
  return path;
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function ofAuthority(publicKey: webcrypto.CryptoKey): Promise<x509.Extension[]> {
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags;
  return [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
  ];
}

function nameOf(commonName: string): x509.JsonName {
  return [{ CN: [commonName] }];
}

function validity(dates: Dates = 'valid'): { notBefore: Date; notAfter: Date } {
  if (typeof dates === 'object') return { notBefore: dates.from, notAfter: dates.to };
  const [from, to] = DATES[dates];
  return { notBefore: new Date(Date.now() + from), notAfter: new Date(Date.now() + to) };
}

function generalName(name: string): x509.JsonGeneralName {
  if (name.includes('://')) return { type: 'url', value: name };
  return { type: isIP(name) === 0 ? 'dns' : 'ip', value: name };
}
