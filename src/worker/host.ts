/** `Worker`: a worker as part of any program. */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspectorOf, shortUid } from '../actors/steps.ts';
import { processHome } from '../context/home.ts';
import { isStrict } from '../context/strictness.ts';
import type { AnnouncedWorker, DiscoveryPublisher } from '../discovery/discovery.ts';
import { type OwnedDiscovery, takeDiscovery } from '../discovery/given.ts';
import { parseAnnounced } from '../discovery/metadata.ts';
import { systemEnv } from '../env.ts';
import { CredentialsError, MainModuleError, WorkerStartError } from '../errors.ts';
import { logLevel, RuntimeLog } from '../logger.ts';
import { MAIN_MODULE_ADVICE, setHomeDispatcher } from '../routine/gate.ts';
import { isImporting, loadLocal } from '../routine/modules.ts';
import { type ModulePolicy, setModulePolicy } from '../routine/whereabouts.ts';
import { limitsOf, type PeerLimits } from '../security/limits.ts';
import { dateProblem, ownNameProblem } from '../security/own-certificate.ts';
import { CredentialSource } from '../security/source.ts';
import { type Address, formatAddress, parseAddress } from '../transport/address.ts';
import { beatTransport, toBeatAddress } from '../transport/beat.ts';
import { takeTransports } from '../transport/given.ts';
import { grpcTransport } from '../transport/grpc.ts';
import { defaultLimits } from '../transport/link.ts';
import { reportOf, type WorkerStatusReport } from '../transport/status.ts';
import type { Transport } from '../transport/transport.ts';
import { VERSION } from '../transport/version.ts';
import { Authorizer } from './authorize.ts';
import { type Beat, startBeat } from './beat.ts';
import { guardAll, listenBeside } from './beside.ts';
import { WorkerCore } from './core.ts';
import {
  authorizeOf,
  beatBeside,
  checkWorkerOptions,
  foundOnNetwork,
  graceOf,
  grpcOf,
  hookOf,
  NOT_MUTUAL,
  type WorkerOptions,
} from './options.ts';
import type { Place } from './place.ts';
import { isWildcard, reachable } from './reach.ts';
import { type OwnSocket, ownSocket } from './sockets.ts';

/** What a worker takes from the entry of a process that is its own. */
export interface WorkerParts {
  /**
   * Whether the process is there for the worker alone: a Stop may end it where the worker, which a task
   * blocks, can't end by itself; calls from outside of any task go where those of tasks go; and no code of
   * the process imports modules for others that the worker would not. Default: false.
   */
  readonly ownProcess?: boolean;
}

/** So long the end of a worker waits for its discovery, or for a start that does not come to an end. */
const FAREWELL_MS = 2_000;

/**
 * A worker: listens for pools, and runs what they call. It belongs to the program that makes it, and leaves
 * the rest of that alone. It keeps the process alive from its start until it has stopped.
 *
 * Whoever reaches its address can run the routines of the modules that it loads: have it listen where only
 * those can connect who may.
 *
 * @example
 * ```ts
 * await using worker = new Worker({ discovery: new LocalDiscovery('my-app'), tags: ['gpu'] });
 * console.log(await worker.start());
 * await worker.stopped;
 * ```
 */
export class Worker implements AsyncDisposable {
  readonly #options: WorkerOptions;
  readonly #limits: PeerLimits;
  readonly #parts: WorkerParts;
  readonly #core: WorkerCore;
  readonly #log: RuntimeLog;
  readonly #policy: ModulePolicy;
  readonly #credentials: CredentialSource | undefined;
  /** Whether it listens for gRPC, by TLS and nothing else. */
  readonly #isSecure: boolean;
  /** Beside gRPC. */
  readonly #transports: readonly Transport[];
  readonly #stopped: Promise<void>;
  #resolveStopped = () => {};
  #starting: Promise<string> | undefined;
  #stopping: Promise<void> | undefined;
  #discovery: OwnedDiscovery | undefined;
  #beat: Beat | undefined;
  #socket: OwnSocket | undefined;
  /** The first of those at which it is reached. */
  #place: Place | undefined;
  #metadata: AnnouncedWorker | undefined;
  /** What discovery was told. */
  #announced: AnnouncedWorker | undefined;

