/** Workers and callers as simulated processes, and what they are told of each other. */
import { type AnyActorRef, createActor, fromCallback } from 'xstate';
import type { WorkerAddress } from '../actors/peer.ts';
import { PoolProxy, type ProxyEvent } from '../actors/proxy.ts';
import { roundRobin } from '../balancing/policies.ts';
import { RoutineNotFound } from '../errors.ts';
import { type Dispatcher, type DispatchTarget, dispatcherOf } from '../routine/dispatcher.ts';
import { lookup, type RegisteredRoutine } from '../routine/registry.ts';
import { newScope, runInScope } from '../routine/task.ts';
import type { Limits } from '../transport/link.ts';
import type { Backpressure } from '../worker/backpressure.ts';
import { WorkerCore } from '../worker/core.ts';
import { isInline, resolveInline } from '../worker/inline.ts';
import type { Clock } from './clock.ts';
import type { Network } from './network.ts';
import type { Observer } from './observer.ts';
import { SimulatedProcess, type World } from './process.ts';
import type { Random } from './random.ts';
import type { ClusterPlan } from './scenario.ts';

/** What a frame has beside the value in it, at most. */
const FRAME_BYTES = 1024;
/** A worker waits so many times longer for a caller, which nobody answers for, than callers do for it. */
const CALLER_PATIENCE = 5;

export interface ClusterOptions {
  readonly plan: ClusterPlan &
    Required<Pick<ClusterPlan, 'discoveryMs' | 'lostAfterMs' | 'allowInline'>>;
  readonly backpressure: Backpressure | undefined;
  readonly limits: Limits;
  readonly world: World;
  readonly network: Network;
  readonly observer: Observer;
  readonly random: Random;
}

/** A simulated worker: one process after the other at the same address. */
export class WorkerHost {
  readonly #cluster: Cluster;
  readonly #index: number;
  #processes = 0;
  #process: SimulatedProcess | undefined;
  #worker: WorkerCore | undefined;
  /** Those who wait for its end. */
  readonly #mourners: (() => void)[] = [];
  /** The most at a time: answers that nobody reads must not pile up. */
  #heldBytes = 0;

  constructor(cluster: Cluster, index: number) {
    this.#cluster = cluster;
    this.#index = index;
  }

  /** The process that runs now, if one does. */
  get process(): SimulatedProcess | undefined {
    return this.#process?.isDead ? undefined : this.#process;
  }

  get worker(): WorkerCore | undefined {
    return this.process && this.#worker;
  }

  /** As discovery names it now. */
  get listed(): WorkerAddress | undefined {
    const uid = this.worker?.uid;
    return uid === undefined ? undefined : this.#cluster.listing(uid);
  }

  get address(): string {
    return `sim://worker-${this.#index + 1}`;
  }

  /** A new process comes up, unless one runs. */
  start(): void {
    if (this.process) return;
    const { plan, backpressure, limits, world, network, observer } = this.#cluster.options;
    this.#processes += 1;
    const process = new SimulatedProcess(world, `worker-${this.#index + 1}.${this.#processes}`);
    this.#process = process;
    process.within(() => {
      const worker: WorkerCore = new WorkerCore({
        env: process.env,
        limits,
        transports: [network.transport(process)],
        address: this.address,
        concurrency: plan.concurrency,
        backpressure,
        lostAfterMs: plan.lostAfterMs,
        callerLostAfterMs: plan.lostAfterMs * CALLER_PATIENCE,
        proxyTtlMs: plan.lostAfterMs / 10,
        resolve: (module, name) => observer.watch(process, find(module, name, plan.allowInline)),
        inspect: observer.inspector(process, () => worker.dispatcher.epoch),
      });
      this.#worker = worker;
      this.#heldBytes = 0;
      observer.look(process, () => {
        this.#heldBytes = Math.max(this.#heldBytes, worker.stats.heldBytes);
      });
      const { uid, dispatcher } = worker;
      observer.note(process, { type: 'up', role: 'worker', uid, epoch: dispatcher.epoch });
      void worker.start().then((address) => {
        const capacity = plan.concurrency;
        const beat = network.beat(process);
        this.#cluster.list({ uid, address, beat, tags: [], ...(capacity && { capacity }) });
      });
    });
  }

