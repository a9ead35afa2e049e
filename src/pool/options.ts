/** What a pool can be told, and whether it makes sense. */
import { statSync } from 'node:fs';
import type { InspectionEvent, Observer } from 'xstate';
import type { LoadBalancer } from '../balancing/balancer.ts';
import type { WorkerMetadata } from '../discovery/discovery.ts';
import type { DiscoveryGiven } from '../discovery/given.ts';
import { parseMetadata } from '../discovery/metadata.ts';
import { checkLogger, type Logger } from '../logger.ts';
import { hookName } from '../routine/hook.ts';
import {
  checkBooleans,
  checkMs,
  checkNames,
  checkTexts,
  checkWhole,
  given,
} from '../routine/options.ts';
import { Authkey, type AuthkeyGiven } from '../security/authkey.ts';
import { type CredentialsGiven, checkCredentials } from '../security/credentials.ts';
import { limitsOf, type PeerLimits } from '../security/limits.ts';
import type { PeerIdentity } from '../security/names.ts';
import { checkRecipes, type TransportGiven, takeTransports } from '../transport/given.ts';
import { type AuthorizedTask, type AuthorizeHook, checkNamesOf } from '../worker/authorize.ts';
import type { Backpressure, OfferedTask } from '../worker/backpressure.ts';
import { checkAuthorizable } from '../worker/options.ts';

