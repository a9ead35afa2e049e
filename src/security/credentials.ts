/** `WorkerCredentials`: the certificates by which pools and workers know each other on encrypted connections. */
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { CredentialsError } from '../errors.ts';
import { WatchedFiles } from './files.ts';
import {
  type CertificateBytes,
  checkIdentity,
  type Material,
  parseCertificates,
  toMaterial,
} from './material.ts';

/** The paths of PEM files. */
export interface CertificateFiles {
  /** The certificates whose signature is believed, one or several. */
  readonly ca: string;
  /** The own certificate, and behind it those between it and the other side's `ca`, if there are some. */
  readonly cert?: string | undefined;
  /** The private key of `cert`, not encrypted. */
  readonly key?: string | undefined;
  /** Whether callers must show a certificate, and not only workers. Default: true. */
  readonly mutual?: boolean | undefined;
  /** As `credentials.as({ identity })`. Default: workers are known by where they are dialed. */
  readonly identity?: string | undefined;
}

/** Gives credentials that change: from a vault, say. */
export interface CredentialsProvider {
  /**
   * Those for new connections. When it fails, the last ones are kept, and a warning says why.
   */
  credentials(): WorkerCredentials | Promise<WorkerCredentials>;
  /**
   * Whether it is asked again, or only once. Workers, and pools that spawn some, ask about once a second; who only
   * calls asks before a new connection.
   */
  readonly reloadable: boolean;
}

export type CredentialsGiven = WorkerCredentials | CredentialsProvider;

const FILE_NAMES = { ca: 'ca', cert: 'cert', key: 'key' } as const;

const materials = new WeakMap<WorkerCredentials, Material>();

/** What providers gave last: it is kept for all who use them, also for those who begin to while one fails. */
export const lastGiven = new WeakMap<CredentialsProvider, Material>();

/**
 * Certificates for TLS. Workers that have them take encrypted connections only; callers that have them make
 * no others. Printed, they show no key.
 *
 * @example
 * ```ts
 * const credentials = WorkerCredentials.fromFiles({ ca: 'ca.pem', cert: 'app.pem', key: 'app.key' });
 * await using pool = await WorkerPool.open({
 *   discovery: new LanDiscovery('my-app'),
 *   credentials: credentials.as({ identity: 'workers.my-app' }),
 * });
 * ```
 */
export class WorkerCredentials {
  /** Whether callers show a certificate, too; otherwise only workers do. */
  readonly mutual: boolean;
  /** The name that certificates of workers must have; undefined: that of where they are dialed. */
  readonly identity: string | undefined;
  /** When the own certificate ends; undefined where there is none. */
  readonly validTo: Date | undefined;
  readonly #subject: string | undefined;

  private constructor(material: Material) {
    this.mutual = material.mutual;
    this.identity = material.identity;
    if (material.cert !== undefined) {
      const [leaf] = parseCertificates(material.cert, 'cert');
      this.validTo = new Date(leaf.validTo);
      this.#subject = leaf.subjectAltName ?? leaf.subject;
    }
    materials.set(this, material);
    Object.freeze(this);
  }

  /**
   * Reads PEM files, once; `watchFiles` sees when they are replaced.
   *
   * @throws CredentialsError when one can't be read, or they do not belong together
   */
  static fromFiles(files: CertificateFiles): WorkerCredentials {
    const { mutual, identity } = files;
    const read = (name: 'ca' | 'cert' | 'key') => {
      const path = files[name];
      return path === undefined ? undefined : readPem(name, path);
    };
    const bytes = { ca: read('ca') as Buffer, cert: read('cert'), key: read('key') };
    const nameOf = (name: 'ca' | 'cert' | 'key') => `${name} (${files[name]})`;
    const names = { ca: nameOf('ca'), cert: nameOf('cert'), key: nameOf('key') };
    return new WorkerCredentials(toMaterial({ ...bytes, mutual, identity }, names));
  }

  /**
   * Takes PEM as text or bytes.
   *
   * @throws CredentialsError when they do not belong together
   */
  static fromBytes(bytes: CertificateBytes): WorkerCredentials {
    return new WorkerCredentials(toMaterial(bytes, FILE_NAMES));
  }

  /**
   * Reads PEM files, and again when they were replaced: new connections use the new ones, and those that are open
   * go on. Files that are being written, or are broken, or do not belong together, are not used: the
   * last good ones are kept, for all pools and workers that have the same provider, and a warning says so.
   *
   * @throws CredentialsError when they are not good now
   */
  static watchFiles(files: CertificateFiles): CredentialsProvider {
    const given = { ...files };
    const paths = [given.ca, given.cert, given.key].filter((path) => path !== undefined);
    const watched = new WatchedFiles(paths, () => WorkerCredentials.fromFiles(given));
    const provider = { credentials: () => watched.value(), reloadable: true };
    lastGiven.set(provider, materialOf(watched.value()));
    return provider;
  }

  /**
   * The same, for which a worker is the right one whose certificate has this name, wherever it was dialed.
   *
   * @param options.identity a name of DNS, or a URI such as `spiffe://my-app/worker`, among the certificate's subject
   * alternative names
   * @throws TypeError when it is no name
   */
  as({ identity }: { readonly identity: string }): WorkerCredentials {
    checkIdentity(identity);
    return new WorkerCredentials({ ...materialOf(this), identity });
  }

  toJSON(): object {
    const { mutual, identity, validTo } = this;
    return { certificate: this.#subject, validTo, mutual, identity, key: '[redacted]' };
  }

  [inspect.custom](): string {
    return `WorkerCredentials ${inspect(this.toJSON())}`;
  }
}

/** What is behind credentials. @throws TypeError when they are none */
export function materialOf(credentials: WorkerCredentials): Material {
  const material = materials.get(credentials);
  if (material !== undefined) return material;
  throw new TypeError(
    'credentials must be of WorkerCredentials.fromFiles(...), .fromBytes(...) or .watchFiles(...), or an ' +
      'object with credentials() and reloadable',
  );
}

/** @throws TypeError when they are neither credentials nor a provider */
export function checkCredentials(given: unknown): asserts given is CredentialsGiven {
  if (isProvider(given)) {
    if (typeof given.reloadable === 'boolean') return;
    throw new TypeError(
      'a provider of credentials must say whether it is reloadable: true or false',
    );
  }
  materialOf(given as WorkerCredentials);
}

export function isProvider(given: unknown): given is CredentialsProvider {
  return typeof (given as Partial<CredentialsProvider> | null)?.credentials === 'function';
}

function readPem(name: string, path: unknown): Buffer {
  if (typeof path !== 'string') throw new TypeError(`${name} must be the path of a file`);
  try {
    return readFileSync(path);
  } catch (cause) {
    const { code = 'unreadable' } = cause as NodeJS.ErrnoException;
    const why = { ENOENT: 'there is no such file', EACCES: 'this user may not read it' }[code];
    throw new CredentialsError(`${name} (${path}): ${why ?? code}`, { cause });
  }
}
