/**
 * Matches calls with workers: asks the policy, and keeps the calls that no worker can take now in the
 * order of their arrival. Charted in docs/statecharts.md.
 */
import type { AnyActorRef } from 'xstate';
import type {
  LoadBalancer,
  BalancerContext as PolicyContext,
  TaskView,
  WorkerView,
} from '../balancing/balancer.ts';
import { outside } from '../context/scope.ts';
import type { Env } from '../env.ts';
import { LoadBalancerError, NoWorkersAvailable } from '../errors.ts';
import { CancelReason } from '../wire/frame.ts';
import { createLightActor } from './actor.ts';
import type { Call } from './call.ts';
import type { Deadlines } from './deadlines.ts';
import { defineChart, type EventOf, toLogic } from './statechart.ts';
import { WaitingCalls } from './waiting.ts';

export type BalancerEvent =
  /** A call looks for a worker. */
  | { type: 'ask'; call: Call; refused: readonly string[] }
  /** A worker can take calls. */
  | { type: 'join'; worker: WorkerView }
  /** It can't any more. */
  | { type: 'leave'; uid: string }
  /** A worker refused a call: it has as many as it may. */
  | { type: 'full'; uid: string }
  /** A worker has ended a call, or was full a while ago: it may take another. */
  | { type: 'freed'; uid: string }
  /** A call that workers do not want has paused: they may want it now. */
  | { type: 'rested'; call: Call }
  /** A call has waited for a long time: it fails if no worker is there. */
  | { type: 'starved'; call: Call }
  /** A call no longer looks for a worker. */
  | { type: 'forget'; call: Call }
  /** No worker will come any more; calls that wait or come later fail with `error`. */
  | { type: 'close'; error: unknown };

export interface BalancerContext {
  /** Workers that can take calls. */
  readonly workers: number;
  /** Why there will be none. */
  readonly error: unknown;
}

export const balancerChart = defineChart<BalancerContext, BalancerEvent>({
  id: 'balancer',
  initial: 'empty',
  context: () => ({ workers: 0, error: undefined }),
  assigns: {
    joined: ({ workers }) => ({ workers: workers + 1 }),
    left: ({ workers }) => ({ workers: workers - 1 }),
    closed: (_context, event) => ({ error: (event as EventOf<BalancerEvent, 'close'>).error }),
  },
  guards: {
    last: ({ workers }) => workers === 1,
  },
  states: {
    empty: {
      description: 'no worker: calls wait',
      on: {
        ask: { effects: ['queue', 'bear'] },
        starved: { effects: ['starve'] },
        rested: { effects: ['reconsider'] },
        forget: { effects: ['forget'] },
        join: { target: 'serving', assign: 'joined', effects: ['add', 'serve'] },
        close: { target: 'closed', assign: 'closed', effects: ['turnAwayAll'] },
      },
    },
    serving: {
      description: 'calls go to workers; those that all workers refused wait',
      on: {
        ask: { effects: ['choose'] },
        rested: { effects: ['reconsider'] },
        forget: { effects: ['forget'] },
        starved: { effects: ['starve'] },
        full: { effects: ['mark'] },
        freed: { effects: ['serve'] },
        join: { assign: 'joined', effects: ['add', 'serve'] },
        leave: [
          { target: 'empty', guard: 'last', assign: 'left', effects: ['remove', 'bearAll'] },
          { assign: 'left', effects: ['remove'] },
        ],
        close: { target: 'closed', assign: 'closed', effects: ['turnAwayAll'] },
      },
    },
    closed: {
      description: 'no worker will come: calls fail',
      on: { ask: { effects: ['turnAway'] } },
    },
  },
});

