/** `WorkerPool`: what a user opens. */
import { randomBytes } from 'node:crypto';
import { availableParallelism, hostname } from 'node:os';
import { resolve } from 'node:path';
import { type AnyActorRef, createActor } from 'xstate';
import { Finder } from '../actors/finder.ts';
import { type PoolContext, type PoolEvent, poolChart } from '../actors/pool.ts';
import { PoolProxy, type ProxyEvent, type ProxyStats } from '../actors/proxy.ts';
import { type EventOf, toLogic } from '../actors/statechart.ts';
import { inspectorOf } from '../actors/steps.ts';
import { roundRobin } from '../balancing/policies.ts';
import { processHome } from '../context/home.ts';
import { isStrict } from '../context/strictness.ts';
import { ControlClient } from '../control/client.ts';
import { PoolDiscovery } from '../control/discovery.ts';
import type { WorkerMetadata } from '../discovery/discovery.ts';
import { type OwnedDiscovery, takeDiscovery } from '../discovery/given.ts';
import { systemEnv, type Timer } from '../env.ts';
import {
  type AuthenticationError,
  MainModuleError,
  PoolClosed,
  WorkerStartError,
} from '../errors.ts';
import { logLevel, RuntimeLog } from '../logger.ts';
import { type Dispatcher, type DispatchTarget, dispatcherOf } from '../routine/dispatcher.ts';
import { addDispatcher, MAIN_MODULE_ADVICE, removeDispatcher } from '../routine/gate.ts';
import { hookName } from '../routine/hook.ts';
import { isImporting } from '../routine/modules.ts';
import { checkFunction, checkNames } from '../routine/options.ts';
import { deriveScope, runInScope } from '../routine/task.ts';
import { ownPackages, withoutFiles } from '../routine/whereabouts.ts';
import { type AuthkeyGiven, encodeAuthkey } from '../security/authkey.ts';
import { Breaches } from '../security/breaches.ts';
import { limitsOf } from '../security/limits.ts';
import { CredentialSource } from '../security/source.ts';
import { beatTransport } from '../transport/beat.ts';
import { takeTransports } from '../transport/given.ts';
import { grpcTransport } from '../transport/grpc.ts';
import { defaultLimits, type Limits } from '../transport/link.ts';
import { probe } from '../transport/probe.ts';

import { type CloseReason, type Dialer, unserved } from '../transport/transport.ts';
import { VERSION } from '../transport/version.ts';
import { atExit } from '../worker/at-exit.ts';
import { guardAll } from '../worker/beside.ts';
import { foundOnNetwork } from '../worker/options.ts';
import { Children, type ChildrenOptions, type ReplacedWorker } from './children.ts';
import {
  type ConnectOptions,
  checkConnectOptions,
  checkOptions,
  type PoolOptions,
} from './options.ts';
import { checkAuthorizesItself, checkSpawnable } from './own-certificate.ts';
import { OwnTrust } from './own-trust.ts';

/** A worker of a pool. */
export interface PoolWorker {
  readonly uid: string;
  readonly address: string;
  /** Other addresses of it, over other transports: tried in this order where `address` does not connect. */
  readonly alternatives: readonly string[];
  /** Which of its addresses it is connected to at; undefined while it is not. */
  readonly via: string | undefined;
  /** Where its beat listens: a thread that answers for the process, also while a task blocks it. */
  readonly beat: string | undefined;
  /** Its process; undefined when discovery does not tell. */
  readonly pid: number | undefined;
  /** Name of its machine; undefined when discovery does not tell. */
  readonly host: string | undefined;
  readonly tags: readonly string[];
  /** Whether this pool spawned it; if not, it was found. */
  readonly spawned: boolean;
  /** Calls of this pool that it has now. */
  readonly inFlight: number;
  /** It does not answer at present: a task blocks its event loop, or its process is stopped. */
  readonly stalled: boolean;
  /**
   * The link to it was lost, or did not come up, and has not come up since: it may be gone, though discovery
   * names it still. It gets calls only when no other worker can take them; meanwhile it is tried with the calls
   * that would go to it. False for one that was not connected to yet.
   */
  readonly unreachable: boolean;
}

