/**
 * A worker without its surroundings: listens for callers, runs their tasks, and has a proxy for the calls that
 * these make. `host.ts` puts it into a process, and the simulation into one of its own.
 */
import { isDeepStrictEqual } from 'node:util';
import { type AnyActorRef, createActor, type InspectionEvent, type Observer } from 'xstate';
import { Admission } from '../actors/admission.ts';
import { aborted } from '../actors/execution.ts';
import { Finder } from '../actors/finder.ts';
import type { WorkerAddress } from '../actors/peer.ts';
import { PoolProxy } from '../actors/proxy.ts';
import { Session, type SessionPorts } from '../actors/session.ts';
import { defineChart, type EventOf, toLogic } from '../actors/statechart.ts';
import { shortUid } from '../actors/steps.ts';
import { roundRobin } from '../balancing/policies.ts';
import type { ContextHome } from '../context/home.ts';
import type { DiscoveryLike, WorkerAbout } from '../discovery/discovery.ts';
import { parseAbout } from '../discovery/metadata.ts';
import type { Env, Timer } from '../env.ts';
import type { RegisteredRoutine } from '../routine/registry.ts';
import { type ModulePolicy, withoutFiles } from '../routine/whereabouts.ts';
import { Breaches, exceeded } from '../security/breaches.ts';
import { type Limits, turnAway } from '../transport/link.ts';
import { memoryTransport } from '../transport/memory.ts';
import { probe } from '../transport/probe.ts';
import {
  type BaseTransport,
  type Channel,
  type Dialer,
  dialerOf,
  type Listener,
  type ListenerService,
  unserved,
  type WorkerStatus,
} from '../transport/transport.ts';
import { VERSION } from '../transport/version.ts';
import type { Authorizer } from './authorize.ts';
import { asker, type Backpressure } from './backpressure.ts';
import { Place } from './place.ts';
import { ProxyKeeper } from './proxy-keeper.ts';
import { resolver } from './resolve.ts';

export interface WorkerCoreOptions {
  readonly env: Env;
  readonly limits: Limits;
  readonly transports: readonly BaseTransport[];
  /** How workers are called that its pool has found. Default: as the others. */
  readonly foundTransports?: readonly Dialer[] | undefined;
  /** Where it listens. Default: where `start` is told. */
  readonly address?: string;
  readonly tags?: readonly string[];
  /** What it says of itself to callers, beside its tags and its concurrency. Default: no more than these. */
  readonly about?: Omit<WorkerAbout, 'tags' | 'channel'> | undefined;
  /**
   * Tasks that may run at a time; callers go elsewhere or wait with more. Calls that its tasks make to
   * itself always run. Default: no limit.
   */
  readonly concurrency?: number | undefined;
  /**
   * Whether errors that tasks throw, give and yield take their stacks along to the caller, and paths in their texts;
   * false where callers are not trusted. Default: true.
   */
  readonly exposeStacks?: boolean;
  /** How the beats of the pool's other workers are reached. Default: not at all. */
  readonly beats?: readonly Dialer[];
  /**
   * A worker of the pool is given up when it gave no sign of life to the tasks here for so many
   * milliseconds; Infinity: never. Default: 10,000.
   */
  readonly lostAfterMs?: number | undefined;
  /**
   * Whether other workers are looked for, and connected to, only when its tasks make calls. Default: true.
   */
  readonly lazy?: boolean | undefined;
  /**
   * Where it is lazy: when the last call of its tasks ended so many milliseconds ago, it gives up its links
   * to other workers, and looks for none. Default: 60,000; Infinity: never.
   */
  readonly proxyTtlMs?: number | undefined;
  /** Takes what people should know. Default: nobody does. */
  readonly warn?: (message: string) => void;
  /**
   * A caller that was not heard for so many milliseconds is given up, and its tasks are aborted; also one
   * whose event loop was blocked for so long. Default: Infinity, never, since the death of a process
   * that spawned its workers is known.
   */
  readonly callerLostAfterMs?: number | undefined;
  /** What the process knows of tokens of context variables. Default: what this worker knows. */
  readonly home?: ContextHome;
  /** Whether values of context variables that can't travel fail their tasks. Default: false. */
  readonly strictContext?: boolean;
  /**
   * Asked for each task before it is begun; the calls that its own tasks make to itself are taken unasked.
   * Default: all tasks are taken.
   */
  readonly backpressure?: Backpressure | undefined;
  /** Which callers are let in that it knows by certificates, and which of their tasks run. Default: all. */
  readonly authorizer?: Authorizer | undefined;
  /** Whether functions by value run here, code of whoever can call the worker. Default: false. */
  readonly allowInline?: boolean;
  /**
   * Which modules are imported because callers name them, and workers that its tasks call; but no files by
   * their URLs for workers that were found. Default: as for the process.
   */
  readonly modules?: ModulePolicy;
  /** Finds a routine. Default: imports its module, or looks at `allowInline`. */
  readonly resolve?: (
    module: string,
    name: string,
  ) => RegisteredRoutine | Promise<RegisteredRoutine>;
  /** XState's inspector: sees all actors of the worker. */
  readonly inspect?: Observer<InspectionEvent> | ((event: InspectionEvent) => void);
  /** Somebody asks it to stop by the Stop call. Default: it stops, and its process goes on. */
  readonly stop?: (graceMs: number | undefined) => Promise<void>;
}