export interface BalancerOptions {
  readonly env: Env;
  /** For the pauses of calls. */
  readonly deadlines: Deadlines;
  readonly policy: LoadBalancer;
  /** Calls that may wait for a worker at a time. */
  readonly maxQueue: number;
  /** Milliseconds that a call waits at most while there is no worker. Default: Infinity. */
  readonly patienceMs?: number;
  /** Whether waiting for a worker helps only if one comes that is not known yet. Default: it helps. */
  readonly hopeless?: () => boolean;
  /** Why there may be no workers, for people. Default: nothing is said. */
  readonly why?: () => string;
  /** The error behind that, if there is one. Default: none. */
  readonly cause?: () => unknown;
  /** Whether the worker is there, as far as is known. Default: each is. */
  readonly isSure?: (uid: string) => boolean;
  /** Finds out whether the worker is there. Default: nothing is done. */
  readonly tryOut?: (uid: string) => void;
}

/** The first pause of a call that no worker wants, and the longest, in milliseconds. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/** So long a call waits where no worker that is known can be reached from here: others may come. */
const HOPELESS_MS = 2_000;

const NOBODY: PolicyContext = { workers: [] };

export class Balancer {
  readonly #env: Env;
  readonly #deadlines: Deadlines;
  readonly #policy: LoadBalancer;
  readonly #maxQueue: number;
  readonly #patienceMs: number;
  readonly #isHopeless: () => boolean;
  readonly #why: () => string;
  readonly #cause: () => unknown;
  readonly #isSure: (uid: string) => boolean;
  readonly #tryOut: (uid: string) => void;
  readonly #workers = new Map<string, WorkerView>();
  /** All of them, as policies see them. */
  #all: PolicyContext = { workers: [] };
  readonly #queue = new WaitingCalls();
  /** Workers that have refused a call as one too many. */
  readonly #full = new Set<string>();
  /** Whether some worker takes only so many calls. */
  #bounded = false;
  readonly #actor: AnyActorRef;

