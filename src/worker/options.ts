/** What a worker can be told by the program that it is part of. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { InspectionEvent, Observer } from 'xstate';
import type { DiscoveryGiven } from '../discovery/given.ts';
import { checkLogger, type Logger } from '../logger.ts';
import {
  checkBooleans,
  checkMs,
  checkNames,
  checkTexts,
  checkWhole,
  given,
} from '../routine/options.ts';
import type { AuthkeyGiven } from '../security/authkey.ts';
import { type CredentialsGiven, checkCredentials, isProvider } from '../security/credentials.ts';
import { limitsOf, type PeerLimits } from '../security/limits.ts';
import { formatAddress, parseAddress } from '../transport/address.ts';
import { type TransportGiven, takeTransports } from '../transport/given.ts';
import { type Authorize, type AuthorizeHook, checkNamesOf } from './authorize.ts';
import type { Backpressure } from './backpressure.ts';

export interface WorkerOptions {
  /**
   * Where it listens: the name or address of a host of this machine. `0.0.0.0` and `::` stand for all that
   * it has; others are told one of them that they can reach. Default: what `discovery` needs, or 127.0.0.1,
   * for this machine alone. Where `discovery` needs none, as `LocalDiscovery`, a worker that is given no host
   * and no port listens on a Unix socket that only its user can reach; not on Windows.
   */
  readonly host?: string;
  /** The port on which it listens. Default: 0, any that is free. */
  readonly port?: number;
  /**
   * The port on which a thread of it answers for its process while a task blocks it, for firewalls; callers
   * take a worker for dead whose tasks block it for long, when they can't reach that. Default: 0, any that is free.
   */
  readonly beatPort?: number;
  /** Where it listens in place of host and port, e.g. `unix:///run/my-app/worker.sock`. */
  readonly address?: string;
  /**
   * How it is reached, and how its tasks reach other workers for their own calls, beside gRPC, which these can
   * always use: `'tcp'` and `'unix'` for gRPC, or a transport such as `natsTransport(...)` of `skein/nats`, or
   * several in an array. It listens on each; a transport alone means no port and no socket, unless `host`,
   * `port` or `address` is given. Default: gRPC, as these options say.
   */
  readonly transport?: TransportGiven | readonly TransportGiven[];
  /** Labels, for pools and load balancers to choose by: up to 64. Default: none. */
  readonly tags?: readonly string[];
  /** What else is announced of it, as names and texts: up to 64. Default: nothing. */
  readonly extra?: Readonly<Record<string, string>>;
  /**
   * Modules that are loaded before it listens: paths from the current folder, or names as in
   * `my-app/src/routines.ts`. They may be anywhere. Default: none; they are loaded when a call names them.
   */
  readonly modules?: readonly string[];
  /**
   * The folder below which modules are loaded because a call names them: those of the package that it
   * belongs to, and of the packages in its `node_modules`. Links that lead out of it are not followed.
   * Default: the current folder.
   */
  readonly root?: string;
  /**
   * Where it is announced, and where its tasks find other workers for their own calls. What a function gives
   * is disposed of when the worker has stopped. Default: nowhere; the calls of its tasks run here.
   */
  readonly discovery?: DiscoveryGiven;
  /**
   * Tasks that it runs at a time; callers go elsewhere or wait with more. Calls that its tasks make to
   * itself always run. Default: no limit.
   */
  readonly concurrency?: number;
  /**
   * How much callers, and the workers that its tasks call, may ask of it: sizes, counts and times. Default: those
   * in docs/security.md, with `maxValueBytes`, the largest argument list or result, at 256 MiB.
   */
  readonly limits?: Partial<PeerLimits>;
  /** Whether errors take its stack along, and paths in their texts; false where callers are not trusted. Default: true. */
  readonly exposeStacks?: boolean;
  /**
   * Whether it runs functions by value (`routine.inline`): code that whoever can call it sends. Default:
   * false.
   */
  readonly allowInline?: boolean;
  /**
   * Whether a task fails, with `ChainSerializationError`, when a value of a context variable can't travel.
   * Default: whether the environment has `SKEIN_CONTEXT=strict`.
   */
  readonly strict?: boolean;
  /**
   * Asked before a task is begun; returns true to refuse it: the task goes to another worker, or comes again
   * after a pause. Also a routine, whose plain function is taken. Default: none.
   */
  readonly backpressure?: Backpressure | { readonly local: Backpressure };
  /**
   * For the calls of its tasks: another worker is given up when it gave no sign of life for so many
   * milliseconds, at least 1,000; Infinity: never. Default: 10,000.
   */
  readonly lostAfter?: number;
  /**
   * Whether other workers are looked for, and connected to, only when its tasks make calls. The first ones
   * of these wait until others are known, 250 ms at most. False: at once, and for good. Default: true.
   */
  readonly lazy?: boolean;
  /**
   * Where it is `lazy`: when the last call of its tasks ended so many milliseconds ago, its links to other
   * workers end, and it looks for none until the next call. Infinity: never. Default: 60,000.
   */
  readonly proxyTtl?: number;
  /**
   * A caller is given up, and its tasks are aborted, when it was not heard for so many milliseconds, at least
   * 1,000; also one whose event loop was blocked for so long. Infinity: never. Default: 30,000.
   */
  readonly callerLostAfter?: number;
  /**
   * A secret: callers must show that they have it, as it does to them, and it crosses no wire. The workers
   * that its tasks call must have the same. Default: whoever reaches its address is let in.
   */
  readonly authkey?: AuthkeyGiven;
  /**
   * Certificates: it takes connections over gRPC by TLS then, and no others, and its tasks call other workers in the
   * same way. Default: none, and all is plain text.
   */
  readonly credentials?: CredentialsGiven;
  /**
   * Whose calls it takes, of those whom its `credentials` let in: names in their certificates, as `web.my-app` or
   * `spiffe://my-app/web`, of which one is enough; or a function `(peer, task?)`, also a routine, whose plain function
   * is taken. That is asked when a caller links with the worker or asks it something, without a task, and for each
   * task, before anything of it is loaded. It gets in with true alone. It needs `mutual` credentials, and gRPC alone.
   * Default: everyone whose certificate is valid.
   */
  readonly authorize?: Authorize | { readonly local: AuthorizeHook };
  /** Takes its warnings and steps: a logger of pino, say. Default: process warnings, and what `SKEIN_LOG` says. */
  readonly logger?: Logger;
  /** XState's inspector: sees all actors of the worker. */
  readonly inspect?: Observer<InspectionEvent> | ((event: InspectionEvent) => void);
}