/** What a worker has in hand, for tests and for people who look why. */
export interface WorkerStats {
  readonly tasks: number;
  /** Callers that are connected, itself included. */
  readonly sessions: number;
  /** Bytes of answers that wait to be sent. */
  readonly heldBytes: number;
}

/** So long tasks that are aborted may tidy up; then they go on without their worker. */
const ABORT_MS = 1_000;

/** Links that are not used cost little, and to make them anew costs a round trip. */
const DEFAULT_PROXY_TTL_MS = 60_000;

/** A worker of the pool, and whether its discovery names it, or the pool itself. */
interface Listed {
  readonly worker: WorkerAddress;
  readonly found: boolean;
}

type WorkerEvent =
  | { type: 'drain'; graceMs: number | undefined }
  | { type: 'expired' }
  /** Tasks that were aborted have not ended in time. */
  | { type: 'forsaken' }
  /** The last session has ended. */
  | { type: 'idle' }
  /** The proxy holds nothing any more. */
  | { type: 'closed' };

/** The root of a worker's actors. */
export const workerChart = defineChart<null, WorkerEvent>({
  id: 'worker',
  initial: 'serving',
  context: () => null,
  states: {
    serving: {
      description: 'takes tasks',
      on: { drain: { target: 'draining', effects: ['drain', 'setTime'] } },
    },
    draining: {
      description: 'takes no more tasks; those in progress go on for the grace time',
      entry: ['checkIdle'],
      on: {
        drain: { effects: ['setTime'] },
        expired: { effects: ['stopAll'] },
        forsaken: { effects: ['forsake'] },
        idle: { target: 'closing' },
      },
    },
    closing: {
      description: 'no task runs; the calls that tasks left behind are given up',
      entry: ['closeProxy'],
      on: { closed: { target: 'stopped' } },
    },
    stopped: { final: true, entry: ['stopped'], description: 'no task runs' },
  },
});

export class WorkerCore {
  readonly uid: string;
  readonly #options: WorkerCoreOptions;
  readonly #actor: AnyActorRef;
  readonly #sessions = new Set<Session>();
  /** Those of the worker's own tasks. */
  readonly #nested = new Set<Session>();
  readonly #proxy: PoolProxy;
  readonly #keeper: ProxyKeeper;
  readonly #memory: BaseTransport;
  readonly #admission = new Admission();
  readonly #breaches: Breaches;
  readonly #declines: SessionPorts['declines'];
  readonly #stopped: Promise<void>;
  #resolveStopped = () => {};
  #listeners: Listener[] = [];
  #roster = new Map<string, Listed>();
  #running = 0;
  readonly #startedAt: number;
  #idleSince: number;
  readonly #about: WorkerAbout;
  #hearsItself = false;
  #draining = false;
  #over = false;
  #grace: Timer | undefined;