export interface PoolOptions {
  /**
   * Worker processes to spawn; never a limit on how many are found. Default: the number of CPUs, or 0 with
   * `discovery`.
   */
  readonly size?: number;
  /**
   * Finds workers that others have started. Those that the pool spawns are announced there too, where
   * workers can be. What a function gives is disposed of when the pool has closed. Default: none.
   */
  readonly discovery?: DiscoveryGiven;
  /** As many of the workers that are found are used at a time. Default: all. */
  readonly lease?: number;
  /** Which of the workers that are found are used. Default: those with all `tags`. */
  readonly filter?: (worker: WorkerMetadata) => boolean;
  /**
   * Labels of the spawned workers, for load balancers to see, and which a worker must have that is found.
   * Default: none.
   */
  readonly tags?: readonly string[];
  /** What else is announced of the spawned workers. Default: nothing. */
  readonly extra?: Readonly<Record<string, string>>;
  /**
   * A secret that the pool and its workers have, text or bytes: each shows that it has it, and nobody says
   * it. Workers take nothing from those who do not have it. Default: none. Spawned workers that no discovery tells
   * of take calls from the pool and each other alone; whoever reaches another one may use it.
   */
  readonly authkey?: AuthkeyGiven;
  /**
   * Certificates: connections over gRPC, those of beats included, are by TLS then, and spawned workers take no
   * others; they are shown the same ones. Workers that are found must have credentials, too. Default: none, and
   * all is plain text. Transports of their own, such as NATS, have their own options for it.
   */
  readonly credentials?: CredentialsGiven;
  /**
   * Whose calls spawned workers take, of those whom the `credentials` let in: names in their certificates, of which
   * one is enough; or a routine, whose plain function each worker runs, with who calls, when somebody links with it or
   * asks it something, and with the task, too, before each task, and that lets in with true alone. The pool's
   * own certificate must be let in, too. It needs `mutual` credentials, and gRPC alone. Default: everyone whose
   * certificate is valid.
   */
  readonly authorize?: readonly string[] | AuthorizeRoutine;
  /**
   * Modules that each spawned worker imports before it takes tasks: paths from the current folder, or names
   * such as `my-app/src/routines.ts`. Default: none, and each is imported with the first task that needs it.
   */
  readonly modules?: readonly string[];
  /**
   * The folder below which spawned workers import what callers name, and nothing else; and this program and
   * they, what workers name that discovery found. Default: the current one; and where nobody else can find
   * the spawned workers, any file that this program names to them.
   */
  readonly root?: string;
  /**
   * Whether a worker is connected to with the first call that goes there, and not at once; also by the
   * spawned workers, for the calls of their tasks. Default: true.
   */
  readonly lazy?: boolean;
  /**
   * Where it is `lazy`: when the last call of a spawned worker's tasks ended so many milliseconds ago, its
   * links to other workers end, until the next call. Infinity: never. Default: 60,000.
   */
  readonly proxyTtl?: number;
  /** Who gets the next task. Default: `roundRobin()`. */
  readonly loadBalancer?: LoadBalancer;
  /**
   * How spawned workers are reached, over gRPC by `'unix'` or `'tcp'`, or over a transport such as
   * `natsTransport(...)` of `skein/nats`, or over several in an array: they listen on each, and gRPC is tried
   * first. Workers that are found are reached over gRPC and over these. With `discovery` and no `size` it says
   * no more than that. Default: gRPC, on `tcp` with `host`, or where discovery says on which host workers have
   * to listen; else on `unix`, or on `tcp` on loopback where there are no Unix sockets.
   */
  readonly transport?: TransportGiven | readonly TransportGiven[];
  /** Where spawned workers listen, for `tcp`; beside other transports, too. Default: what discovery says, or 127.0.0.1. */
  readonly host?: string;
  /**
   * Tasks that one worker runs at a time; more of them wait. A task may call routines of its own worker
   * beyond that. Default: no limit.
   */
  readonly concurrency?: number;
  /** Calls that may wait for a worker; more of them fail with `NoWorkersAvailable`. Default: no limit. */
  readonly maxQueue?: number;
  /**
   * How much workers may ask of this program, and callers of the workers that it spawns: sizes, counts and times.
   * Default: those in docs/security.md, with `maxValueBytes`, the largest argument list or result, at 256 MiB.
   */
  readonly limits?: Partial<PeerLimits>;
  /** Whether errors take the worker's stack along, and paths in their texts; false where callers are not trusted. Default: true. */
  readonly exposeStacks?: boolean;
  /**
   * Whether the workers run functions by value (`routine.inline`): code that whoever can call them sends,
   * and not only that of modules that they can import. Default: false.
   */
  readonly allowInline?: boolean;
  /**
   * Whether a call fails, with `ChainSerializationError`, when a value of a context variable can't travel.
   * Otherwise the call goes on without the value, and a process warning says so
   * (`SkeinSerializationWarning`). Default: whether the environment has `SKEIN_CONTEXT=strict`, which
   * each worker looks at, too.
   */
  readonly strict?: boolean;
  /**
   * A routine whose plain function each worker runs before it takes a task, and that returns true to
   * refuse it: the task goes to another worker, or comes again after a pause. Default: none.
   */
  readonly backpressure?: BackpressureRoutine;
  /** How often within `windowMs` a worker that died is replaced. Default: 10 in 60,000 ms. */
  readonly restarts?: { readonly limit?: number; readonly windowMs?: number };
  /**
   * Milliseconds in which a worker must have come up. With `discovery` a call that finds no worker at all
   * for so long fails with `NoWorkersAvailable`; where those that are known can't be reached for a reason on
   * this side, such as a transport that was not given, it fails after 2 s. Default: 30,000.
   */
  readonly startTimeout?: number;
  /**
   * A worker is given up when it gave no sign of life for so many milliseconds: its process is stopped, or
   * the connection is dead. One that is merely busy gives signs of life. At least 1,000; Infinity: never.
   * Default: 10,000.
   */
  readonly lostAfter?: number;
  /**
   * Takes what the workers print, a line at a time (`info` for their standard output, `warn` for standard
   * error, with `{ worker, pid, stream }`), and the pool's own warnings; a logger of pino, say. Default:
   * the lines go to the same stream of this process, each behind the first characters of its worker's
   * uid, and the warnings are process warnings. The pool's steps are logged as `SKEIN_LOG` says.
   */
  readonly logger?: Logger;
  /** XState's inspector: sees all actors of the pool. */
  readonly inspect?: Observer<InspectionEvent> | ((event: InspectionEvent) => void);
}

/** Options of a pool that uses the workers of a durable one. */
export interface ConnectOptions
  extends Omit<
    PoolOptions,
    'size' | 'discovery' | 'extra' | 'transport' | 'host' | 'restarts' | 'authorize'
  > {
  /**
   * What reaches the workers: gRPC, which is always there, and `natsTransport(...)` of `skein/nats`, say, or several
   * in an array. The pool itself is asked over gRPC. Default: gRPC alone.
   */
  readonly transport?: TransportGiven | readonly TransportGiven[];
  /** Where the durable pool answers: a name or an IP address. Default: 127.0.0.1. */
  readonly host?: string;
  /** Default: 7411. */
  readonly port?: number;
}

/** What `routine(hook)` gives for a function that tells who may call, and what. */
export interface AuthorizeRoutine {
  (peer: PeerIdentity, task?: AuthorizedTask): Promise<boolean>;
  readonly local: AuthorizeHook;
}

/** What `routine(hook)` gives for a function that tells of an offered task whether to refuse it. */
export interface BackpressureRoutine {
  (task: OfferedTask): Promise<boolean>;
  readonly local: Backpressure;
}

/** On a busy machine every process is silent for some hundred milliseconds now and then. */
const LEAST_LOST_AFTER_MS = 1_000;