/** What a pool takes from outside when it is opened with `openWith`. */
export interface PoolParts {
  /**
   * Where what listens at `address`, a worker or its beat, is reached by the pool and by the other
   * workers. Default: there.
   */
  readonly reach?: (address: string) => string;
  /**
   * Whether its workers are for other callers, too, though no discovery tells of them. Their tasks may come to an
   * end when the pool closes, within its grace time. Default: only workers that are announced are for others, and
   * tasks are aborted when the pool's own calls are over.
   */
  readonly isForOthers?: boolean;
  /**
   * A spawned worker that ends sooner after it has come up, in milliseconds, counts as one that did not
   * come up: when there are several in a row, the next is started after a pause. Default: 0
   */
  readonly steadyAfterMs?: number;
  /** Told of each spawned worker that ends and is replaced. */
  readonly replacing?: (worker: ReplacedWorker) => void;
  /** Where its workers' standard output goes. Default: to that of this process. */
  readonly output?: 'stderr';
}

/**
 * Opens a pool with other parts than its own: for tests that stand between it and its workers, and for
 * the `skein` command.
 */
export const openWith: unique symbol = Symbol('skein.openWith');

/** The death of this process is known to its workers, and that of other callers is not. */
const CALLER_LOST_AFTER_MS = 30_000;
/** Of the secret that a pool makes for its workers. */
const SECRET_BYTES = 32;
/** So long after it has got idle a pool may still keep the process alive. */
const HOLD_MS = 50;
/** Spawned workers are told of others once in so long. */
const ANNOUNCING_MS = 20;
/** A discovery that has not failed by then may take its time. */
const FIRST_WORD_MS = 250;
/** Whether a discovery ends in peace is waited for only so long. */
const FAREWELL_MS = 2_000;
/** Node's timers fire at once beyond that. */
const LONGEST_TIMER_MS = 0x7fffffff;

type Settings = PoolOptions &
  Required<
    Omit<
      PoolOptions,
      | 'logger'
      | 'inspect'
      | 'concurrency'
      | 'backpressure'
      | 'restarts'
      | 'discovery'
      | 'filter'
      | 'extra'
      | 'authkey'
      | 'credentials'
      | 'authorize'
      | 'root'
      | 'host'
      | 'limits'
      | 'transport'
    >
  >;

/** What was made for a pool before itself. */
interface PoolMeans {
  readonly log: RuntimeLog;
  readonly discovery: OwnedDiscovery | undefined;
  readonly credentials: CredentialSource | undefined;
}

/**
 * Worker processes that run routines.
 *
 * A pool keeps the process alive while it opens or closes, and while somebody waits for a call. A program
 * that has nothing else to do ends, and its workers with it, though the pool was not closed.
 *
 * @example
 * ```ts
 * await using pool = await WorkerPool.open({ size: 4 });
 * console.log(await add(1, 2));
 * ```
 */
export class WorkerPool implements DispatchTarget, AsyncDisposable {
  readonly #options: Settings;
  readonly #log: RuntimeLog;
  readonly #breaches: Breaches;
  readonly #actor: AnyActorRef;
  readonly #proxy: PoolProxy;
  readonly #children: Children;
  readonly #isForOthers: boolean;
  /** What its workers want to be shown, where they are for nobody else; see docs/decisions/026. */
  readonly #secret: Uint8Array | undefined;
  readonly #replacing: PoolParts['replacing'];
  readonly #discovery: OwnedDiscovery | undefined;
  readonly #credentials: CredentialSource | undefined;
  readonly #finder: Finder | undefined;
  readonly #ownTrust: OwnTrust;
  /** Takes back what is left to do when the process ends. */
  readonly #atExit: () => void;
  readonly #opened: Promise<void>;
  readonly #ended: Promise<void>;
  #settleOpened: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #resolveEnded = () => {};
  #failure: unknown;
  #grace: Timer | undefined;
  #graceDue = Number.POSITIVE_INFINITY;
  #closing = false;
  #over = false;
  #busy = true;
  #hold: NodeJS.Timeout | undefined;
  #announcing = false;
  /** When it was told last that workers have come or gone. */
  #announced = Number.NEGATIVE_INFINITY;
  /** Who wants to know that workers have come or gone. */
  readonly #watchers = new Set<() => void>();