  /** @throws RangeError, TypeError when an option is wrong, or `SKEIN_CONTEXT` or `SKEIN_LOG` is */
  constructor(options: WorkerOptions = {}, parts: WorkerParts = {}) {
    this.#options = checkWorkerOptions(options);
    this.#limits = limitsOf(this.#options.limits);
    this.#parts = parts;
    this.#stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
    const { tags = [], extra, inspect, backpressure, exposeStacks } = this.#options;
    const { authkey, credentials: given, transport } = this.#options;
    this.#transports = guardAll(takeTransports(transport).others, authkey);
    this.#log = new RuntimeLog(this.#options.logger, logLevel(process.env.SKEIN_LOG));
    const warn = (message: string) => this.#log.warn(message, 'SkeinSecurityWarning');
    const credentials = given && new CredentialSource(given, { warn });
    this.#credentials = credentials;
    this.#isSecure = given !== undefined && grpcOf(this.#options) !== undefined;
    const authorize = authorizeOf(this.#options);
    const who = { host: hostname() || 'localhost', pid: process.pid, version: VERSION };
    const inspector = inspectorOf(this.#log, inspect);
    this.#policy = { root: resolve(this.#options.root ?? '.'), files: false };
    if (parts.ownProcess) setModulePolicy(this.#policy);
    this.#core = new WorkerCore({
      modules: this.#policy,
      env: systemEnv,
      limits: { ...defaultLimits, ...this.#limits },
      transports: [
        grpcTransport({ authkey, credentials, warn, limits: this.#limits }),
        ...this.#transports,
      ],
      beats: [beatTransport({ credentials })],
      tags,
      about: { ...who, extra, secure: this.#isSecure },
      concurrency: this.#options.concurrency,
      exposeStacks: exposeStacks ?? true,
      allowInline: this.#options.allowInline ?? false,
      authorizer: authorize && new Authorizer(authorize, { env: systemEnv, warn }),
      home: processHome,
      strictContext: this.#options.strict ?? isStrict(process.env.SKEIN_CONTEXT),
      backpressure: backpressure && hookOf(backpressure),
      lostAfterMs: this.#options.lostAfter,
      callerLostAfterMs: this.#options.callerLostAfter ?? 30_000,
      lazy: this.#options.lazy,
      proxyTtlMs: this.#options.proxyTtl,
      warn: (message) => this.#log.warn(message),
      ...(inspector && { inspect: inspector }),
      stop: (graceMs) => this.stop(graceMs ?? Number.POSITIVE_INFINITY),
    });
  }

  /** New with every worker. */
  get uid(): string {
    return this.#core.uid;
  }

  /** Where others reach it, first of all; undefined before it has started. */
  get address(): string | undefined {
    return this.#metadata?.address;
  }

  /** What discovery tells of it; undefined before it has started. */
  get metadata(): AnnouncedWorker | undefined {
    return this.#metadata;
  }

  /** How it is, as `workerStatus` tells it from outside. */
  get status(): WorkerStatusReport {
    const { about } = this.#place ?? this.#core;
    return reportOf({ ...this.#core.status, about }, this.address);
  }

  /** How often its peers have exceeded each of its limits; those that never were are left out. */
  get breaches(): Readonly<Record<string, number>> {
    return this.#core.status.breaches ?? {};
  }

  /** Resolves when it has stopped: by `stop`, or since somebody asked it by `stopWorker`. */
  get stopped(): Promise<void> {
    return this.#stopped;
  }

  /**
   * Listens, and then announces the worker.
   *
   * @returns where others reach it
   * @throws ListenError when the address can't be used
   * @throws CredentialsError when a provider gives none, or the certificate is not valid now
   * @throws WorkerStartError when one of its modules does not load, or it was stopped before
   * @throws MainModuleError when a worker that imports the program's main module comes here
   * @throws DiscoveryError, or whatever the discovery fails with, when it can't be announced
   */
  start(): Promise<string> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /**
   * Takes no more tasks, and resolves when those in progress have ended and the address is free. Stopping
   * twice is harmless; the grace time of the last one holds.
   *
   * @param options milliseconds after which tasks are aborted, or `{ grace }`; 0 at once. Those that go on for
   * a second more are not waited for: a warning counts them, and what they give goes nowhere. Default: wait for
   * all of them.
   * @throws RangeError when the grace time is no time
   */
  async stop(options: number | { readonly grace?: number } = {}): Promise<void> {
    const graceMs = graceOf(options);
    if (this.#stopping === undefined) this.#stopping = this.#stop(graceMs);
    else if (graceMs !== undefined) void this.#core.stop(graceMs);
    await this.#stopping;
  }

  /** Stops it, and waits for the tasks in progress. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #start(): Promise<string> {
    if (isImporting()) {
      throw new MainModuleError(
        `a worker imported a module that starts a worker: the main program would run again in it. ${MAIN_MODULE_ADVICE}`,
      );
    }
    this.#checkWanted();
    try {
      await this.#checkCredentials();
      const { discovery: given } = this.#options;
      if (given !== undefined) this.#discovery = await takeDiscovery(given);
      await this.#loadModules();
      this.#checkWanted();
      const publisher = this.#discovery?.discovery.publisher;
      const places = await this.#listen(publisher);
      const real = (places[0] as Place).address;
      this.#metadata = this.#describe(places);
      if (this.#discovery) this.#core.find(this.#discovery.discovery);
      else this.#core.roster([{ uid: this.uid, address: real, tags: this.#core.about.tags ?? [] }]);
      if (this.#parts.ownProcess) setHomeDispatcher(this.#core.dispatcher);
      if (publisher) await this.#announce(publisher, real);
      return this.#metadata.address;
    } catch (error) {
      // It may have been stopped when it was announced.
      await this.#withdraw();
      await this.#core.stop(0);
      await this.#end();
      throw error;
    }
  }

  /** @throws CredentialsError when nobody would take what it shows */
  async #checkCredentials(): Promise<void> {
    await this.#credentials?.ready();
    if (this.#credentials === undefined || !this.#isSecure) return;
    const { material } = this.#credentials;
    if (material.cert === undefined) {
      throw new CredentialsError(
        'cert and key are missing: a worker shows a certificate, also where mutual is false',
      );
    }
    if (this.#options.authorize !== undefined && !material.mutual) throw new TypeError(NOT_MUTUAL);
    const problem = dateProblem(material);
    if (problem) throw new CredentialsError(`the worker does not start: ${problem.message}`);
    const { identity } = material;
    const other = identity === undefined ? undefined : ownNameProblem(material, identity);
    if (other === undefined) return;
    // Those that its tasks call may have another name than itself, though that is seldom meant.
    const message = `callers that look for ${identity}, as this worker does in others, leave it out: ${other.message}`;
    this.#log.warn(`worker ${shortUid(this.uid)}: ${message}`, 'SkeinSecurityWarning');
  }

  /** @throws WorkerStartError when it was stopped meanwhile */
  #checkWanted(): void {
    if (this.#stopping) throw new WorkerStartError('the worker was stopped before it had started');
  }

  async #loadModules(): Promise<void> {
    for (const module of this.#options.modules ?? []) {
      try {
        await loadLocal(module, this.#policy);
      } catch (cause) {
        if (cause instanceof MainModuleError) throw cause;
        throw new WorkerStartError(`the module '${module}' does not load: ${cause}`, { cause });
      }
    }
  }

  /** Where it is reached then, gRPC first. */
  async #listen(publisher: DiscoveryPublisher | undefined): Promise<readonly Place[]> {
    const grpc = this.#grpcPlace(publisher);
    // Whose addresses it chooses itself: nobody knows them before its beats answer.
    const { places, also } = await listenBeside(this.#core, this.#transports);
    this.#checkWanted();
    const { ownProcess = false } = this.#parts;
    if (grpc || also.length > 0) {
      this.#beat = await startBeat(grpc?.beat, {
        mayKill: ownProcess,
        also,
        credentials: this.#credentials,
      });
      this.#checkWanted();
    }
    if (grpc === undefined) {
      this.#place = places[0];
      return places;
    }
    const place = await this.#core.listen(grpc.address);
    // Who reaches the worker on one of its networks reaches the beat on the same.
    place.beat = this.#beat?.address;
    this.#checkWanted();
    this.#place = place;
    return [place, ...places];
  }

  /**
   * Where it listens for gRPC, and where its beat does; undefined when it does not.
   *
   * @throws TypeError when those who find it could not reach it there
   */
  #grpcPlace(
    publisher: DiscoveryPublisher | undefined,
  ): { address: string; beat: string } | undefined {
    const grpc = grpcOf(this.#options);
    const { port = 0, beatPort = 0 } = this.#options;
    const { host = publisher?.bindHost ?? '127.0.0.1' } = this.#options;
    if (publisher?.bindHost !== undefined && (grpc === undefined || grpc === 'unix')) {
      throw new TypeError(foundOnNetwork(grpc));
    }
    if (grpc === undefined) return undefined;
    const isSocket = grpc === 'unix' && this.#options.address === undefined;
    if (isSocket || (grpc === 'any' && publisher && this.#mayBeSocket(publisher))) {
      this.#socket = ownSocket();
    }
    const { address = this.#socket?.address } = this.#options;
    if (address?.startsWith('unix:')) return { address, beat: toBeatAddress(beatBeside(address)) };
    const place = parseAddress(address ?? formatAddress({ scheme: 'tcp', host, port }));
    return {
      address: formatAddress(place),
      beat: toBeatAddress(formatAddress({ ...place, port: beatPort } as Address)),
    };
  }

  /** A port of this machine would be open to all its users, and those who find the worker need none. */
  #mayBeSocket({ bindHost }: DiscoveryPublisher): boolean {
    const { address, host, port, beatPort } = this.#options;
    if (process.platform === 'win32' || bindHost !== undefined) return false;
    return [address, host, port, beatPort].every((place) => place === undefined);
  }

  #describe(places: readonly Place[]): AnnouncedWorker {
    const { uid } = this.#core;
    const { maxValueBytes } = this.#limits;
    const [{ address, about }, ...more] = places as [Place, ...Place[]];
    const beat = about.beat && reachable(about.beat);
    return parseAnnounced({
      ...about,
      beat,
      uid,
      address: reachable(address),
      alternatives: more.map((place) => place.address),
      channel: { ...about.channel, maxValueBytes },
    });
  }

  /** @param real where it listens */
  async #announce(publisher: DiscoveryPublisher, real: string): Promise<void> {
    const { bindHost = '' } = publisher;
    const metadata = this.#metadata as AnnouncedWorker;
    // A publisher that has workers listen on a wildcard knows best how each of its networks reaches them.
    this.#announced = isWildcard(bindHost) ? { ...metadata, address: real } : metadata;
    await Promise.race([publisher.publish('worker-added', this.#announced), this.#stopped]);
    this.#checkWanted();
  }

  async #stop(graceMs: number | undefined): Promise<void> {
    const began = systemEnv.now();
    await atMost(FAREWELL_MS, () => this.#starting);
    await this.#withdraw();
    const left = graceMs && Math.max(0, began + graceMs - systemEnv.now());
    await this.#core.stop(left);
    await this.#end();
  }

  /** Discovery is told first, so that new calls go elsewhere. One that is not there holds nothing up. */
  async #withdraw(): Promise<void> {
    const announced = this.#announced;
    this.#announced = undefined;
    const publisher = this.#discovery?.discovery.publisher;
    if (announced === undefined || publisher === undefined) return;
    const failure = await atMost(FAREWELL_MS, () => publisher.publish('worker-dropped', announced));
    if (failure) this.#warn("can't be taken back", failure);
  }

  /** Gives back what it has taken. */
  async #end(): Promise<void> {
    const [beat, discovery] = [this.#beat, this.#discovery];
    this.#beat = undefined;
    this.#discovery = undefined;
    await beat?.close();
    this.#socket?.remove();
    const failure = await atMost(FAREWELL_MS, () => discovery?.[Symbol.asyncDispose]());
    if (failure) this.#warn('has a discovery that does not end', failure);
    this.#resolveStopped();
  }

  #warn(what: string, { error }: Failure): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#log.warn(`worker ${shortUid(this.uid)} ${what}: ${why}`);
  }
}

interface Failure {
  readonly error: unknown;
}

/** Waits for what `run` begins, but not for ever. Resolves to why it did not come to an end, if it did not. */
async function atMost(ms: number, run: () => unknown): Promise<Failure | undefined> {
  const enough = new AbortController();
  const late = async () => {
    await sleep(ms, undefined, { signal: enough.signal });
    return { error: new Error(`it takes longer than ${ms} ms`) };
  };
  const done = (async () => {
    try {
      await run();
      return undefined;
    } catch (error) {
      return { error };
    }
  })();
  try {
    return await Promise.race([done, late()]);
  } finally {
    enough.abort();
  }
}
