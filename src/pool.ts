/** `WorkerPool`: what a user opens. */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type AnyActorRef, createActor, type InspectionEvent, type Observer } from 'xstate';
import type { WorkerAddress } from './actors/peer.ts';
import { type PoolContext, type PoolEvent, poolChart } from './actors/pool.ts';
import { PoolProxy, type ProxyStats } from './actors/proxy.ts';
import { type EventOf, toLogic } from './actors/statechart.ts';
import type { LoadBalancer } from './balancing/balancer.ts';
import { roundRobin } from './balancing/policies.ts';
import { processHome } from './context/home.ts';
import { isStrict } from './context/strictness.ts';
import { systemEnv, type Timer } from './env.ts';
import { MainModuleError, PoolClosed, WorkerStartError } from './errors.ts';
import { type Dispatcher, type DispatchTarget, dispatcherOf } from './routine/dispatcher.ts';
import { addDispatcher, MAIN_MODULE_ADVICE, removeDispatcher } from './routine/gate.ts';
import { type HookName, hookName } from './routine/hook.ts';
import { isImporting } from './routine/modules.ts';
import { checkFunction, checkNames } from './routine/options.ts';
import { deriveScope, runInScope } from './routine/task.ts';
import { MAX_SOCKET_PATH_BYTES } from './transport/address.ts';
import { beatTransport, toBeatAddress } from './transport/beat.ts';
import { grpcTransport } from './transport/grpc.ts';
import { defaultLimits, type Limits } from './transport/link.ts';
import type { Dialer } from './transport/transport.ts';
import type { Backpressure, OfferedTask } from './worker/backpressure.ts';
import { WorkerProcess } from './worker/process.ts';

export interface PoolOptions {
  /** Worker processes to spawn. Default: the number of CPUs. */
  readonly size?: number;
  /** Labels of the spawned workers, for load balancers to see. Default: none. */
  readonly tags?: readonly string[];
  /** Who gets the next task. Default: `roundRobin()`. */
  readonly loadBalancer?: LoadBalancer;
  /** How spawned workers are reached. Default: `unix`, or `tcp` on loopback where there are no Unix sockets. */
  readonly transport?: 'unix' | 'tcp';
  /**
   * Tasks that one worker runs at a time; more of them wait. A task may call routines of its own worker
   * beyond that. Default: no limit.
   */
  readonly concurrency?: number;
  /** Calls that may wait for a worker; more of them fail with `NoWorkersAvailable`. Default: no limit. */
  readonly maxQueue?: number;
  /** Largest argument list or result, in bytes. Default: 256 MiB. */
  readonly maxValueBytes?: number;
  /** Whether errors take the worker's stack along; leave it out where callers are not trusted. Default: true. */
  readonly stacks?: boolean;
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
  /** Milliseconds in which a worker must have come up. Default: 30,000. */
  readonly startTimeout?: number;
  /**
   * A worker is given up when it gave no sign of life for so many milliseconds: its process is stopped, or
   * the connection is dead. One that is merely busy gives signs of life. At least 1,000; Infinity: never.
   * Default: 10,000.
   */
  readonly lostAfter?: number;
  /** XState's inspector: sees all actors of the pool. */
  readonly inspect?: Observer<InspectionEvent> | ((event: InspectionEvent) => void);
}

/** What `routine(hook)` gives for a function that tells of an offered task whether to refuse it. */
export interface BackpressureRoutine {
  (task: OfferedTask): Promise<boolean>;
  readonly local: Backpressure;
}

/** A worker of a pool. */
export interface PoolWorker {
  readonly uid: string;
  readonly address: string;
  /** Where its beat listens: a thread that answers for the process, also while a task blocks it. */
  readonly beat: string | undefined;
  /** Its process, when this pool spawned it. */
  readonly pid: number | undefined;
  readonly tags: readonly string[];
  /** Calls of this pool that it has now. */
  readonly inFlight: number;
  /** It does not answer at present: a task blocks its event loop, or its process is stopped. */
  readonly stalled: boolean;
}

/** What a pool takes from outside when it is opened with `openWith`. */
export interface PoolParts {
  /** How it reaches its workers. Default: over gRPC. */
  readonly transports?: readonly Dialer[];
  /**
   * Where what listens at `address`, a worker or its beat, is reached by the pool and by the other
   * workers. Default: there.
   */
  readonly reach?: (address: string) => string;
}

/** Opens a pool with other parts than its own: for tests that stand between it and its workers. */
export const openWith: unique symbol = Symbol('skein.openWith');

interface Slot {
  readonly process: WorkerProcess;
  worker: WorkerAddress | undefined;
}