  /**
   * Spawns the workers, and resolves when all are up; or finds workers that others have started, and
   * resolves when discovery has answered: calls wait for the first of them. Or both.
   *
   * | options | the pool |
   * | --- | --- |
   * | none | spawns one worker for each CPU |
   * | `size` | spawns as many |
   * | `discovery` | spawns none, and uses those that it finds |
   * | both | spawns workers, which others find too, and uses those that it finds beside |
   *
   * @throws WorkerStartError when one does not come up, or there is no folder for their sockets
   * @throws DiscoveryError, or what else the discovery fails with at once
   * @throws CredentialsError when a provider gives none, or workers that were spawned with them could not be reached
   * @throws MainModuleError when a worker that imports the program's main module comes here
   * @throws RangeError, TypeError when an option is wrong, or `SKEIN_CONTEXT` or `SKEIN_LOG` is
   */
  static async open(options: PoolOptions = {}): Promise<WorkerPool> {
    return await WorkerPool[openWith](options, {});
  }

  /**
   * Uses the workers of a durable pool, which `skein pool up` has started: `open` with a discovery that asks
   * it for them. Closing this pool leaves the other one as it is.
   *
   * @throws PoolUnreachable when nobody answers there, or something that is no pool
   * @throws AuthenticationError when the two sides do not trust each other, by authkeys or certificates
   * @throws CredentialsError when a provider gives none
   * @throws RangeError, TypeError when an option is wrong
   * @example
   * ```ts
   * await using pool = await WorkerPool.connect({ host: 'build-1', authkey });
   * ```
   */
  static async connect(options: ConnectOptions = {}): Promise<WorkerPool> {
    checkConnectOptions(options);
    const { host, port, ...others } = options;
    const { authkey, credentials } = options;
    const place = { host, port, authkey, credentials };
    // So that who has mistaken the place or the key learns of it here.
    await new ControlClient(place).ping();
    const log = new RuntimeLog(options.logger, logLevel(process.env.SKEIN_LOG));
    const warn = (message: string) => log.warn(message, 'SkeinDiscoveryWarning');
    return await WorkerPool.open({
      ...others,
      discovery: () => new PoolDiscovery({ ...place, warn }),
    });
  }

  static async [openWith](options: PoolOptions, parts: PoolParts): Promise<WorkerPool> {
    if (isImporting()) {
      throw new MainModuleError(
        `a worker imported a module that opens a pool: the main program would run again in it. ${MAIN_MODULE_ADVICE}`,
      );
    }
    const checked = checkOptions(options);
    const log = new RuntimeLog(checked.logger, logLevel(process.env.SKEIN_LOG));
    const { credentials: given } = checked;
    const warn = (message: string) => log.warn(message, 'SkeinSecurityWarning');
    const credentials = given && new CredentialSource(given, { warn });
    // Without them the workers begin to start at once.
    if (credentials) await credentials.ready();
    const discovery = checked.discovery && (await takeDiscovery(checked.discovery));
    let pool: WorkerPool;
    try {
      pool = new WorkerPool(checked, parts, { log, discovery, credentials });
    } catch (error) {
      await discovery?.[Symbol.asyncDispose]();
      throw error;
    }
    pool.#keepAlive();
    await pool.#opened;
    await pool.#children.published;
    pool.#busy = false;
    return pool;
  }

