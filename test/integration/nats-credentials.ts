/** What servers of NATS and their users show each other, made anew for a test: nkeys, credentials files, certificates. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';

type KeyPair = ReturnType<typeof nkeys.createUser>;

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

/** The seed is the user's, the public key the server's. */
export function makeNkey(): { readonly seed: string; readonly publicKey: string } {
  const user = nkeys.createUser();
  return { seed: text(user.getSeed()), publicKey: user.getPublicKey() };
}

/** An operator with one account. */
export class Operator {
  readonly #account = nkeys.createAccount();
  /** The lines of a server that trusts it. */
  readonly config: string;

  constructor() {
    const operator = nkeys.createOperator();
    const account = this.#account.getPublicKey();
    const unlimited = {
      subs: -1,
      data: -1,
      payload: -1,
      imports: -1,
      exports: -1,
      conn: -1,
      leaf: -1,
    };
    const operatorJwt = jwt(operator, operator.getPublicKey(), { type: 'operator' });
    const accountJwt = jwt(operator, account, {
      type: 'account',
      limits: { ...unlimited, wildcards: true },
    });
    this.config = [
      `operator: ${operatorJwt}`,
      'resolver: MEMORY',
      `resolver_preload: { ${account}: ${accountJwt} }`,
    ].join('\n');
  }

  /** The text of a credentials file of a new user. */
  credentials(): string {
    const user = nkeys.createUser();
    const claims = { type: 'user', pub: {}, sub: {}, subs: -1, data: -1, payload: -1 };
    return [
      '-----BEGIN NATS USER JWT-----',
      jwt(this.#account, user.getPublicKey(), claims),
      '------END NATS USER JWT------',
      '',
      '-----BEGIN USER NKEY SEED-----',
      text(user.getSeed()),
      '------END USER NKEY SEED------',
      '',
    ].join('\n');
  }
}

function jwt(issuer: KeyPair, subject: string, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = [
    part({ typ: 'JWT', alg: 'ed25519-nkey' }),
    part({
      jti: 'test',
      iat: Math.floor(Date.now() / 1000),
      iss: issuer.getPublicKey(),
      sub: subject,
      nats: { ...claims, version: 2 },
    }),
  ].join('.');
  return `${signed}.${Buffer.from(issuer.sign(Buffer.from(signed))).toString('base64url')}`;
}

/** Why no certificates can be made here; undefined when they can. */
export const noCertificates: string | undefined = spawnSync('openssl', ['version']).error?.message;

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** An authority, whose files are in `folder`. */
export class Authority {
  readonly caFile: string;
  readonly #folder: string;
  readonly #name: string;

  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
    this.caFile = this.#path(name, 'crt');
    this.#openssl('req', '-x509', ...this.#key(name), '-out', this.caFile, '-subj', `/CN=${name}`);
  }

  /** @param names what it is for, as `DNS:localhost` or `IP:127.0.0.1` */
  certify(name: string, ...names: string[]): Certificate {
    const [certFile, keyFile] = [this.#path(name, 'crt'), this.#path(name, 'key')];
    this.#openssl(
      ...['req', '-x509', ...this.#key(name), '-out', certFile, '-subj', `/CN=${name}`],
      ...['-CA', this.caFile, '-CAkey', this.#path(this.#name, 'key')],
      ...['-addext', 'basicConstraints=critical,CA:FALSE'],
      ...(names.length > 0 ? ['-addext', `subjectAltName=${names.join(',')}`] : []),
    );
    const [cert, key] = [readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8')];
    return { certFile, keyFile, cert, key };
  }

  #key(name: string): string[] {
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    return [...curve, '-keyout', this.#path(name, 'key'), '-days', '2'];
  }

  #path(name: string, kind: string): string {
    return join(this.#folder, `${this.#name}-${name}.${kind}`);
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

/** Writes a file of a test. */
export function fileIn(folder: string, name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}