const KILL_TIMEOUT_MS = 2_000;
/** On a busy machine every process is silent for some hundred milliseconds now and then. */
const LEAST_LOST_AFTER_MS = 1_000;
/** So long after it has got idle a pool may still keep the process alive. */
const HOLD_MS = 50;
/** Node's timers fire at once beyond that. */
const LONGEST_TIMER_MS = 0x7fffffff;

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
  readonly #options: Required<
    Omit<PoolOptions, 'inspect' | 'concurrency' | 'backpressure' | 'restarts'>
  > &
    PoolOptions;
  readonly #parts: PoolParts;
  readonly #limits: Limits;
  readonly #actor: AnyActorRef;
  readonly #proxy: PoolProxy;
  /** The backpressure hook, as workers find it. */
  readonly #hook: HookName | undefined;
  readonly #slots = new Map<number, Slot>();
  readonly #opened: Promise<void>;
  readonly #ended: Promise<void>;
  #settleOpened: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #resolveEnded = () => {};
  /** Where the workers have their sockets, if they have some. */
  readonly #folder: string | undefined;
  #nextSlot = 0;
  #failure: WorkerStartError | undefined;
  #grace: Timer | undefined;
  #graceDue = Number.POSITIVE_INFINITY;
  #closing = false;
  #over = false;
  #busy = true;
  #hold: NodeJS.Timeout | undefined;

  /**
   * Spawns the workers, and resolves when all are up.
   *
   * @throws WorkerStartError when one does not come up, or there is no folder for their sockets
   * @throws MainModuleError when a worker that imports the program's main module comes here
   * @throws RangeError, TypeError when an option is wrong, or `SKEIN_CONTEXT` is
   */
  static async open(options: PoolOptions = {}): Promise<WorkerPool> {
    return await WorkerPool[openWith](options, {});
  }

  static async [openWith](options: PoolOptions, parts: PoolParts): Promise<WorkerPool> {
    if (isImporting()) {
      throw new MainModuleError(
        `a worker imported a module that opens a pool: the main program would run again in it. ${MAIN_MODULE_ADVICE}`,
      );
    }
    const pool = new WorkerPool(checkOptions(options), parts);
    pool.#keepAlive();
    await pool.#opened;
    pool.#busy = false;
    return pool;
  }

  private constructor(options: PoolOptions, parts: PoolParts) {
    this.#parts = parts;
    this.#options = {
      size: availableParallelism(),
      tags: [],
      loadBalancer: roundRobin(),
      transport: process.platform === 'win32' ? 'tcp' : 'unix',
      maxQueue: Number.POSITIVE_INFINITY,
      maxValueBytes: defaultLimits.maxValueBytes,
      stacks: true,
      allowInline: false,
      strict: isStrict(process.env.SKEIN_CONTEXT),
      startTimeout: 30_000,
      lostAfter: 10_000,
      ...options,
    };
    const {
      size,
      loadBalancer: policy,
      maxQueue,
      maxValueBytes,
      restarts,
      lostAfter,
      backpressure,
      inspect,
    } = this.#options;
    this.#limits = { ...defaultLimits, maxValueBytes };
    this.#hook = backpressure && hookName('backpressure', backpressure);
    if (this.#options.transport === 'unix') this.#folder = makeFolder();
    this.#opened = new Promise((resolve, reject) => {
      this.#settleOpened = { resolve, reject };
    });
    this.#ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    const input = {
      size,
      maxRestarts: restarts?.limit ?? 10,
      windowMs: restarts?.windowMs ?? 60_000,
    };
    this.#actor = createActor(toLogic(poolChart, this.#effects()), {
      id: 'pool',
      input,
      ...(inspect && { inspect }),
    });
    this.#proxy = new PoolProxy(this.#actor, {
      env: systemEnv,
      limits: this.#limits,
      // Those given come first: they may have a way of their own to the beats.
      transports: [...(parts.transports ?? [grpcTransport()]), beatTransport()],
      policy,
      maxQueue,
      lostAfterMs: lostAfter,
      home: processHome,
      strictContext: this.#options.strict,
      lost: (uid, why) => this.#kill(uid, why),
      awaited: () => this.#keepAlive(),
    });
    process.once('exit', this.#cleanUp);
    this.#actor.start();
  }

  /** The workers that are up. */
  get workers(): readonly PoolWorker[] {
    const own = new Map<string, { pid: number | undefined; beat: string | undefined }>();
    for (const { worker, process } of this.#slots.values()) {
      if (worker) own.set(worker.uid, { pid: process.pid, beat: worker.beat });
    }
    return this.#proxy.workers.map(({ uid, address, tags, inFlight, stalled }) => {
      const { pid, beat } = own.get(uid) ?? { pid: undefined, beat: undefined };
      return { uid, address, beat, pid, tags, inFlight, stalled };
    });
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
        if (size === 0) return;
        for (let i = 0; i < size; i += 1) this.#spawn();
      },
      respawn: () => this.#spawn(),
      use: (_context: PoolContext, { slot }: EventOf<PoolEvent, 'started'>) => {
        const worker = this.#slots.get(slot)?.worker;
        if (worker) this.#proxy.send({ type: 'added', worker });
        this.#announce();
      },
      drop: (_context: PoolContext, { slot, why }: EventOf<PoolEvent, 'exited'>) => {
        const worker = this.#slots.get(slot)?.worker;
        this.#slots.delete(slot);
        if (worker) this.#proxy.send({ type: 'dropped', uid: worker.uid, message: why });
        this.#announce();
        if (this.#slots.size > 0) return;
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
      abort: ({ why }: PoolContext) => {
        this.#failure ??=
          why === '' ? undefined : new WorkerStartError(`a worker did not start: ${why}`);
        const closed = new PoolClosed('the pool was closed before the call could end');
        this.#proxy.send({ type: 'abort', error: this.#failure ?? closed });
      },
      stopAll: () => {
        for (const { process } of this.#slots.values()) process.stop(0);
        if (this.#slots.size === 0) this.#send({ type: 'stopped' });
      },
      closed: () => this.#end(),
    };
  }

  #spawn(): void {
    this.#nextSlot += 1;
    const slot = this.#nextSlot;
    const {
      tags,
      concurrency,
      maxValueBytes,
      stacks,
      allowInline,
      strict,
      startTimeout,
      lostAfter,
    } = this.#options;
    const setup = {
      address: this.#address(slot, 'sock'),
      beat: toBeatAddress(this.#address(slot, 'beat')),
      tags,
      concurrency,
      maxValueBytes,
      stacks,
      allowInline,
      strict,
      backpressure: this.#hook,
      lostAfterMs: lostAfter,
    };
    const timeouts = { startTimeoutMs: startTimeout, killTimeoutMs: KILL_TIMEOUT_MS };
    const process = new WorkerProcess(setup, timeouts, {
      started: (uid, address, beat) => {
        const entry = this.#slots.get(slot);
        const { reach = (there) => there } = this.#parts;
        if (entry) {
          entry.worker = {
            uid,
            address: reach(address),
            beat: beat === undefined ? undefined : reach(beat),
            tags,
            capacity: concurrency,
          };
        }
        this.#send({ type: 'started', slot });
      },
      leaving: () => this.#send({ type: 'leaving', slot }),
      exited: (why) => this.#send({ type: 'exited', slot, why, at: systemEnv.now() }),
    });
    this.#slots.set(slot, { process, worker: undefined });
  }

  /** Where the worker of a slot, and its beat, listen. A socket's path is used once: it may outlive a killed worker. */
  #address(slot: number, kind: 'sock' | 'beat'): string {
    if (this.#folder === undefined) return 'tcp://127.0.0.1:0';
    return `unix://${join(this.#folder, `${slot}.${kind}`)}`;
  }

  /** So that it is replaced: a process that is stopped would hold its place for ever. */
  #kill(uid: string, why: string): void {
    for (const { worker, process } of this.#slots.values()) {
      if (worker?.uid === uid) process.giveUp(why);
    }
  }

  readonly #cleanUp = () => {
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  };

  /** Tells the workers of each other, for nested calls. */
  #announce(): void {
    const workers: WorkerAddress[] = [];
    for (const { worker } of this.#slots.values()) if (worker) workers.push(worker);
    for (const { process } of this.#slots.values()) process.send({ skein: 'roster', workers });
  }

  /** The last worker has died while the pool waits for its calls: those without a worker get none. */
  #desert(why: string): void {
    const message = `the pool was closed, and its last worker has ended before the call: ${why}`;
    this.#proxy.send({ type: 'deserted', error: new PoolClosed(message) });
  }

  #giveUp({ maxRestarts, windowMs }: PoolContext, why: string): void {
    const message =
      `a worker is not replaced: more than ${maxRestarts} have died within ${windowMs} ms (see restarts), ` +
      `the last because ${why}. ${this.#slots.size} are left`;
    process.emitWarning(message, 'SkeinWarning');
    this.#failure = new WorkerStartError(message);
    if (this.#slots.size === 0) this.#proxy.send({ type: 'deserted', error: this.#failure });
  }

  #end(): void {
    this.#over = true;
    this.#letGo();
    removeDispatcher(this.#proxy);
    this.#grace?.cancel();
    process.removeListener('exit', this.#cleanUp);
    this.#cleanUp();
    const closed = new PoolClosed('the pool was closed before it was open');
    this.#settleOpened?.reject(this.#failure ?? closed);
    this.#resolveEnded();
  }
}