const POOL_OPTIONS = [
  'size',
  'discovery',
  'lease',
  'filter',
  'tags',
  'extra',
  'authkey',
  'credentials',
  'authorize',
  'modules',
  'root',
  'lazy',
  'proxyTtl',
  'loadBalancer',
  'transport',
  'host',
  'concurrency',
  'maxQueue',
  'limits',
  'exposeStacks',
  'allowInline',
  'strict',
  'backpressure',
  'restarts',
  'startTimeout',
  'lostAfter',
  'logger',
  'inspect',
];

/** For workers that are spawned. */
const NOT_FOR_CONNECT = ['authorize', 'size', 'discovery', 'extra', 'restarts', 'proxyTtl'];

/** @throws TypeError when there is one that `connect` does not have, or no transport; `open` checks the others */
export function checkConnectOptions(options: ConnectOptions): void {
  const names = POOL_OPTIONS.filter((name) => !NOT_FOR_CONNECT.includes(name));
  checkNames('WorkerPool.connect(options)', options, ['host', 'port', ...names]);
  takeTransports(options.transport);
}

/** Checks the options, and leaves out those that are undefined, so that they do not hide defaults. */
export function checkOptions(options: PoolOptions): PoolOptions {
  checkNames('WorkerPool.open(options)', options, POOL_OPTIONS);
  const { size, concurrency, maxQueue, limits, startTimeout, restarts, lostAfter } = options;
  const { discovery, lease } = options;
  if (restarts !== undefined) checkNames('restarts', restarts, ['limit', 'windowMs']);
  // Without discovery nobody else would come.
  checkWhole('size', size, discovery === undefined ? 1 : 0);
  checkWhole('lease', lease, 1);
  if (size === Number.POSITIVE_INFINITY) throw new RangeError('size must be finite');
  checkWhole('concurrency', concurrency, 1);
  checkWhole('maxQueue', maxQueue, 0);
  limitsOf(limits);
  checkWhole('restarts.limit', restarts?.limit, 0);
  checkTime('restarts.windowMs', restarts?.windowMs);
  checkTime('startTimeout', startTimeout);
  checkTime('proxyTtl', options.proxyTtl);
  const { filter, host, lazy, extra, authkey } = options;
  if (authkey !== undefined) new Authkey(authkey);
  if (options.credentials !== undefined) checkCredentials(options.credentials);
  if (options.authorize !== undefined) {
    checkAuthorizable(options);
    if (Array.isArray(options.authorize)) checkNamesOf(options.authorize);
    else hookName('authorize', options.authorize);
  }
  if (filter !== undefined && typeof filter !== 'function') {
    throw new TypeError('filter must be a function that takes the metadata of a worker');
  }
  if (host !== undefined && (typeof host !== 'string' || host === '')) {
    throw new TypeError(`host must be the name or address of a host, not ${String(host)}`);
  }
  const { modules, root } = options;
  checkTexts('modules', modules);
  if (root !== undefined && !isFolder(root)) {
    throw new TypeError(`root must be a folder, and ${String(root)} is none`);
  }
  checkMs('lostAfter', lostAfter, LEAST_LOST_AFTER_MS);
  const {
    transport,
    tags,
    loadBalancer,
    inspect,
    exposeStacks,
    allowInline,
    strict,
    backpressure,
  } = options;
  if (backpressure !== undefined) hookName('backpressure', backpressure);
  checkBooleans({ exposeStacks, allowInline, strict, lazy });
  if (inspect !== undefined && typeof inspect !== 'function') {
    if (typeof inspect?.next !== 'function') {
      throw new TypeError('inspect must be a function, or an observer with a method next(event)');
    }
  }
  if (options.logger !== undefined) checkLogger(options.logger);
  const { grpc, others } = takeTransports(transport);
  if (size !== undefined ? size > 0 : discovery === undefined) checkRecipes(others);
  if (host !== undefined && grpc === 'unix') {
    throw new TypeError("host is for transport: 'tcp', and 'unix' was given");
  }
  checkTexts('tags', tags);
  parseMetadata({ address: 'tcp://checked:1', tags, extra });
  if (loadBalancer !== undefined && typeof loadBalancer?.delegate !== 'function') {
    throw new TypeError('loadBalancer must have a method delegate(task, { workers })');
  }
  return given(options);
}

function isFolder(place: unknown): boolean {
  try {
    return statSync(place as string).isDirectory();
  } catch {
    return false;
  }
}

function checkTime(name: string, value: number | undefined): void {
  if (value === undefined || (typeof value === 'number' && value > 0)) return;
  throw new RangeError(`${name} must be a number of milliseconds above 0, not ${String(value)}`);
}
