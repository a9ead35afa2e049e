/** How to reach NATS, as users say it, and what follows from that. */
import { isToken } from './subjects.ts';

/** TLS towards the servers. Files are read again at each connect. */
export interface NatsTls {
  /** The certificates of the authorities that vouch for the servers, as PEM. Default: those of Node. */
  readonly caFile?: string;
  readonly ca?: string;
  /** The certificate by which this process shows who it is, as PEM; needs a key. */
  readonly certFile?: string;
  readonly cert?: string;
  readonly keyFile?: string;
  readonly key?: string;
  /** TLS begins at once, as servers do that are set up with `handshake_first`. Default: false. */
  readonly handshakeFirst?: boolean;
  /** The name that the servers' certificates are for. Default: the host that is dialed. */
  readonly servername?: string;
}

/** All of it can be cloned, and written as JSON. */
export interface NatsOptions {
  /**
   * One or more of `nats://host:4222`, `tls://host`, `host`, with `user:pass@` or `token@` before the host
   * where that server wants it; a string may have several, between commas. Servers of the same cluster
   * that these tell of are used, too. Default: 127.0.0.1:4222.
   */
  readonly servers?: string | readonly string[];
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  /** The seed of a user's nkey: `SU...`. */
  readonly nkey?: string;
  /** The path of a credentials file (`.creds`), which is read again at each connect. */
  readonly credentials?: string;
  /** With it, or with a server that is given as `tls://`, nothing is sent to any server without TLS. */
  readonly tls?: NatsTls;
  /** Keeps apart what uses the same servers: letters, digits, `_` and `-`, up to 64. Default: `default`. */
  readonly cluster?: string;
  /**
   * The name by which permissions of the servers confine this process; written as `cluster` is. Default:
   * `user` where it can be one, otherwise `anyone`.
   */
  readonly identity?: string;
  /** Milliseconds after which a peer is given up that nobody hears from. Default: 5,000; at least 500. */
  readonly goneAfter?: number;
  /** The name of the connection, which the servers show. Default: `skein`. */
  readonly name?: string;
}

/** One of the servers. */
export interface NatsServer {
  readonly host: string;
  readonly port: number;
  readonly login: Login;
  /** The name that its certificate is for, where that is not `host`. */
  readonly certName?: string;
}

/** What a server asks of who connects. */
export type Login = Pick<NatsOptions, 'user' | 'pass' | 'token' | 'nkey' | 'credentials'>;

/** Options with their defaults. */
export interface BusOptions {
  readonly servers: readonly NatsServer[];
  /** Undefined: as the server wants it. */
  readonly tls: NatsTls | undefined;
  readonly cluster: string;
  readonly identity: string;
  readonly goneAfterMs: number;
  readonly name: string;
}

const TEXTS = ['user', 'pass', 'token', 'nkey', 'credentials', 'name'] as const;
const TLS_TEXTS = ['caFile', 'ca', 'certFile', 'cert', 'keyFile', 'key', 'servername'] as const;
const KNOWN = new Set<string>([
  ...TEXTS,
  ...['servers', 'tls', 'cluster', 'identity', 'goneAfter'],
]);
const TLS_KNOWN = new Set<string>([...TLS_TEXTS, 'handshakeFirst']);

const SEED = /^SU[A-Z2-7]{56}$/;

const LEAST_GONE_AFTER_MS = 500;
/** Node's timers take no more. */
const MOST_GONE_AFTER_MS = 2 ** 31 - 1;

/**
 * @throws TypeError when an option is missing, unknown or of no use; no message has a secret in it
 * @throws RangeError when `goneAfter` is out of bounds
 */
export function checkOptions(options: NatsOptions = {}): BusOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError('the options of NATS must be an object, e.g. { servers: "nats://host" }');
  }
  checkKeys(options, KNOWN, TEXTS, 'NATS');
  const { tls, goneAfter: goneAfterMs = 5_000, cluster = 'default', name = 'skein' } = options;
  const login = checkLogin(options);
  const given = serversOf(options.servers);
  checkTls(tls);
  if (!isToken(cluster)) throw notToken('cluster', cluster);
  const user = login.user ?? given.find((server) => server.login.user !== undefined)?.login.user;
  const identity = options.identity ?? (isToken(user) ? user : 'anyone');
  if (!isToken(identity)) throw notToken('identity', identity);
  if (typeof goneAfterMs !== 'number') throw new TypeError('goneAfter must be a number of ms');
  if (!(goneAfterMs >= LEAST_GONE_AFTER_MS && goneAfterMs <= MOST_GONE_AFTER_MS)) {
    throw new RangeError(
      `goneAfter is ${goneAfterMs}: it must be between ${LEAST_GONE_AFTER_MS} and ${MOST_GONE_AFTER_MS} ms`,
    );
  }
  return {
    servers: given.map((one) => ({
      ...one,
      login: Object.keys(one.login).length > 0 ? one.login : login,
    })),
    tls: tls ?? (given.some((server) => server.secure) ? {} : undefined),
    cluster,
    identity,
    goneAfterMs,
    name,
  };
}