/**
 * Makes a folder for sockets.
 *
 * @throws WorkerStartError that says what to do
 */
function makeFolder(): string {
  const parent = resolve(tmpdir());
  const ways = "set TMPDIR to another folder, or use transport: 'tcp'";
  const bytes = Buffer.byteLength(join(parent, 'skein-XXXXXX', '9999999.sock'));
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw new WorkerStartError(
      `the path of ${parent} is too long for the workers' sockets, which would have ${bytes} bytes ` +
        `of at most ${MAX_SOCKET_PATH_BYTES}: ${ways}`,
    );
  }
  try {
    // For this user alone.
    return mkdtempSync(join(parent, 'skein-'));
  } catch (cause) {
    throw new WorkerStartError(
      `no folder for the workers' sockets can be made in ${parent} (${(cause as Error).message}): ${ways}`,
      { cause },
    );
  }
}

const POOL_OPTIONS = [
  'size',
  'tags',
  'loadBalancer',
  'transport',
  'concurrency',
  'maxQueue',
  'maxValueBytes',
  'stacks',
  'allowInline',
  'strict',
  'backpressure',
  'restarts',
  'startTimeout',
  'lostAfter',
  'inspect',
];

/** Checks the options, and leaves out those that are undefined, so that they do not hide defaults. */
function checkOptions(options: PoolOptions): PoolOptions {
  checkNames('WorkerPool.open(options)', options, POOL_OPTIONS);
  const { size, concurrency, maxQueue, maxValueBytes, startTimeout, restarts, lostAfter } = options;
  if (restarts !== undefined) checkNames('restarts', restarts, ['limit', 'windowMs']);
  checkWhole('size', size, 1);
  if (size === Number.POSITIVE_INFINITY) throw new RangeError('size must be finite');
  checkWhole('concurrency', concurrency, 1);
  checkWhole('maxQueue', maxQueue, 0);
  checkWhole('maxValueBytes', maxValueBytes, 1);
  checkWhole('restarts.limit', restarts?.limit, 0);
  checkTime('restarts.windowMs', restarts?.windowMs);
  checkTime('startTimeout', startTimeout);
  if (
    lostAfter !== undefined &&
    !(typeof lostAfter === 'number' && lostAfter >= LEAST_LOST_AFTER_MS)
  ) {
    throw new RangeError(
      `lostAfter must be a number of milliseconds, ${LEAST_LOST_AFTER_MS} or more, not ${String(lostAfter)}`,
    );
  }
  const { transport, tags, loadBalancer, inspect, stacks, allowInline, strict, backpressure } =
    options;
  if (backpressure !== undefined) hookName('backpressure', backpressure);
  for (const [name, value] of Object.entries({ stacks, allowInline, strict })) {
    if (value === undefined || typeof value === 'boolean') continue;
    throw new TypeError(`${name} must be true or false, not ${String(value)}`);
  }
  if (inspect !== undefined && typeof inspect !== 'function') {
    if (typeof inspect?.next !== 'function') {
      throw new TypeError('inspect must be a function, or an observer with a method next(event)');
    }
  }
  if (transport !== undefined && transport !== 'unix' && transport !== 'tcp') {
    throw new TypeError(`transport must be 'unix' or 'tcp', not ${String(transport)}`);
  }
  const isTags = Array.isArray(tags) && tags.every((tag) => typeof tag === 'string');
  if (tags !== undefined && !isTags) throw new TypeError('tags must be an array of strings');
  if (loadBalancer !== undefined && typeof loadBalancer?.delegate !== 'function') {
    throw new TypeError('loadBalancer must have a method delegate(task, { workers })');
  }
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as PoolOptions;
}

function checkWhole(name: string, value: number | undefined, least: number): void {
  if (value === undefined || value === Number.POSITIVE_INFINITY) return;
  if (Number.isInteger(value) && value >= least) return;
  throw new RangeError(`${name} must be a whole number, ${least} or more, not ${String(value)}`);
}

function checkTime(name: string, value: number | undefined): void {
  if (value === undefined || (typeof value === 'number' && value > 0)) return;
  throw new RangeError(`${name} must be a number of milliseconds above 0, not ${String(value)}`);
}