/** On a busy machine every process is silent for some hundred milliseconds now and then. */
const LEAST_LOST_AFTER_MS = 1_000;
const HIGHEST_PORT = 65_535;

const WORKER_OPTIONS = [
  'host',
  'port',
  'beatPort',
  'address',
  'transport',
  'tags',
  'extra',
  'modules',
  'root',
  'discovery',
  'concurrency',
  'limits',
  'exposeStacks',
  'allowInline',
  'strict',
  'backpressure',
  'lostAfter',
  'callerLostAfter',
  'authkey',
  'credentials',
  'authorize',
  'lazy',
  'proxyTtl',
  'logger',
  'inspect',
];

/**
 * The options without those that are undefined.
 *
 * @throws RangeError, TypeError when one is wrong
 */
export function checkWorkerOptions(options: WorkerOptions): WorkerOptions {
  checkNames('new Worker(options)', options, WORKER_OPTIONS);
  const { host, port, address, tags, concurrency, limits, lostAfter } = options;
  const {
    modules,
    root,
    callerLostAfter,
    backpressure,
    inspect,
    exposeStacks,
    allowInline,
    strict,
  } = options;
  if (host !== undefined) checkHost(host);
  for (const [name, value] of Object.entries({ port, beatPort: options.beatPort })) {
    if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= HIGHEST_PORT)) {
      continue;
    }
    throw new RangeError(
      `${name} must be a whole number from 0 to ${HIGHEST_PORT}, not ${String(value)}`,
    );
  }
  if (address !== undefined) {
    if (host !== undefined || port !== undefined) {
      throw new TypeError('address takes the place of host and port: give either the one or these');
    }
    if (typeof address !== 'string') throw new TypeError('address must be a string');
    // The path of its beat's socket is longer.
    parseAddress(address.startsWith('unix:') ? beatBeside(address) : address);
  }
  grpcOf(options);
  checkTexts('tags', tags);
  checkTexts('modules', modules);
  if (root !== undefined) checkFolder('root', root);
  checkWhole('concurrency', concurrency, 1);
  limitsOf(limits);
  checkMs('lostAfter', lostAfter, LEAST_LOST_AFTER_MS);
  checkMs('callerLostAfter', callerLostAfter, LEAST_LOST_AFTER_MS);
  checkMs('proxyTtl', options.proxyTtl, 1);
  checkBooleans({ exposeStacks, allowInline, strict, lazy: options.lazy });
  if (options.credentials !== undefined) checkCredentials(options.credentials);
  if (options.authorize !== undefined) authorizeOf(options);
  if (options.logger !== undefined) checkLogger(options.logger);
  if (backpressure !== undefined) hookOf(backpressure);
  if (inspect !== undefined && typeof inspect !== 'function') {
    if (typeof inspect?.next !== 'function') {
      throw new TypeError('inspect must be a function, or an observer with a method next(event)');
    }
  }
  return given(options);
}