  private constructor(
    options: PoolOptions,
    parts: PoolParts,
    { log, discovery, credentials }: PoolMeans,
  ) {
    this.#discovery = discovery;
    this.#credentials = credentials;
    this.#log = log;
    this.#ownTrust = new OwnTrust((message) => log.warn(message, 'SkeinSecurityWarning'));
    this.#breaches = new Breaches({ env: systemEnv, warn: (message) => this.#log.warn(message) });
    this.#options = {
      size: discovery === undefined ? availableParallelism() : 0,
      lease: Number.POSITIVE_INFINITY,
      tags: [],
      modules: [],
      lazy: true,
      proxyTtl: 60_000,
      loadBalancer: roundRobin(),
      maxQueue: Number.POSITIVE_INFINITY,
      exposeStacks: true,
      allowInline: false,
      strict: isStrict(process.env.SKEIN_CONTEXT),
      startTimeout: 30_000,
      lostAfter: 10_000,
      ...options,
    };
    const { size, loadBalancer, maxQueue, restarts, lostAfter, inspect, authkey } = this.#options;
    this.#opened = new Promise((resolve, reject) => {
      this.#settleOpened = { resolve, reject };
    });
    this.#ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    const input = {
      size,
      looking: discovery !== undefined,
      maxRestarts: restarts?.limit ?? 10,
      windowMs: restarts?.windowMs ?? 60_000,
    };
    for (const name of ['lease', 'filter'] as const) {
      if (discovery !== undefined || options[name] === undefined) continue;
      this.#log.warn(`${name} has no effect without discovery: it is for workers that are found`);
    }
    if (size === 0 && options.authorize !== undefined) {
      this.#log.warn('authorize has no effect without size: it is for workers that are spawned');
    }
    const limits: Limits = { ...defaultLimits, ...limitsOf(this.#options.limits) };
    this.#isForOthers = parts.isForOthers ?? false;
    this.#secret = this.#makeSecret();
    // Workers that are found know nothing of the secret.
    const foundTransports = this.#transports(authkey);
    const transports = this.#secret ? this.#transports(this.#secret) : foundTransports;
    this.#replacing = parts.replacing;
    const reach = parts.reach ?? ((address: string) => address);
    this.#children = this.#makeChildren(reach, parts);
    const inspector = inspectorOf(this.#log, inspect);
    this.#actor = createActor(toLogic(poolChart, this.#effects()), {
      id: 'pool',
      input,
      ...(inspector && { inspect: inspector }),
    });
    const root = resolve(this.#options.root ?? '.');
    const foreign = withoutFiles({ root, files: true, folders: ownPackages });
    this.#proxy = new PoolProxy(this.#actor, {
      env: systemEnv,
      limits,
      transports,
      foundTransports,
      policy: loadBalancer,
      maxQueue,
      lostAfterMs: lostAfter,
      home: processHome,
      strictContext: this.#options.strict,
      eager: !this.#options.lazy,
      modules: ({ hearsay }) => (hearsay ? foreign : undefined),
      lost: (uid, why) => this.#children.kill(uid, why),
      breached: (error, worker) => this.#breaches.note(error, worker),
      awaited: () => this.#keepAlive(),
      gone: (uid, refusal) => this.#finder?.gone(uid, refusal),
      failed: (uid, reason) => this.#failed(uid, reason),
      answered: (uid) => {
        this.#ownTrust.forget(uid);
        this.#finder?.answered(uid);
      },
      ...(discovery && { patienceMs: this.#options.startTimeout }),
      hopeless: () => this.#isHopeless,
      why: () => this.#distrust?.message ?? this.#finder?.why ?? '',
      cause: () => this.#finder?.distrust ?? this.#distrust ?? this.#finder?.exceeded,
    });
    this.#finder = discovery && this.#makeFinder(discovery, foundTransports, limits, reach);
    this.#atExit = atExit(() => this.#children.cleanUp());
    this.#actor.start();
  }

  /**
   * How often workers have exceeded each of the limits that this program sets them; those that never were are left
   * out. Those of its workers are told by `workerStatus`.
   */
  get breaches(): Readonly<Record<string, number>> {
    return this.#breaches.counts;
  }

  /** The workers that are up, as far as is known; of those that are found, the ones that the pool uses. */
  get workers(): readonly PoolWorker[] {
    return this.#proxy.workers.map(({ uid, address, tags, inFlight, stalled }) => {
      const child = this.#children.find(uid);
      const found = this.#finder?.metadata(uid);
      return {
        uid,
        address,
        alternatives: child?.alternatives ?? found?.alternatives ?? [],
        via: this.#proxy.via(uid),
        beat: child?.beat ?? found?.beat,
        pid: child?.pid ?? found?.pid,
        host: child ? hostname() : found?.host,
        tags,
        spawned: child !== undefined,
        inFlight,
        stalled,
        unreachable: this.#proxy.isInDoubt(uid),
      };
    });
  }

  /**
   * Calls `listener` after workers have come or gone, once for those that did so within a moment.
   *
   * @returns what ends that
   */
  watch(listener: () => void): () => void {
    checkFunction('pool.watch(listener)', listener);
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  /** What the pool has in hand now, for tests and for people who look why. */
  get stats(): ProxyStats {
    return this.#proxy.stats;
  }

  get [dispatcherOf](): Dispatcher {
    return this.#proxy;
  }

  /** Runs `fn`; calls of routines inside it, also after an await, go to this pool. */
  run<T>(fn: () => T): T {
    checkFunction('pool.run(fn)', fn);
    return runInScope(deriveScope({ dispatcher: this.#proxy }), fn);
  }

  /**
   * Takes no more calls, ends the workers, and resolves when all is over. A step of a generator counts
   * as a call: the next one fails with `PoolClosed`, so that nobody waits for a generator that nobody
   * asks. Closing twice is harmless; a
   * shorter grace time of the second wins.
   *
   * @param options.grace milliseconds that calls in flight may go on before they fail with
   * `PoolClosed` and their tasks are aborted; 0 at once. Default: wait for all of them.
   * @throws RangeError when the grace time is no time
   */
  async close(options: { grace?: number } = {}): Promise<void> {
    checkNames('pool.close(options)', options, ['grace']);
    const { grace } = options;
    if (grace !== undefined && !(typeof grace === 'number' && grace >= 0)) {
      throw new RangeError(
        `grace must be a number of milliseconds, 0 or more, not ${String(grace)}`,
      );
    }
    const graceMs = grace === Number.POSITIVE_INFINITY ? undefined : grace;
    removeDispatcher(this.#proxy);
    this.#closing = true;
    this.#busy = true;
    this.#keepAlive();
    const due = systemEnv.now() + (graceMs ?? Number.POSITIVE_INFINITY);
    if (graceMs !== undefined && due < this.#graceDue) {
      this.#graceDue = due;
      this.#grace?.cancel();
      const ms = Math.min(graceMs, LONGEST_TIMER_MS);
      this.#grace = systemEnv.timer(ms, () => this.#send({ type: 'expired' }));
    }
    this.#send({ type: 'close', graceMs });
    await this.#ended;
  }

  /** Closes, and waits for all calls. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Holds the process until nobody waits for the pool any more. That is looked at from time to time,
   * since one call after the other would change it more often than that is worth.
   */
  #keepAlive(): void {
    if (this.#over) return;
    this.#hold ??= setInterval(() => {
      if (!this.#busy && !this.#proxy.checkAwaited()) this.#letGo();
    }, HOLD_MS);
  }

  #letGo(): void {
    clearInterval(this.#hold);
    this.#hold = undefined;
  }

  #send(event: PoolEvent): void {
    if (!this.#over) this.#actor.send(event);
  }

  #effects() {
    return {
      spawnAll: ({ size }: PoolContext) => {
        addDispatcher(this.#proxy);
        for (let i = 0; i < size; i += 1) this.#children.spawn();
        this.#find();
      },
      report: (_context: PoolContext, { slot, why }: EventOf<PoolEvent, 'exited'>) => {
        const worker = this.#children.worker(slot)?.uid;
        this.#log.write('info', { worker }, `a worker has ended (${why}), and is replaced`);
        this.#replacing?.(this.#children.replaced(slot, why));
      },
      respawn: (_context: PoolContext, { slot }: EventOf<PoolEvent, 'exited' | 'leaving'>) =>
        this.#children.respawn(slot),
      use: (_context: PoolContext, { slot }: EventOf<PoolEvent, 'started'>) => {
        const worker = this.#children.worker(slot);
        if (worker) this.#proxy.send({ type: 'added', worker });
        this.#announce();
      },
      drop: (_context: PoolContext, { slot, why }: EventOf<PoolEvent, 'exited'>) => {
        const worker = this.#children.worker(slot);
        this.#children.forget(slot);
        if (worker) {
          this.#ownTrust.forget(worker.uid);
          this.#proxy.send({ type: 'dropped', uid: worker.uid, message: why });
        }
        this.#announce();
        if (this.#children.size > 0) return;
        if (this.#closing) this.#desert(why);
        this.#send({ type: 'stopped' });
      },
      opened: () => this.#settleOpened?.resolve(),
      giveUp: (context: PoolContext, { why }: EventOf<PoolEvent, 'exited'>) =>
        this.#giveUp(context, why),
      drain: () => {
        this.#proxy.send({ type: 'drain' });
        void this.#proxy.closed.then(() => this.#send({ type: 'drained' }));
      },
      fail: (_context: PoolContext, { error }: EventOf<PoolEvent, 'unfindable'>) => {
        this.#failure = error;
        this.#proxy.send({ type: 'abort', error });
      },
      abort: ({ why }: PoolContext) => {
        this.#failure ??=
          why === '' ? undefined : new WorkerStartError(`a worker did not start: ${why}`);
        const closed = new PoolClosed('the pool was closed before the call could end');
        this.#proxy.send({ type: 'abort', error: this.#failure ?? closed });
      },
      stopAll: ({ graceMs }: PoolContext) => {
        this.#finder?.stop();
        this.#children.stop(this.#isForOthers ? graceMs : 0);
        if (this.#children.size === 0) this.#send({ type: 'stopped' });
      },
      closed: () => this.#end(),
    };
  }

  /** None where the user's authkey does the same, or others shall find the workers. */
  #makeSecret(): Uint8Array | undefined {
    const { size, authkey } = this.#options;
    const isOpen = this.#isForOthers || this.#discovery?.discovery.publisher !== undefined;
    return size === 0 || isOpen || authkey !== undefined ? undefined : randomBytes(SECRET_BYTES);
  }

  #transports(authkey: AuthkeyGiven | undefined): readonly Dialer[] {
    const { others } = takeTransports(this.#options.transport);
    // Those given come before the beats of gRPC: they may have a way of their own to these.
    const credentials = this.#credentials;
    const limits = limitsOf(this.#options.limits);
    const grpc = grpcTransport({ authkey, credentials, limits });
    return [grpc, ...guardAll(others, authkey), beatTransport({ credentials })];
  }

  #makeChildren(
    reach: (address: string) => string,
    { output, steadyAfterMs = 0 }: PoolParts,
  ): Children {
    const {
      size,
      tags,
      extra,
      concurrency,
      limits,
      exposeStacks,
      allowInline,
      strict,
      backpressure,
      startTimeout,
      lostAfter,
      authkey,
      authorize,
      modules,
      root,
      lazy,
      proxyTtl,
      transport,
    } = this.#options;
    const publisher = this.#discovery?.discovery.publisher;
    const isShared = publisher !== undefined || root !== undefined;
    const listen = listenOf(this.#options, publisher?.bindHost);
    const isSecure = size > 0 && this.#credentials !== undefined;
    if (isSecure) {
      const { material } = this.#credentials;
      if (listen) checkSpawnable(material, listen);
      checkAuthorizesItself(material, authorize);
    }
    return new Children({
      setup: {
        tags,
        concurrency,
        limits: limitsOf(limits),
        exposeStacks,
        allowInline,
        strict,
        backpressure: backpressure && hookName('backpressure', backpressure),
        authorize: typeof authorize === 'function' ? hookName('authorize', authorize) : authorize,
        modules,
        root: resolve(root ?? '.'),
        files: !isShared,
        lazy,
        // Infinity does not pass as JSON.
        proxyTtlMs: Number.isFinite(proxyTtl) ? proxyTtl : undefined,
        lostAfterMs: lostAfter,
        authkey: authkey === undefined ? undefined : encodeAuthkey(authkey),
        callerLostAfterMs: isShared ? CALLER_LOST_AFTER_MS : undefined,
        extra,
        transports: takeTransports(transport).others.flatMap(({ recipe }) => recipe ?? []),
      },
      secret: this.#secret,
      credentials: isSecure ? this.#credentials : undefined,
      startTimeoutMs: startTimeout,
      listen,
      reach,
      publisher,
      started: (slot) => this.#send({ type: 'started', slot }),
      leaving: (slot) => this.#send({ type: 'leaving', slot }),
      exited: (slot, why) => this.#send({ type: 'exited', slot, why, at: systemEnv.now() }),
      steadyAfterMs,
      log: this.#log,
      output,
    });
  }

  #failed(uid: string, reason: CloseReason): void {
    const own = this.#children.workers.find((worker) => worker.uid === uid);
    if (own === undefined) return this.#finder?.failed(uid, reason);
    this.#ownTrust.failed(own, reason);
    if (this.#isHopeless) this.#proxy.despair();
  }

  /** Why none of the spawned workers can be reached, if that is for a lack of trust. */
  get #distrust(): AuthenticationError | undefined {
    return this.#ownTrust.distrustOf(this.#children.workers.map(({ uid }) => uid));
  }

  /** Whether no worker can be reached for reasons that do not go by themselves. */
  get #isHopeless(): boolean {
    const isFoundHopeless = this.#finder?.isHopeless;
    // Those that were spawned and have died come again.
    if (this.#options.size === 0) return isFoundHopeless === true;
    if (this.#distrust === undefined) return false;
    return isFoundHopeless !== false || this.#finder?.workers.length === 0;
  }

  #makeFinder(
    { discovery }: OwnedDiscovery,
    transports: readonly Dialer[],
    limits: Limits,
    reach: (address: string) => string,
  ): Finder {
    const { tags, filter, lease } = this.#options;
    const accept = (worker: WorkerMetadata) =>
      tags.every((tag) => worker.tags?.includes(tag)) && (filter === undefined || filter(worker));
    return new Finder({
      env: systemEnv,
      discovery,
      send: (event) => this.#found(event, reach),
      probe: async ({ address, alternatives }) => {
        const place = { address: reach(address), alternatives: alternatives?.map(reach) };
        return await probe(transports, place, { env: systemEnv, limits });
      },
      accept,
      lease,
      secure: this.#credentials !== undefined,
      own: (uid) => this.#children.find(uid) !== undefined,
      unserved: ({ address, alternatives }) =>
        unserved(transports, { address: reach(address), alternatives: alternatives?.map(reach) }),
      despair: () => this.#proxy.despair(),
      version: VERSION,
      warn: (message) => this.#log.warn(message),
    });
  }

  #find(): void {
    const finder = this.#finder;
    if (finder === undefined) return;
    finder.start();
    // Where there are no workers yet, a discovery has nothing to say.
    const timer = systemEnv.timer(FIRST_WORD_MS, () => this.#send({ type: 'found' }));
    finder.began
      .then(
        () => this.#send({ type: 'found' }),
        (error: unknown) => this.#send({ type: 'unfindable', error }),
      )
      .finally(() => timer.cancel());
  }

  #found(event: ProxyEvent, reach: (address: string) => string): void {
    if ('worker' in event) {
      const { worker } = event;
      const beat = worker.beat === undefined ? undefined : reach(worker.beat);
      const alternatives = worker.alternatives?.map(reach);
      const places = {
        address: reach(worker.address),
        ...(alternatives && { alternatives }),
        beat,
      };
      this.#proxy.send({ ...event, worker: { ...worker, ...places } });
    } else this.#proxy.send(event);
    this.#announce();
  }

  /** Tells the spawned workers of all workers, for nested calls, and who watches: seldom, when many come or go. */
  #announce(): void {
    if (this.#announcing) return;
    this.#announcing = true;
    const tell = () => {
      this.#announcing = false;
      this.#announced = performance.now();
      for (const watcher of [...this.#watchers]) watcher();
      this.#children.announce(this.#finder?.taken ?? []);
    };
    const ms = this.#announced + ANNOUNCING_MS - performance.now();
    if (ms > 0) setTimeout(tell, ms).unref();
    else setImmediate(tell);
  }

  /** The last worker has died while the pool waits for its calls: those without a worker get none. */
  #desert(why: string): void {
    if (this.#finder) return;
    const message = `the pool was closed, and its last worker has ended before the call: ${why}`;
    this.#proxy.send({ type: 'deserted', error: new PoolClosed(message) });
  }

  #giveUp({ maxRestarts, windowMs }: PoolContext, why: string): void {
    const left = this.#children.size;
    const message =
      `a worker is not replaced: more than ${maxRestarts} have died within ${windowMs} ms (see restarts), ` +
      `the last because ${why}. ${left} are left`;
    this.#log.warn(message);
    if (this.#finder) return;
    const failure = new WorkerStartError(message);
    this.#failure = failure;
    if (left === 0) this.#proxy.send({ type: 'deserted', error: failure });
  }

  #end(): void {
    this.#over = true;
    removeDispatcher(this.#proxy);
    this.#grace?.cancel();
    const closed = new PoolClosed('the pool was closed before it was open');
    void Promise.all([this.#takeLeave(), this.#children.flushed()]).then(() => {
      this.#letGo();
      this.#atExit();
      this.#children.cleanUp();
      this.#ownTrust.end();
      this.#settleOpened?.reject(this.#failure ?? closed);
      this.#resolveEnded();
    });
  }

  /** Its workers are taken back, and the discovery ends if it is the pool's own. */
  async #takeLeave(): Promise<void> {
    if (this.#discovery === undefined) return;
    const leave = this.#children.published.then(() => this.#discovery?.[Symbol.asyncDispose]());
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = systemEnv.timer(FAREWELL_MS, () => {
        this.#log.warn(`the discovery did not end within ${FAREWELL_MS} ms of the pool's end`);
        resolve();
      });
    });
    const failed = (error: unknown) =>
      this.#log.warn(`the discovery did not end well: ${String(error)}`);
    await Promise.race([leave.catch(failed), late]);
    timer?.cancel();
  }
}

/** @throws TypeError when the workers can't listen where discovery says that they have to */
function listenOf(options: PoolOptions, bindHost: string | undefined): ChildrenOptions['listen'] {
  const { host, size = 0 } = options;
  const { grpc, others } = takeTransports(options.transport);
  const isNone = grpc === undefined && others.length > 0 && host === undefined;
  if (bindHost !== undefined && (grpc === 'unix' || (isNone && size > 0))) {
    throw new TypeError(foundOnNetwork(grpc));
  }
  if (isNone) return undefined;
  if (grpc === 'unix') return { unix: true };
  if (host !== undefined || bindHost !== undefined) return { host: host ?? bindHost ?? '' };
  const unix = grpc === undefined && process.platform !== 'win32';
  return unix ? { unix: true } : { host: '127.0.0.1' };
}