  constructor(parent: AnyActorRef, options: BalancerOptions) {
    this.#env = options.env;
    this.#deadlines = options.deadlines;
    this.#policy = options.policy;
    this.#maxQueue = options.maxQueue;
    this.#patienceMs = options.patienceMs ?? Number.POSITIVE_INFINITY;
    this.#isHopeless = options.hopeless ?? (() => false);
    this.#why = options.why ?? (() => '');
    this.#cause = options.cause ?? (() => undefined);
    this.#isSure = options.isSure ?? (() => true);
    this.#tryOut = options.tryOut ?? (() => {});
    const logic = toLogic(balancerChart, {
      add: (_context, { worker }: EventOf<BalancerEvent, 'join'>) => {
        this.#workers.set(worker.uid, worker);
        this.recount();
      },
      remove: (_context, { uid }: EventOf<BalancerEvent, 'leave'>) => {
        this.#workers.delete(uid);
        this.#full.delete(uid);
        this.recount();
      },
      choose: (_context, { call, refused }: EventOf<BalancerEvent, 'ask'>) => {
        const able = this.#able(call, refused);
        if (this.#choose(call, able)) return;
        // A worker that refused has left, is full, or does not want the call. One that is none of it is
        // back: no event would tell of it again.
        const back = able.workers.length === 0 && refused.length > 0;
        if (back && this.#choose(call, this.#able(call, []))) return;
        this.#wait(call, able);
      },
      queue: (_context, { call }: EventOf<BalancerEvent, 'ask'>) => this.#wait(call, NOBODY),
      bear: (_context, { call }: EventOf<BalancerEvent, 'ask'>) => this.#bear(call),
      bearAll: () => {
        for (const call of this.#queue.calls) this.#bear(call);
      },
      starve: (_context, { call }: EventOf<BalancerEvent, 'starved'>) => this.#starve(call),
      reconsider: (_context, { call }: EventOf<BalancerEvent, 'rested'>) => this.#reconsider(call),
      forget: (_context, { call }: EventOf<BalancerEvent, 'forget'>) => {
        this.#queue.delete(call);
      },
      mark: (_context, { uid }: EventOf<BalancerEvent, 'full'>) => {
        this.#full.add(uid);
      },
      serve: (_context, event) => this.#serve(event as EventOf<BalancerEvent, 'freed' | 'join'>),
      turnAway: ({ error }, { call }: EventOf<BalancerEvent, 'ask'>) =>
        call.actor?.send({ type: 'unavailable', error }),
      turnAwayAll: ({ error }) => {
        for (const call of this.#queue.calls) call.actor?.send({ type: 'unavailable', error });
        this.#queue.clear();
      },
    });
    this.#actor = createLightActor(logic, parent, undefined, 'balancer');
    this.#actor.start();
  }

  /** The calls that wait for a worker. */
  get queued(): Call[] {
    return this.#queue.calls;
  }

  /** How many calls wait for a worker. */
  get waiting(): number {
    return this.#queue.size;
  }

  send(event: BalancerEvent): void {
    // A leave for a worker that had not joined must not be counted.
    if (event.type === 'leave' && !this.#workers.has(event.uid)) return;
    if (event.type === 'join' && this.#workers.has(event.worker.uid)) return;
    this.#actor.send(event);
  }

  /** Whether an end of a call on this worker is of interest. */
  awaits(uid: string): boolean {
    return this.#queue.waitsFor(uid) || this.#full.has(uid);
  }

  /** Whether calls wait for this worker, which refused one as one too many. */
  isFull(uid: string): boolean {
    return this.#full.has(uid) && this.#queue.waitsFor(uid);
  }

  /** `hopeless` has become true. */
  despair(): void {
    for (const call of this.#queue.calls) this.#bear(call);
  }

  /** The workers have changed, or what they can do. */
  recount(): void {
    const workers = [...this.#workers.values()];
    this.#all = { workers };
    this.#bounded = workers.some(({ capacity }) => capacity !== Number.POSITIVE_INFINITY);
  }

  /** The workers that may take a call that some have refused. */
  #able({ declined }: Call, refused: readonly string[]): PolicyContext {
    const any = refused.length === 0 && declined === undefined;
    if (any && this.#full.size === 0 && !this.#bounded) return this.#all;
    const workers = this.#all.workers.filter(
      ({ uid, inFlight, capacity }) =>
        inFlight < capacity &&
        !this.#full.has(uid) &&
        !refused.includes(uid) &&
        !declined?.by.includes(uid),
    );
    return { workers };
  }

  /** The first of `able` that the policy names. A policy that is a generator runs here, and not before. */
  #pick(task: TaskView, able: PolicyContext): string | undefined {
    for (const uid of this.#policy.delegate(task, able)) {
      if (typeof uid !== 'string') {
        throw new LoadBalancerError(
          `the load balancer yielded ${String(uid)}, not the uid of a worker`,
        );
      }
      // Of many workers, most calls may go to any.
      const isAble =
        able === this.#all
          ? this.#workers.has(uid)
          : able.workers.some((worker) => worker.uid === uid);
      if (isAble) return uid;
    }
    return undefined;
  }

  /**
   * A call does not wait for a worker of which nobody knows whether it is there, while others are: that one is
   * tried out meanwhile.
   */
  #pickSure(call: Call, task: TaskView, able: PolicyContext): string | undefined {
    const uid = this.#pick(task, able);
    if (uid === undefined || this.#isSure(uid)) return uid;
    const workers = able.workers.filter((worker) => this.#isSure(worker.uid));
    const other = workers.length === 0 ? undefined : this.#pick(task, { workers });
    if (other === undefined) {
      // It may wait for the link there, though not for ever.
      this.#bear(call);
      return uid;
    }
    this.#tryOut(uid);
    return other;
  }

  /** Returns false when none of `able` is chosen. */
  #choose(call: Call, able: PolicyContext): boolean {
    if (able.workers.length === 0) return false;
    const { routine, tag } = call.request;
    try {
      const task = { routine: routine.key, tag };
      const uid = outside(() => this.#pickSure(call, task, able));
      if (uid !== undefined) {
        call.actor?.send({ type: 'assigned', worker: uid });
        return true;
      }
    } catch (cause) {
      const error =
        cause instanceof LoadBalancerError
          ? cause
          : new LoadBalancerError(`the load balancer threw: ${String(cause)}`, { cause });
      call.actor?.send({ type: 'unavailable', error });
      return true;
    }
    return false;
  }

  #wait(call: Call, able: PolicyContext): void {
    const full = this.#queue.size >= this.#maxQueue;
    // One that had to come back keeps its place: who came last has none.
    const last = full ? this.#queue.lastAfter(call) : undefined;
    if (full && last === undefined) return this.#turnAway(call);
    if (able.workers.length > 0 && !call.declined?.by.length && this.#isIdle()) {
      const message = `the load balancer chose none of ${able.workers.length} idle workers`;
      const error = new LoadBalancerError(message);
      call.actor?.send({ type: 'unavailable', error });
      return;
    }
    if (last) {
      this.#queue.delete(last);
      this.#turnAway(last);
    }
    this.#queue.add(call);
    this.#rest(call);
  }

  /** One too many. */
  #turnAway(call: Call): void {
    const waiting = this.#maxQueue;
    const unwanted = call.declined ? ', or do not want the call' : '';
    const message = `all workers are full${unwanted}, and ${waiting} calls wait already (maxQueue is ${waiting})`;
    call.actor?.send({ type: 'unavailable', error: new NoWorkersAvailable(message) });
  }

  /** It waits for a worker to come, though not for ever. */
  #bear(call: Call): void {
    const hopeless = this.#isHopeless();
    const ms = hopeless ? Math.min(HOPELESS_MS, this.#patienceMs) : this.#patienceMs;
    if (ms === Number.POSITIVE_INFINITY) return;
    if (call.hunger) {
      if (!hopeless || call.hunger.due <= this.#env.now() + ms) return;
      this.#deadlines.remove(call.hunger);
    }
    call.hunger = this.#deadlines.add(ms, () => {
      call.hunger = undefined;
      if (hopeless && !this.#isHopeless()) this.#bear(call);
      else this.send({ type: 'starved', call });
    });
  }

  #starve(call: Call): void {
    if (this.#all.workers.some(({ uid }) => this.#isSure(uid))) return;
    const waits = this.#queue.delete(call);
    const why = this.#why();
    const what = this.#isHopeless()
      ? 'no worker can be reached'
      : `no worker was there for ${this.#patienceMs} ms`;
    const message = `${what}${why && `: ${why}`}`;
    const error = new NoWorkersAvailable(message, { cause: this.#cause() });
    if (waits) call.actor?.send({ type: 'unavailable', error });
    // It waits for a link that is not up.
    else call.actor?.send({ type: 'cancel', error, reason: CancelReason.ABORTED });
  }

  /** A worker that does not want the call never says that it has come to want it. */
  #rest(call: Call): void {
    const { declined } = call;
    if (declined === undefined || declined.by.length === 0 || declined.pause) return;
    const ms = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** declined.times);
    const jitter = 0.5 + this.#env.random() / 2;
    declined.times += 1;
    declined.pause = this.#deadlines.add(ms * jitter, () => this.send({ type: 'rested', call }));
  }

  #reconsider(call: Call): void {
    const waits = this.#queue.delete(call);
    if (call.declined) {
      call.declined.by = [];
      call.declined.pause = undefined;
    }
    if (!waits) return;
    const able = this.#able(call, []);
    if (!this.#choose(call, able)) this.#wait(call, able);
  }

  /** Whether no worker has a call: then none will get free, and waiting would be for ever. */
  #isIdle(): boolean {
    for (const { inFlight } of this.#workers.values()) if (inFlight > 0) return false;
    return true;
  }

  /**
   * A worker has room: the calls that have waited longest may go there. One that was full gets one call
   * for each that ends, and stays out of the way of later calls until nobody waits.
   */
  #serve(event: EventOf<BalancerEvent, 'freed' | 'join'>): void {
    const uid = event.type === 'join' ? event.worker.uid : event.uid;
    const worker = this.#workers.get(uid);
    if (worker === undefined) return;
    const room = worker.capacity - worker.inFlight;
    const most = event.type === 'freed' && this.#full.has(uid) ? Math.min(room, 1) : room;
    if (this.#queue.waitsFor(uid)) {
      const place = (call: Call) =>
        !call.declined?.by.includes(uid) && this.#choose(call, { workers: [worker] });
      this.#queue.takeWhere(most, place);
    }
    if (!this.#queue.waitsFor(uid)) this.#full.delete(uid);
  }
}