/**
 * How it listens for gRPC: `any` as its other options and its discovery say; undefined for not at all.
 *
 * @throws TypeError when the options contradict each other
 */
export function grpcOf(options: WorkerOptions): 'unix' | 'tcp' | 'any' | undefined {
  const { host, port, beatPort, address, transport } = options;
  const { grpc, others } = takeTransports(transport);
  const onTcp = host !== undefined || port !== undefined;
  const onUnix = address?.startsWith('unix:') === true;
  if (grpc === 'unix' && (onTcp || (address !== undefined && !onUnix))) {
    throw new TypeError("host, port and an address of TCP are for transport 'tcp', not for 'unix'");
  }
  if (grpc === 'tcp' && onUnix) {
    throw new TypeError("the address of a socket is for transport 'unix', not for 'tcp'");
  }
  if (grpc !== undefined) return grpc;
  if (others.length === 0 || onTcp || address !== undefined) return 'any';
  if (beatPort === undefined) return undefined;
  throw new TypeError("beatPort is for TCP: name 'tcp' among the transports, or leave it out");
}

/** What is wrong with workers that discovery has listen on the network, and which do not. */
export function foundOnNetwork(grpc: string | undefined): string {
  const what = 'the workers of this discovery are found on a network';
  return grpc === 'unix'
    ? `${what}: transport 'unix' is not for it`
    : `${what}: name 'tcp' among the transports`;
}

/** @throws TypeError when it is no host */
function checkHost(host: string): void {
  try {
    parseAddress(formatAddress({ scheme: 'tcp', host, port: 0 }));
  } catch {
    throw new TypeError(`host must be the name or address of a host, not ${String(host)}`);
  }
}

/** @throws TypeError when it is no folder */
export function checkFolder(name: string, path: unknown): void {
  if (typeof path !== 'string') throw new TypeError(`${name} must be the path of a folder`);
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new TypeError(`${name} must be the path of a folder, and ${resolve(path)} is none`);
  }
}

/** Where the beat of a worker listens that has a socket in the file system. */
export function beatBeside(address: string): string {
  return `${address}.beat`;
}

/**
 * The function that is asked: of a routine its plain function, as to call it would be to send a task.
 *
 * @throws TypeError when there is none
 */
export function hookOf(hook: NonNullable<WorkerOptions['backpressure']>): Backpressure {
  const { local } = hook as { local?: unknown };
  if (typeof local === 'function') return local as Backpressure;
  if (typeof hook === 'function') return hook;
  throw new TypeError(`backpressure must be a function, not ${String(hook)}`);
}

/**
 * Who decides whose calls are taken.
 *
 * @throws TypeError when nobody does, or callers show no certificates
 */
export function authorizeOf({
  authorize,
  credentials,
  transport,
}: Pick<WorkerOptions, 'authorize' | 'credentials' | 'transport'>): Authorize | undefined {
  if (authorize === undefined) return undefined;
  checkAuthorizable({ credentials, transport });
  if (Array.isArray(authorize)) {
    checkNamesOf(authorize);
    return [...authorize];
  }
  const { local } = authorize as { local?: unknown };
  if (typeof local === 'function') return local as AuthorizeHook;
  if (typeof authorize === 'function') return authorize;
  throw new TypeError(
    `authorize must be an array of names in certificates, or a function, not ${String(authorize)}`,
  );
}

interface WhoIsKnown {
  readonly credentials?: CredentialsGiven | undefined;
  readonly transport?: WorkerOptions['transport'] | undefined;
}

/** @throws TypeError when callers show no certificates that `authorize` could look at */
export function checkAuthorizable({ credentials, transport }: WhoIsKnown): void {
  if (credentials === undefined) {
    throw new TypeError('authorize goes by the certificates of callers: give credentials, too');
  }
  if (!isProvider(credentials) && !credentials.mutual) throw new TypeError(NOT_MUTUAL);
  if (takeTransports(transport).others.length === 0) return;
  throw new TypeError(
    'authorize goes by the certificates of callers, and only gRPC has them: leave out the other transports',
  );
}

/** What is wrong with credentials for workers that are to know their callers by them. */
export const NOT_MUTUAL =
  'authorize goes by the certificates of callers, and credentials with mutual: false ask them for none';

/**
 * What `stop` is given, in milliseconds; undefined for no limit.
 *
 * @throws RangeError when it is no time
 */
export function graceOf(
  given: number | { readonly grace?: number | undefined },
): number | undefined {
  if (typeof given !== 'number') checkNames('worker.stop(options)', given, ['grace']);
  const grace = typeof given === 'number' ? given : given.grace;
  checkMs('grace', grace, 0);
  return grace === Number.POSITIVE_INFINITY ? undefined : grace;
}