function checkKeys(
  given: object,
  known: ReadonlySet<string>,
  texts: readonly string[],
  what: string,
): void {
  for (const [key, value] of Object.entries(given)) {
    if (!known.has(key)) {
      throw new TypeError(`${what} has no option "${key}"; it has ${[...known].join(', ')}`);
    }
    if (texts.includes(key) && value !== undefined && (typeof value !== 'string' || value === '')) {
      throw new TypeError(`the option ${key} of ${what} must be a text that is not empty`);
    }
  }
}

function checkLogin({ user, pass, token, nkey, credentials }: NatsOptions): Login {
  const ways = { user, token, nkey, credentials };
  const given = Object.entries(ways).filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    const names = given.map(([name]) => name).join(' and ');
    throw new TypeError(`${names} are given: a server wants one of them, so give one`);
  }
  if (pass !== undefined && user === undefined) throw new TypeError('pass is given without user');
  if (nkey !== undefined && !SEED.test(nkey)) {
    throw new TypeError('nkey must be the seed of a user: "SU" and 56 more letters and digits');
  }
  const login = { ...ways, pass };
  return Object.fromEntries(Object.entries(login).filter(([, value]) => value !== undefined));
}

function checkTls(tls: NatsTls | undefined): void {
  if (tls === undefined) return;
  if (typeof tls !== 'object' || tls === null) {
    throw new TypeError(
      'tls must be an object; {} where nothing is to be said but that it is used',
    );
  }
  checkKeys(tls, TLS_KNOWN, TLS_TEXTS, 'tls of NATS');
  const { handshakeFirst } = tls;
  if (handshakeFirst !== undefined && typeof handshakeFirst !== 'boolean') {
    throw new TypeError('the option handshakeFirst of tls of NATS must be true or false');
  }
  for (const part of ['ca', 'cert', 'key'] as const) {
    if (tls[part] === undefined || tls[`${part}File`] === undefined) continue;
    throw new TypeError(`tls of NATS has both ${part} and ${part}File: give one of them`);
  }
  const hasCert = (tls.cert ?? tls.certFile) !== undefined;
  const hasKey = (tls.key ?? tls.keyFile) !== undefined;
  if (hasCert === hasKey) return;
  const [has, lacks] = hasCert ? ['certificate', 'key'] : ['key', 'certificate'];
  throw new TypeError(`tls of NATS has a ${has}, but no ${lacks}`);
}

function notToken(what: string, given: unknown): TypeError {
  const shown = typeof given === 'string' ? JSON.stringify(given) : `a ${typeof given}`;
  return new TypeError(
    `${what} of NATS is ${shown}: it must be 1 to 64 letters, digits, "_" or "-" of ASCII`,
  );
}

type GivenServer = NatsServer & { readonly secure: boolean };

function serversOf(given: NatsOptions['servers'] = '127.0.0.1:4222'): GivenServer[] {
  const texts: readonly unknown[] = typeof given === 'string' ? given.split(',') : given;
  if (!Array.isArray(texts) || texts.length === 0) {
    throw new TypeError('servers of NATS must be one address or more, e.g. "nats://host:4222"');
  }
  return texts.map((text, index) => parseServer(text, index));
}

const SERVER =
  /^(?:(?<scheme>[a-z]+):\/\/)?(?:(?<login>.*)@)?(?:\[(?<ipv6>[0-9A-Fa-f:.]+)\]|(?<name>[A-Za-z0-9._-]+))(?::(?<port>\d{1,5}))?\/?$/;

/** The text is in no message: a password may be in it, also where the rest of it is wrong. */
function parseServer(text: unknown, index: number): GivenServer {
  const fault = (what: string) =>
    new TypeError(`server ${index + 1} of those of NATS ${what}: write nats://host:4222`);
  if (typeof text !== 'string') throw fault('is no text');
  const {
    scheme = 'nats',
    login,
    ipv6,
    name,
    port = '4222',
  } = SERVER.exec(text.trim())?.groups ?? {};
  const host = ipv6 ?? name;
  if (host === undefined) throw fault('is no address');
  if (scheme !== 'nats' && scheme !== 'tls') throw fault(`begins with ${scheme}://`);
  if (Number(port) === 0 || Number(port) > 65_535) throw fault(`has the port ${port}`);
  return { host, port: Number(port), secure: scheme === 'tls', login: parseLogin(login, fault) };
}

function parseLogin(text: string | undefined, fault: (what: string) => TypeError): Login {
  if (text === undefined) return {};
  const at = text.indexOf(':');
  const decoded = (part: string): string => {
    try {
      return decodeURIComponent(part);
    } catch {
      throw fault('has a "%" in its user or password that must be written as %25');
    }
  };
  if (at < 0) return { token: decoded(text) };
  return { user: decoded(text.slice(0, at)), pass: decoded(text.slice(at + 1)) };
}

/** `host:port`, for people. */
export function formatServer({ host, port }: Pick<NatsServer, 'host' | 'port'>): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** A server as `teller`, of the same cluster, names it; undefined when that is no address. */
export function learntServer(text: string, teller: NatsServer): NatsServer | undefined {
  try {
    const { host, port } = parseServer(text, 0);
    return { host, port, login: teller.login, certName: teller.certName ?? teller.host };
  } catch {
    return undefined;
  }
}