  /** It dies at once. Unless that is silent, those who know it hear of it. */
  crash(silent: boolean): void {
    const { process } = this;
    const uid = this.#worker?.uid;
    if (process === undefined || uid === undefined) return;
    const { network, observer } = this.#cluster.options;
    observer.note(process, { type: 'gone', crashed: true });
    process.die();
    network.crash(process, silent);
    this.#cluster.unlist(uid, silent ? undefined : 'its process has crashed');
    for (const tell of this.#mourners.splice(0)) tell();
  }

  /** It takes no more tasks, and resolves when its own have ended, or after `graceMs`, or when it dies. */
  async stop(graceMs?: number): Promise<void> {
    const { process, worker } = this;
    if (process === undefined || worker === undefined) return;
    await new Promise<void>((resolve) => {
      this.#mourners.push(resolve);
      process.enter(() => void worker.stop(graceMs).then(resolve));
    });
  }

  /** Its process ends by itself, after `stop`. */
  end(): void {
    const { process, worker } = this;
    if (process === undefined || worker === undefined) return;
    const { network, observer } = this.#cluster.options;
    observer.note(process, { type: 'gone', crashed: false });
    process.die();
    network.crash(process, false);
    this.#cluster.unlist(worker.uid, 'its process has ended');
    for (const tell of this.#mourners.splice(0)) tell();
  }

  /** What it has in hand when all calls should be over. */
  noteRest(): void {
    const { process, worker } = this;
    if (process === undefined || worker === undefined) return;
    const { limits, observer } = this.#cluster.options;
    const { tasks, heldBytes } = worker.stats;
    const { calls, waiting, deadlines } = worker.dispatcher.stats;
    const what = {
      leftTasks: tasks,
      leftBytes: heldBytes,
      leftCalls: calls,
      leftWaiting: waiting,
      leftDeadlines: deadlines,
      heldBytes: this.#heldBytes,
      // No task is taken beyond the limit; each of those that run then may add what it gives.
      heldBytesLimit:
        limits.maxHeldBytes + observer.mostTasks(process) * (observer.largestValue + FRAME_BYTES),
    };
    observer.note(process, { type: 'held', what });
  }

  /** What is left of it when it has been stopped. */
  noteEnd(): void {
    const { process, worker } = this;
    if (process === undefined || worker === undefined) return;
    const { network, observer } = this.#cluster.options;
    const what = {
      leftTasks: worker.stats.tasks,
      leftSessions: worker.stats.sessions,
      leftCalls: worker.dispatcher.stats.calls,
      leftTimers: process.timers,
      leftConnections: network.connectionsOf(process),
    };
    observer.note(process, { type: 'held', what });
  }
}

/** A simulated caller: a process with a proxy, as a pool has one. */
export class CallerHost implements DispatchTarget {
  readonly process: SimulatedProcess;
  readonly #cluster: Cluster;
  readonly #proxy: PoolProxy;

  constructor(cluster: Cluster, index: number) {
    const { plan, limits, world, network, observer } = cluster.options;
    this.#cluster = cluster;
    this.process = new SimulatedProcess(world, `caller-${index + 1}`);
    const { process } = this;
    this.#proxy = process.within(() => {
      const inspect = observer.inspector(process, () => this.#proxy.epoch);
      const root: AnyActorRef = createActor(
        fromCallback(() => {}),
        { id: process.name, inspect },
      ).start();
      return new PoolProxy(root, {
        env: process.env,
        limits,
        transports: [network.transport(process)],
        policy: roundRobin(),
        maxQueue: Number.POSITIVE_INFINITY,
        lostAfterMs: plan.lostAfterMs,
      });
    });
    const { epoch } = this.#proxy;
    observer.note(process, { type: 'up', role: 'caller', uid: epoch, epoch });
  }

  get [dispatcherOf](): Dispatcher {
    return this.#proxy;
  }

  get proxy(): PoolProxy {
    return this.#proxy;
  }

  /** Simulated milliseconds since the start. */
  get now(): number {
    return this.#cluster.clock.now;
  }

  /** What discovery says to it. */
  tell(event: ProxyEvent): void {
    this.process.enter(() => this.#proxy.send(event));
  }

  /** Runs `program` in the process, with this caller for its pool. */
  run<T>(program: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.process.enter(() => {
        const scope = newScope({ dispatcher: this.#proxy, home: this.#proxy.home });
        runInScope(scope, program).then(resolve, reject);
      });
    });
  }

  crash(silent: boolean): void {
    if (this.process.isDead) return;
    const { network, observer } = this.#cluster.options;
    observer.note(this.process, { type: 'gone', crashed: true });
    this.process.die();
    network.crash(this.process, silent);
  }

  /** Waits for its calls, and ends. */
  async close(): Promise<void> {
    if (this.process.isDead) return;
    this.process.enter(() => this.#proxy.send({ type: 'drain' }));
    await this.#proxy.closed;
  }

  /** What it has in hand when its calls should be over. */
  noteRest(): void {
    const { network, observer } = this.#cluster.options;
    const { calls, waiting, deadlines } = this.#proxy.stats;
    const what = {
      leftCalls: calls,
      leftWaiting: waiting,
      leftDeadlines: deadlines,
      mostOnTheWay: network.mostOnTheWay,
      mostOnTheWayLimit: network.mostAllowed,
    };
    observer.note(this.process, { type: 'held', what });
  }

  /** What is left of it when it has been closed. */
  noteEnd(): void {
    const { network, observer } = this.#cluster.options;
    const { process } = this;
    const what = { leftTimers: process.timers, leftConnections: network.connectionsOf(process) };
    observer.note(process, { type: 'held', what });
    observer.note(process, { type: 'gone', crashed: false });
  }
}

/** The processes, and the directory that tells them of each other, each after a while of its own. */
export class Cluster {
  readonly options: ClusterOptions;
  readonly workers: readonly WorkerHost[];
  readonly callers: readonly CallerHost[];
  readonly #listed = new Map<string, WorkerAddress>();

  constructor(options: ClusterOptions) {
    this.options = options;
    const { plan } = options;
    this.workers = Array.from({ length: plan.workers }, (_, i) => new WorkerHost(this, i));
    this.callers = Array.from({ length: plan.callers }, (_, i) => new CallerHost(this, i));
  }

  get clock(): Clock {
    return this.options.world.clock;
  }

  start(): void {
    for (const worker of this.workers) worker.start();
  }

  /** Whether nobody has a call, a task or a sleep that could go on when time passes. */
  get isAsleep(): boolean {
    for (const { process, proxy } of this.callers) {
      if (process.isDead) continue;
      if (process.state !== 'running' || process.sleepers > 0 || proxy.stats.calls > 0)
        return false;
    }
    for (const { process, worker } of this.workers) {
      if (process === undefined || worker === undefined) continue;
      if (process.sleepers > 0 || worker.stats.tasks > 0) return false;
    }
    return true;
  }

  /** What everybody has in hand when all calls should be over. */
  noteRest(): void {
    for (const caller of this.callers) if (!caller.process.isDead) caller.noteRest();
    for (const worker of this.workers) worker.noteRest();
  }

  /** Ends the callers, which wait for their calls, and then the workers. */
  async close(): Promise<void> {
    await Promise.all(this.callers.map((caller) => caller.close()));
    await Promise.all(this.workers.map((worker) => worker.stop(0)));
  }

  /** What is left when everybody was asked to end. */
  noteEnd(): void {
    for (const caller of this.callers) if (!caller.process.isDead) caller.noteEnd();
    for (const worker of this.workers) {
      worker.noteEnd();
      worker.end();
    }
  }

  listing(uid: string): WorkerAddress | undefined {
    return this.#listed.get(uid);
  }

  /** A worker has come up. */
  list(worker: WorkerAddress): void {
    this.#listed.set(worker.uid, worker);
    for (const caller of this.callers) {
      this.#later(() => {
        if (this.#listed.has(worker.uid)) caller.tell({ type: 'added', worker });
      });
    }
    this.#announce();
  }

  /** Names all workers once more: who has given one up tries it again. */
  repeat(): void {
    for (const worker of this.#listed.values()) this.list(worker);
  }

  /** A worker is gone; `why` for those who know it for sure. */
  unlist(uid: string, why: string | undefined): void {
    this.#listed.delete(uid);
    for (const caller of this.callers) {
      this.#later(() =>
        caller.tell(
          why === undefined ? { type: 'unlisted', uid } : { type: 'dropped', uid, message: why },
        ),
      );
    }
    this.#announce();
  }

  /** Tells all workers of all workers. */
  #announce(): void {
    for (const host of this.workers) {
      const { process } = host;
      if (process === undefined) continue;
      this.#later(() => process.enter(() => host.worker?.roster([...this.#listed.values()])));
    }
  }

  /** After the time that discovery takes. */
  #later(fn: () => void): void {
    const { random, plan } = this.options;
    const [least, most] = plan.discoveryMs;
    this.clock.after(random.between(least, most), fn);
  }
}

/**
 * @throws RoutineNotFound when no module of this process has made it
 * @throws InlineNotAllowed when it stands for functions by value, and they do not run
 */
function find(module: string, name: string, allowInline: boolean): RegisteredRoutine {
  if (isInline(module)) return resolveInline(name, allowInline);
  const found = lookup(module, name);
  if (found) return found;
  throw new RoutineNotFound(
    `no routine '${name}' in ${module}: a simulation runs the routines of modules that were imported before`,
  );
}