  /** @throws TypeError when what it says of itself is wrong */
  constructor(options: WorkerCoreOptions) {
    this.#options = options;
    this.uid = options.env.uid();
    this.#startedAt = options.env.now();
    this.#idleSince = this.#startedAt;
    const { about, tags = [], concurrency: places } = options;
    const concurrency = places === Number.POSITIVE_INFINITY ? undefined : places;
    this.#about = parseAbout({ ...about, tags, channel: { concurrency } });
    this.#memory = memoryTransport(options.env);
    this.#stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
    const { env, inspect, backpressure: hook, warn = () => {} } = options;
    this.#breaches = new Breaches({
      env,
      warn: (message) => warn(`worker ${shortUid(this.uid)}: ${message}`),
    });
    this.#declines = hook && asker({ env, hook, inFlight: () => this.#running });
    this.#actor = createActor(toLogic(workerChart, this.#effects()), {
      id: `worker ${this.uid}`,
      ...(inspect && { inspect }),
    });
    this.#actor.start();
    const { lazy = true, proxyTtlMs: ttlMs = DEFAULT_PROXY_TTL_MS, modules: policy } = options;
    this.#proxy = new PoolProxy(this.#actor, {
      env: options.env,
      limits: options.limits,
      transports: this.#transports,
      foundTransports: options.foundTransports && [
        ...options.foundTransports,
        ...(options.beats ?? []),
      ],
      eager: !lazy,
      modules: ({ hearsay }) => (hearsay ? policy && withoutFiles(policy) : policy),
      breached: (error, worker) => this.#breaches.note(error, worker),
      awaited: () => this.#keeper.awaited(),
      gone: (uid, refusal) => this.#keeper.finder?.gone(uid, refusal),
      failed: (uid, reason) => this.#keeper.finder?.failed(uid, reason),
      answered: (uid) => this.#keeper.finder?.answered(uid),
      policy: roundRobin(),
      maxQueue: Number.POSITIVE_INFINITY,
      ...(options.home && { home: options.home }),
      strictContext: options.strictContext ?? false,
      exposeStacks: options.exposeStacks ?? true,
      ...(options.lostAfterMs !== undefined && { lostAfterMs: options.lostAfterMs }),
    });
    this.#keeper = new ProxyKeeper({ env, proxy: this.#proxy, lazy, ttlMs });
  }

  /**
   * Listens, and gives the address where callers reach it.
   *
   * @throws ListenError when the address can't be used
   */
  async start(address = this.#options.address): Promise<string> {
    if (address === undefined) throw new TypeError('no address to listen on');
    return (await this.listen(address)).address;
  }

  /**
   * Listens at one more address.
   *
   * @throws ListenError when the address can't be used
   */
  async listen(address: string): Promise<Place> {
    const transport = dialerOf(this.#options.transports, address);
    const concurrency = this.#options.concurrency ?? Number.POSITIVE_INFINITY;
    const place = new Place(address, this.#about);
    const listener = await transport.listen(address, this.#service(concurrency, place));
    this.#listeners.push(listener);
    place.address = listener.address;
    await this.#listenToSelf();
    return place;
  }

  async #listenToSelf(): Promise<void> {
    if (this.#hearsItself) return;
    this.#hearsItself = true;
    // A task that waits for a call of its own holds its place meanwhile. That call would wait forever
    // for a place where all are taken so.
    const nested = this.#service(Number.POSITIVE_INFINITY, undefined);
    this.#listeners.push(await this.#memory.listen(this.#selfAddress, nested));
  }

  /** Where the calls of its tasks go: back into the pool that it belongs to. */
  get dispatcher(): PoolProxy {
    return this.#proxy;
  }

  /** Has the calls of its tasks go to the workers that the discovery names, too, and to itself. */
  find(discovery: DiscoveryLike): void {
    const { env, limits, warn = () => {} } = this.#options;
    this.roster([{ uid: this.uid, address: this.#selfAddress, tags: this.#about.tags ?? [] }]);
    this.#keeper.lookWith(
      () =>
        new Finder({
          env,
          discovery,
          send: (event) => {
            this.#proxy.send(event);
            if (event.type === 'added') this.#keeper.found();
          },
          probe: (place) => probe(this.#transports, place, { env, limits }),
          own: (uid) => uid === this.uid,
          unserved: (place) => unserved(this.#transports, place),
          version: VERSION,
          warn,
        }),
    );
  }

  /**
   * The workers of the pool, for nested calls; this one is reached without leaving the process.
   *
   * @param workers those whose end is known: one that is missing has ended
   * @param found those that a discovery names: one that is missing keeps the calls that it has
   */
  roster(workers: readonly WorkerAddress[], found: readonly WorkerAddress[] = []): void {
    const next = new Map<string, Listed>();
    for (const worker of found) next.set(worker.uid, { worker, found: true });
    for (const worker of workers) next.set(worker.uid, { worker, found: false });
    for (const [uid, known] of this.#roster) {
      if (next.has(uid)) continue;
      if (known.found) this.#proxy.send({ type: 'unlisted', uid });
      else this.#proxy.send({ type: 'dropped', uid, message: 'its process ended' });
    }
    for (const [uid, { worker }] of next) {
      const known = this.#roster.get(uid)?.worker;
      // A worker always takes what its own tasks ask of it: they would wait for themselves.
      const own = { uid, tags: worker.tags, address: this.#selfAddress };
      if (known === undefined) {
        this.#proxy.send({ type: 'added', worker: uid === this.uid ? own : worker });
      } else if (uid !== this.uid && !isDeepStrictEqual(known, worker)) {
        this.#proxy.send({ type: 'updated', worker });
      }
    }
    this.#roster = next;
  }

  /**
   * Takes no more tasks, waits for those in progress, and lets go of the address.
   *
   * @param graceMs after so many milliseconds they are aborted; 0 at once, undefined never. Those that go on
   * for a second more are left running, with a warning: what they give goes nowhere
   */
  async stop(graceMs?: number): Promise<void> {
    if (!this.#over) this.#actor.send({ type: 'drain', graceMs });
    await this.#stopped;
    this.#grace?.cancel();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  /** What it says of itself to callers, wherever they connect. */
  get about(): WorkerAbout {
    return this.#about;
  }

  get stats(): WorkerStats {
    let heldBytes = 0;
    for (const session of this.#sessions) heldBytes += session.heldBytes;
    return { tasks: this.#running, sessions: this.#sessions.size, heldBytes };
  }

  get status(): WorkerStatus {
    return {
      uid: this.uid,
      inFlight: this.#running,
      idleMs: this.#running > 0 ? 0 : this.#options.env.now() - this.#idleSince,
      draining: this.#draining,
      uptimeMs: this.#options.env.now() - this.#startedAt,
      about: this.#about,
      breaches: this.#breaches.counts,
    };
  }

  get #transports(): readonly Dialer[] {
    const { transports, beats = [] } = this.#options;
    return [this.#memory, ...transports, ...beats];
  }

  get #selfAddress(): string {
    return `memory://${this.uid}`;
  }

  /**
   * @param concurrency tasks that may run at a time for new ones to be taken
   * @param place where callers reach it; undefined for its own tasks
   */
  #service(concurrency: number, place: Place | undefined): ListenerService {
    const { authorizer } = this.#options;
    return {
      link: (channel) => this.#accept(channel, concurrency, place),
      breached: (error, remote) => this.#breaches.note(error, remote),
      // `stop` itself waits for the listener, and that for the answer to this call.
      stop: (grace) => {
        const { stop = (graceMs) => this.stop(graceMs) } = this.#options;
        return Promise.race([this.#stopped, stop(grace)]);
      },
      status: () => ({ ...this.status, about: place?.about ?? this.#about }),
      ...(place && authorizer && { admits: (peer) => authorizer.admits(peer) }),
    };
  }

  #accept(channel: Channel, concurrency: number, place: Place | undefined): void {
    const nested = place === undefined;
    const { maxLinks } = this.#options.limits;
    if (!nested && this.#sessions.size - this.#nested.size >= maxLinks) {
      return this.#turnAway(channel);
    }
    const { allowInline = false, modules, authorizer } = this.#options;
    const { resolve = resolver(allowInline, modules) } = this.#options;
    const session = new Session(this.#actor, channel, {
      env: this.#options.env,
      limits: this.#options.limits,
      uid: this.uid,
      // Its own tasks know it, and no limit holds for what they call here.
      about: place?.about,
      callerLostAfterMs: this.#options.callerLostAfterMs ?? Number.POSITIVE_INFINITY,
      exposeStacks: this.#options.exposeStacks ?? true,
      dispatcher: this.#proxy,
      resolve,
      modules,
      admission: this.#admission,
      // As with `concurrency`: a task would wait for itself.
      declines: nested ? undefined : this.#declines,
      permits:
        !nested && authorizer?.asksForTasks
          ? (task) => authorizer.permits(channel.peer, task)
          : undefined,
      takePlace: () => this.#takePlace(concurrency),
      freePlace: () => {
        this.#running -= 1;
        if (this.#running === 0) this.#idleSince = this.#options.env.now();
        if (nested) this.#checkIdle();
      },
      lasting: nested,
      breached: (error, remote) => this.#breaches.note(error, remote),
      closed: (ended) => {
        this.#sessions.delete(ended);
        this.#nested.delete(ended);
        this.#checkIdle();
      },
    });
    this.#sessions.add(session);
    if (nested) this.#nested.add(session);
    if (this.#draining && (!nested || this.#isDone())) session.send({ type: 'drain' });
  }

  /** One link too many. */
  #turnAway(channel: Channel): void {
    const { maxLinks } = this.#options.limits;
    const error = exceeded('maxLinks', maxLinks + 1, maxLinks, `${maxLinks + 1} links at a time`);
    this.#breaches.note(error, channel.remote);
    turnAway(channel, error);
  }

  #takePlace(concurrency: number): boolean {
    if (this.#running >= concurrency) return false;
    this.#running += 1;
    return true;
  }

  #checkIdle(): void {
    if (!this.#draining || this.#over) return;
    if (this.#sessions.size === 0) this.#actor.send({ type: 'idle' });
    else if (this.#isDone())
      for (const session of [...this.#nested]) session.send({ type: 'drain' });
  }

  /** Whether no caller from outside is left, and no task of a task. */
  #isDone(): boolean {
    if (this.#sessions.size > this.#nested.size) return false;
    for (const session of this.#nested) if (session.inFlight > 0) return false;
    return true;
  }

  #effects() {
    return {
      drain: () => {
        this.#draining = true;
        for (const session of [...this.#sessions]) {
          // What its own tasks call runs here when no other worker takes it: they must come to an end.
          if (!this.#nested.has(session)) session.send({ type: 'drain' });
        }
      },
      setTime: (_context: null, { graceMs }: EventOf<WorkerEvent, 'drain'>) => {
        if (graceMs === undefined) return;
        this.#grace?.cancel();
        this.#grace = this.#options.env.timer(graceMs, () => this.#actor.send({ type: 'expired' }));
      },
      checkIdle: () => this.#checkIdle(),
      stopAll: () => {
        const error = aborted('the worker stopped');
        for (const session of [...this.#sessions]) session.send({ type: 'stop', error });
        const { env } = this.#options;
        this.#grace?.cancel();
        this.#grace = env.timer(ABORT_MS, () => this.#actor.send({ type: 'forsaken' }));
      },
      forsake: () => {
        const left = this.#running === 1 ? '1 task' : `${this.#running} tasks`;
        const message = `stops, and leaves ${left} running that did not heed the signal`;
        if (this.#running > 0) this.#options.warn?.(`worker ${this.uid.slice(0, 8)} ${message}`);
        for (const session of [...this.#sessions]) session.forsake();
      },
      closeProxy: () => {
        this.#keeper.end();
        this.#proxy.send({ type: 'abort', error: aborted('the worker stopped') });
        void this.#proxy.closed.then(() => this.#actor.send({ type: 'closed' }));
      },
      stopped: () => {
        this.#over = true;
        this.#resolveStopped();
      },
    };
  }
}
