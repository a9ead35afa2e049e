/**
 * Matches calls with workers: asks the policy, and keeps the calls that no worker can take now in the
 * order of their arrival. Charted in docs/statecharts.md.
 */
import type { AnyActorRef } from 'xstate';
import type {
  LoadBalancer,
  BalancerContext as PolicyContext,
  WorkerView,
} from '../balancing/balancer.ts';
import { LoadBalancerError, NoWorkersAvailable } from '../errors.ts';
import { createLightActor } from './actor.ts';
import type { Call } from './call.ts';
import { defineChart, type EventOf, toLogic } from './statechart.ts';
import { type Waiting, WaitingCalls } from './waiting.ts';

export type BalancerEvent =
  /** A call looks for a worker. */
  | { type: 'ask'; call: Call; refused: readonly string[] }
  /** A worker can take calls. */
  | { type: 'join'; worker: WorkerView }
  /** It can't any more. */
  | { type: 'leave'; uid: string }
  /** A worker has ended a call, so that it may take another. */
  | { type: 'freed'; uid: string }
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
        ask: { effects: ['queue'] },
        forget: { effects: ['forget'] },
        join: { target: 'serving', assign: 'joined', effects: ['add', 'serve'] },
        close: { target: 'closed', assign: 'closed', effects: ['turnAwayAll'] },
      },
    },
    serving: {
      description: 'calls go to workers; those that all workers refused wait',
      on: {
        ask: { effects: ['choose'] },
        forget: { effects: ['forget'] },
        freed: { effects: ['serve'] },
        join: { assign: 'joined', effects: ['add', 'serve'] },
        leave: [
          { target: 'empty', guard: 'last', assign: 'left', effects: ['remove'] },
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
  readonly policy: LoadBalancer;
  /** Calls that may wait for a worker at a time. */
  readonly maxQueue: number;
}

export class Balancer {
  readonly #policy: LoadBalancer;
  readonly #maxQueue: number;
  readonly #workers = new Map<string, WorkerView>();
  /** All of them, as policies see them. */
  #all: PolicyContext = { workers: [] };
  readonly #queue = new WaitingCalls();
  /** Workers that refused a call that waits: they are full, and later calls must not overtake it. */
  readonly #full = new Set<string>();
  readonly #actor: AnyActorRef;

  constructor(parent: AnyActorRef, options: BalancerOptions) {
    this.#policy = options.policy;
    this.#maxQueue = options.maxQueue;
    const logic = toLogic(balancerChart, {
      add: (_context, { worker }: EventOf<BalancerEvent, 'join'>) => {
        this.#workers.set(worker.uid, worker);
        this.#full.delete(worker.uid);
        this.#all = { workers: [...this.#workers.values()] };
      },
      remove: (_context, { uid }: EventOf<BalancerEvent, 'leave'>) => {
        this.#workers.delete(uid);
        this.#all = { workers: [...this.#workers.values()] };
      },
      choose: (_context, { call, refused }: EventOf<BalancerEvent, 'ask'>) => {
        const avoid = this.#full.size === 0 ? refused : [...new Set([...refused, ...this.#full])];
        if (!this.#choose(call, avoid, this.#all)) this.#wait({ call, refused: avoid });
      },
      queue: (_context, { call, refused }: EventOf<BalancerEvent, 'ask'>) =>
        this.#wait({ call, refused }),
      forget: (_context, { call }: EventOf<BalancerEvent, 'forget'>) => {
        this.#queue.delete(call);
        if (this.#queue.size === 0) this.#full.clear();
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

  /** Returns false when no worker can take the call now. */
  #choose(call: Call, refused: readonly string[], all: PolicyContext): boolean {
    const among =
      refused.length === 0
        ? all
        : { workers: all.workers.filter(({ uid }) => !refused.includes(uid)) };
    if (among.workers.length === 0) return false;
    const { routine, tag } = call.request;
    try {
      const task = { routine: routine.key, tag };
      for (const uid of this.#policy.delegate(task, among)) {
        if (typeof uid !== 'string') {
          throw new LoadBalancerError(
            `the load balancer yielded ${String(uid)}, not the uid of a worker`,
          );
        }
        if (!among.workers.some((worker) => worker.uid === uid)) continue;
        call.actor?.send({ type: 'assigned', worker: uid });
        return true;
      }
    } catch (cause) {
      const error =
        cause instanceof LoadBalancerError
          ? cause
          : new LoadBalancerError('the load balancer threw', { cause });
      call.actor?.send({ type: 'unavailable', error });
      return true;
    }
    return false;
  }

  #wait(waiting: Waiting): void {
    const { call, refused } = waiting;
    if (this.#queue.size >= this.#maxQueue) {
      const error = new NoWorkersAvailable(
        `${this.#queue.size} calls wait for a worker already (maxQueue is ${this.#maxQueue})`,
      );
      call.actor?.send({ type: 'unavailable', error });
      return;
    }
    if (this.#workers.size > refused.length && this.#isIdle()) {
      const error = new LoadBalancerError(
        `the load balancer chose none of ${this.#workers.size - refused.length} idle workers`,
      );
      call.actor?.send({ type: 'unavailable', error });
      return;
    }
    this.#queue.add(waiting);
    for (const uid of refused) this.#full.add(uid);
  }

  /** Whether no worker has a call: then none will get free, and waiting would be for ever. */
  #isIdle(): boolean {
    for (const { inFlight } of this.#workers.values()) if (inFlight > 0) return false;
    return true;
  }

  /** A worker has room: the call that has waited longest may go there, even if it was refused before. */
  #serve(event: EventOf<BalancerEvent, 'freed' | 'join'>): void {
    const uid = event.type === 'join' ? event.worker.uid : event.uid;
    const worker = this.#workers.get(uid);
    if (worker === undefined) return;
    // A place that was freed is one place; a worker that joined takes what it takes, and refuses the rest.
    const most = event.type === 'freed' ? 1 : Number.POSITIVE_INFINITY;
    this.#queue.takeWhere(most, (waiting) => {
      waiting.refused = waiting.refused.filter((other) => other !== uid);
      return this.#choose(waiting.call, waiting.refused, { workers: [worker] });
    });
    if (this.#queue.size === 0) this.#full.clear();
  }
}
