/**
 * The caller's side of a pool: knows the workers, makes calls and routes them, holds the links. Every
 * worker has one too, for the calls of its tasks. Charted in docs/statecharts.md.
 */
import type { AnyActorRef } from 'xstate';
import type { LoadBalancer, WorkerView } from '../balancing/balancer.ts';
import { ContextHome } from '../context/home.ts';
import type { OutboundContext } from '../context/outbound.ts';
import type { Env } from '../env.ts';
import { DispatchTimeout, PoolClosed } from '../errors.ts';
import type {
  CallRequest,
  Dispatcher,
  Received,
  RemoteGenerator,
  StepKind,
  StepResult,
} from '../routine/dispatcher.ts';
import type { ModulePolicy } from '../routine/whereabouts.ts';
import { connectAny } from '../transport/alternatives.ts';
import type { Limits } from '../transport/link.ts';
import type { CloseReason, Dialer } from '../transport/transport.ts';
import { CancelReason } from '../wire/frame.ts';
import type { Encoded } from '../wire/value.ts';
import { createLightActor } from './actor.ts';
import { Balancer } from './balancer.ts';
import { shown } from './beats.ts';
import { type Call, type CallEvent, callChart, callEffects, type Waiter } from './call.ts';
import { Deadlines } from './deadlines.ts';
import { Peer, type PeerPorts, type WorkerAddress } from './peer.ts';
import { defineChart, type EventOf, toLogic } from './statechart.ts';

export type ProxyEvent =
  /** A worker can be used from now on, or again. */
  | { type: 'added'; worker: WorkerAddress }
  /** Other things are known of it: where it is, its tags, how many tasks it runs at a time. */
  | { type: 'updated'; worker: WorkerAddress }
  /** Discovery names a worker no more, which may be a mistake: it gets no new calls. */
  | { type: 'unlisted'; uid: string }
  /** The process of a worker has ended. */
  | { type: 'dropped'; uid: string; message: string }
  /** No worker will come any more. */
  | { type: 'deserted'; error: unknown }
  /** There was no call for long: links are given up until the next ones. */
  | { type: 'rest' }
  /** No new calls; those in flight go on. */
  | { type: 'drain' }
  /** The last call has ended. */
  | { type: 'idle' }
  /** Cancel what is in flight. */
  | { type: 'abort'; error: unknown };

export const proxyChart = defineChart<null, ProxyEvent>({
  id: 'proxy',
  initial: 'open',
  context: () => null,
  states: {
    open: {
      description: 'takes calls',
      on: {
        added: { effects: ['add'] },
        updated: { effects: ['update'] },
        unlisted: { effects: ['unlist'] },
        dropped: { effects: ['drop'] },
        deserted: { effects: ['desert'] },
        rest: { effects: ['rest'] },
        drain: { target: 'draining' },
        abort: { target: 'closed', effects: ['cancelAll'] },
      },
    },
    draining: {
      description: 'refuses new calls and steps, and waits for those in flight',
      entry: ['settle', 'checkIdle'],
      on: {
        added: { effects: ['add'] },
        updated: { effects: ['update'] },
        unlisted: { effects: ['unlist'] },
        dropped: { effects: ['drop'] },
        deserted: { effects: ['desert'] },
        idle: { target: 'closed' },
        abort: { target: 'closed', effects: ['cancelAll'] },
      },
    },
    closed: { final: true, entry: ['dismissAll'], description: 'holds nothing' },
  },
});

export interface ProxyOptions {
  readonly env: Env;
  readonly limits: Limits;
  /** Those for the workers' beats included. */
  readonly transports: readonly Dialer[];
  /** The same for workers of which somebody says that they are there (`hearsay`). Default: the same. */
  readonly foundTransports?: readonly Dialer[] | undefined;
  readonly policy: LoadBalancer;
  readonly maxQueue: number;
  /** Somebody waits for a call, for the first time since `checkAwaited` was false. */
  readonly awaited?: () => void;
  /**
   * A worker is given up when it gave no sign of life for so many milliseconds; Infinity: never.
   * Default: 10,000.
   */
  readonly lostAfterMs?: number;
  /** The process of a worker has given no sign of life, and was given up. */
  readonly lost?: (uid: string, message: string) => void;
  /**
   * A worker is not used any more; it refused the link for the reason, if there is one. One that is still
   * there may be added again.
   */
  readonly gone?: (uid: string, refusal: CloseReason | undefined) => void;
  /** The link to a worker did not come up; it is tried again after a pause. */
  readonly failed?: (uid: string, reason: CloseReason) => void;
  /** The link to a worker came up. */
  readonly answered?: (uid: string) => void;
  /**
   * A call fails, with `NoWorkersAvailable`, when it has waited for so many milliseconds and there is no
   * worker at all. Default: Infinity, it waits.
   */
  readonly patienceMs?: number;
  /**
   * Whether waiting for a worker helps only if one comes that is not known yet: calls wait less long then.
   * `despair` is to be called when it has become true. Default: it helps.
   */
  readonly hopeless?: () => boolean;
  /** Why there may be no workers, for that error. Default: nothing is said. */
  readonly why?: () => string;
  /** Its cause. Default: none. */
  readonly cause?: () => unknown;
  /**
   * Which modules are imported because a worker names them, in what it answers: all, or none but those of
   * packages. Default: as for the process.
   */
  readonly modules?: (worker: WorkerAddress) => ModulePolicy | undefined;
  /** Connects to each worker when it is added, and not when the first call goes there. */
  readonly eager?: boolean;
  /** What the process knows of tokens. Default: one of its own. */
  readonly home?: ContextHome;
  /** Whether values of context variables that can't travel fail the call. Default: false. */
  readonly strictContext?: boolean;
  /** Whether errors in what its calls take along have their stacks, and paths in their texts. Default: true. */
  readonly exposeStacks?: boolean;
  /** A worker has exceeded a limit. Default: nobody counts. */
  readonly breached?: (error: unknown, worker: string) => void;
}

/** What a proxy counts, for tests and for people who look why. */
export interface ProxyStats {
  readonly calls: number;
  readonly waiting: number;
  readonly workers: number;
  readonly deadlines: number;
  /** Frames that came for calls that were over. */
  readonly droppedFrames: number;
  /** Envelopes that a transport brought more than once. */
  readonly duplicateEnvelopes: number;
}

const DEFAULT_LOST_AFTER_MS = 10_000;
/** More than two ticks of a watch: it is sooner to say why no Hello comes than the link is to end for it. */
const WATCH_MS = 2_500;
/** So long new workers must show that they are there before they get calls, after one was not. */
const WARY_MS = 10_000;
/** Workers that are tried out at a time. */
const MAX_TRYING = 8;
const NEVER = () => {};

export class PoolProxy implements Dispatcher {
  /** The caller's epoch: new with every proxy. */
  readonly epoch: string;
  readonly home: ContextHome;
  readonly strictContext: boolean;
  readonly exposeStacks: boolean;
  readonly maxValueBytes: number;
  readonly #options: ProxyOptions;
  readonly #actor: AnyActorRef;
  readonly #balancer: Balancer;
  readonly #deadlines: Deadlines;
  readonly #peers = new Map<string, Peer>();
  /** Until when nobody is believed to be there who has not shown it: somebody was not. */
  #wary = Number.NEGATIVE_INFINITY;
  /** Those that are connected to only to see whether they are there. */
  readonly #trying = new Set<string>();
  readonly #callLogic;
  readonly #ports: PeerPorts;
  readonly #closed: Promise<void>;
  #resolveClosed: () => void = NEVER;
  #state: 'open' | 'draining' | 'closed' = 'open';
  #sequence = 0;
  /** Highest call number that a peer which is over has given: its worker may come back. */
  #lastNumber = 0;
  #inFlight = 0;
  #dropped = 0;
  #duplicates = 0;
  /** `awaited` was called, and `checkAwaited` has not been false since. */
  #told = false;
  /** Calls that wait for `release`, with those that refused them; undefined: none has to. */
  #held: Map<Call, readonly string[]> | undefined;
  /** Generators in flight. */
  readonly #generators = new Map<Call, StepWaiter>();

  constructor(parent: AnyActorRef, options: ProxyOptions) {
    this.#options = options;
    this.epoch = options.env.uid();
    this.home = options.home ?? new ContextHome(options.env);
    this.strictContext = options.strictContext ?? false;
    this.exposeStacks = options.exposeStacks ?? true;
    this.maxValueBytes = options.limits.maxValueBytes;
    this.#deadlines = new Deadlines(options.env);
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#actor = createLightActor(
      toLogic(proxyChart, this.#effects()),
      parent,
      undefined,
      'proxy',
    );
    this.#actor.start();
    this.#balancer = new Balancer(this.#actor, {
      ...options,
      deadlines: this.#deadlines,
      isSure: (uid) => this.#isSure(this.#peers.get(uid)),
      tryOut: (uid) => this.#tryOut(uid),
    });
    this.#callLogic = toLogic(callChart, this.#callEffects());
    const { limits, lostAfterMs = DEFAULT_LOST_AFTER_MS } = options;
    const leastMs = Number.isFinite(lostAfterMs) ? lostAfterMs + WATCH_MS : 0;
    this.#ports = {
      env: options.env,
      limits: { ...limits, helloTimeoutMs: Math.max(limits.helloTimeoutMs, leastMs) },
      epoch: this.epoch,
      eager: options.eager,
      breached: (error, worker) => options.breached?.(error, worker),
      home: this.home,
      connect: (addresses, { expects, hearsay }) => {
        const { transports, foundTransports = transports, env } = options;
        return connectAny(hearsay ? foundTransports : transports, addresses, { env, expects });
      },
      balance: (event) => this.#balancer.send(event),
      modulesFor: (worker) => options.modules?.(worker),
      isFull: (uid) => this.#balancer.isFull(uid),
      lostAfterMs,
      lost: (uid, message) => options.lost?.(uid, message),
      gone: (uid, number, refusal) => {
        this.#peers.delete(uid);
        this.#trying.delete(uid);
        this.#lastNumber = Math.max(this.#lastNumber, number);
        options.gone?.(uid, refusal);
      },
      failed: (uid, reason) => options.failed?.(uid, reason),
      tried: (uid, is) => {
        this.#trying.delete(uid);
        if (is === 'there') return;
        if (is === 'never there') this.#wary = options.env.now() + WARY_MS;
        this.#tryOthers();
      },
      answered: (uid) => options.answered?.(uid),
      dropped: () => {
        this.#dropped += 1;
      },
      duplicate: () => {
        this.#duplicates += 1;
      },
    };
  }

  #isSure(peer: Peer | undefined): boolean {
    if (peer?.standing === 'new') return this.#options.env.now() > this.#wary;
    return peer?.standing === 'good';
  }

  /** Connects to a worker of which nobody knows whether it is there; a few at a time. */
  #tryOut(uid: string): void {
    if (this.#trying.size >= MAX_TRYING || this.#trying.has(uid)) return;
    if (this.#peers.get(uid)?.tryOut()) this.#trying.add(uid);
  }

  /** Calls would meet one after the other of those that are not there. */
  #tryOthers(): void {
    if (this.#inFlight === 0 || this.#state === 'closed') return;
    const unsure: string[] = [];
    for (const [uid, peer] of this.#peers) {
      if (peer.standing === 'good') return;
      unsure.push(uid);
    }
    for (const uid of unsure) this.#tryOut(uid);
  }

  get workers(): readonly WorkerView[] {
    return [...this.#peers.values()].filter((peer) => !peer.isParting).map((peer) => peer.view);
  }

  /** Whether the worker did not answer when it was called last, or was lost since. */
  isInDoubt(uid: string): boolean {
    return this.#peers.get(uid)?.standing === 'doubtful';
  }

  /** Where the link to the worker is up; undefined while it is not. */
  via(uid: string): string | undefined {
    return this.#peers.get(uid)?.via;
  }

  get stats(): ProxyStats {
    return {
      calls: this.#inFlight,
      waiting: this.#balancer.waiting + (this.#held?.size ?? 0),
      workers: this.#peers.size,
      deadlines: this.#deadlines.size,
      droppedFrames: this.#dropped,
      duplicateEnvelopes: this.#duplicates,
    };
  }

  /** Whether somebody waits for a call, or for a step of a generator. If not, `awaited` tells when. */
  checkAwaited(): boolean {
    if (this.#inFlight > this.#generators.size) return true;
    for (const waiter of this.#generators.values()) if (waiter.isAwaited) return true;
    this.#told = false;
    return false;
  }

  /** Calls wait from now on, until `release`: more workers are about to be known. */
  hold(): void {
    this.#held ??= new Map();
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const [call, refused] of held) this.#balancer.send({ type: 'ask', call, refused });
  }

  /** `hopeless` has become true. */
  despair(): void {
    this.#balancer.despair();
  }

  /** Resolves when the proxy is closed. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  send(event: ProxyEvent): void {
    if (this.#state === 'closed') return;
    this.#actor.send('worker' in event ? { ...event, worker: shown(event.worker) } : event);
  }

  call(request: CallRequest, args: Encoded, context?: OutboundContext): Promise<Received> {
    return new Promise((resolve, reject) => {
      this.#start(request, args, { resolve, reject }, context);
    });
  }

  generate(request: CallRequest, args: Encoded): RemoteGenerator {
    let call: Call | undefined;
    const waiter = new StepWaiter(() => {
      if (call && this.#state === 'draining') this.#endSuspended(call);
    });
    const abandon = () => {
      if (call) this.#cancel(call, undefined, CancelReason.ABORTED);
    };
    return {
      abandon,
      abandonWith: (consumer) => this.#options.env.collected(consumer, abandon),
      step: (kind: StepKind, value: Encoded | undefined, context?: OutboundContext) =>
        new Promise<StepResult>((resolve, reject) => {
          waiter.expect(resolve, reject);
          if (call === undefined) {
            call = this.#start(request, args, waiter, context, { kind, value });
            if (call.actor) this.#generators.set(call, waiter);
            return;
          }
          if (!this.#told) this.#tell();
          call.step = { kind, value };
          call.context = context;
          call.actor?.send({ type: 'step' });
        }),
    };
  }

  #start(
    request: CallRequest,
    args: Encoded,
    waiter: Waiter,
    context: OutboundContext | undefined,
    step?: Call['step'],
  ): Call {
    this.#sequence += 1;
    const call: Call = {
      sequence: this.#sequence,
      request,
      waiter,
      args,
      attempt: 1,
      actor: undefined,
      place: '',
      number: 0,
      context,
      declined: undefined,
      hunger: undefined,
      step,
      deadline: undefined,
      unlisten: undefined,
      abandon: undefined,
    };
    if (!this.#admit(call)) return call;
    const actor = createLightActor(this.#callLogic, this.#actor, call);
    call.actor = actor;
    this.#inFlight += 1;
    if (!this.#told) this.#tell();
    actor.start();
    return call;
  }

  #tell(): void {
    this.#told = true;
    this.#options.awaited?.();
  }

  /** Looks at what may end the call before it begins, and watches it. */
  #admit(call: Call): boolean {
    const { timeoutMs, signal, routine, label = routine.name } = call.request;
    if (this.#state !== 'open') {
      call.waiter.reject(new PoolClosed(`the pool was closed before the call of '${label}'`));
      return false;
    }
    if (signal !== undefined) {
      if (signal.aborted) {
        call.waiter.reject(signal.reason);
        return false;
      }
      const listener = () => this.#cancel(call, signal.reason, CancelReason.ABORTED);
      signal.addEventListener('abort', listener);
      call.unlisten = () => signal.removeEventListener('abort', listener);
    }
    if (timeoutMs !== undefined) {
      call.deadline = this.#deadlines.add(Math.max(0, timeoutMs), () => {
        const ms = Math.round(timeoutMs);
        const message = `the call of '${label}' did not end within ${ms} ms${this.#excuse(call)}`;
        const error = new DispatchTimeout(message, { timeoutMs });
        this.#cancel(call, error, CancelReason.TIMEOUT);
      });
    }
    return true;
  }

  /** Why a call that comes to no end has not even begun, where that is plain. */
  #excuse({ place, declined }: Call): string {
    const peer = this.#peers.get(place);
    if (peer !== undefined && peer.standing !== 'new') return '';
    const never = ': it never began, as no worker';
    if (peer === undefined && declined !== undefined) return `${never} wanted it (backpressure)`;
    for (const { standing } of this.#peers.values()) if (standing === 'good') return '';
    const why = this.#options.why?.() ?? '';
    return `${never} was there${why && ` (${why})`}`;
  }

  #endSuspended(call: Call): void {
    const { name } = call.request.routine;
    const error = new PoolClosed(`the pool was closed before the generator '${name}' had ended`);
    this.#cancel(call, error, CancelReason.ABORTED);
  }

  #cancel(call: Call, error: unknown, reason: CancelReason): void {
    call.actor?.send({ type: 'cancel', error, reason } satisfies CallEvent);
  }

  #callEffects() {
    return callEffects({
      ask: (call, refused) => {
        if (this.#held) this.#held.set(call, refused);
        else this.#balancer.send({ type: 'ask', call, refused });
      },
      offer: (call, worker) => {
        const peer = this.#peers.get(worker);
        if (peer) peer.offer(call);
        else call.actor?.send({ type: 'refused' });
      },
      forward: (call) => this.#peers.get(call.place)?.step(call),
      leave: (call) => this.#leave(call),
      withdraw: (call, reason) => {
        const peer = this.#peers.get(call.place);
        if (peer) peer.withdraw(call, reason);
        else if (!this.#held?.delete(call)) this.#balancer.send({ type: 'forget', call });
      },
      release: (call) => this.#release(call),
    });
  }

  #release(call: Call): void {
    call.unlisten?.();
    if (call.deadline) this.#deadlines.remove(call.deadline);
    if (call.declined?.pause) this.#deadlines.remove(call.declined.pause);
    if (call.hunger) this.#deadlines.remove(call.hunger);
    this.#inFlight -= 1;
    call.actor = undefined;
    if (call.request.generator) this.#generators.delete(call);
    this.#leave(call);
    if (this.#inFlight === 0 && this.#state === 'draining') this.send({ type: 'idle' });
  }

  /** The call is no longer on its worker, which has room for another one. */
  #leave(call: Call): void {
    const peer = this.#peers.get(call.place);
    if (!peer) return;
    peer.release(call);
    const { uid } = peer.view;
    if (this.#balancer.awaits(uid)) this.#balancer.send({ type: 'freed', uid });
  }

  #effects() {
    return {
      add: (_context: null, { worker }: EventOf<ProxyEvent, 'added'>) => {
        const known = this.#peers.get(worker.uid);
        if (known) return known.send({ type: 'listed' });
        const peer = new Peer(this.#actor, worker, this.#ports, this.#lastNumber);
        this.#peers.set(worker.uid, peer);
        peer.announce();
        if (this.#options.eager) peer.send({ type: 'connect' });
      },
      update: (_context: null, { worker }: EventOf<ProxyEvent, 'updated'>) => {
        this.#peers.get(worker.uid)?.update(worker);
        this.#balancer.recount();
      },
      unlist: (_context: null, { uid }: EventOf<ProxyEvent, 'unlisted'>) =>
        this.#peers.get(uid)?.unlist(),
      drop: (_context: null, { uid, message }: EventOf<ProxyEvent, 'dropped'>) =>
        this.#peers.get(uid)?.send({ type: 'died', message }),
      desert: (_context: null, { error }: EventOf<ProxyEvent, 'deserted'>) =>
        this.#balancer.send({ type: 'close', error }),
      rest: () => {
        for (const peer of this.#peers.values()) peer.rest();
      },
      settle: () => {
        this.#state = 'draining';
        for (const [call, waiter] of [...this.#generators]) {
          if (!waiter.isAwaited) this.#endSuspended(call);
        }
      },
      checkIdle: () => {
        if (this.#inFlight === 0) this.send({ type: 'idle' });
      },
      cancelAll: (_context: null, { error }: EventOf<ProxyEvent, 'abort'>) => {
        this.#state = 'closed';
        for (const call of this.#everyCall()) this.#cancel(call, error, CancelReason.ABORTED);
      },
      dismissAll: () => {
        this.#state = 'closed';
        for (const peer of [...this.#peers.values()]) {
          peer.send({ type: 'dismiss', message: 'the pool was closed' });
        }
        this.#resolveClosed();
      },
    };
  }

  #everyCall(): Call[] {
    const held = this.#held?.keys() ?? [];
    return [
      ...held,
      ...this.#balancer.queued,
      ...[...this.#peers.values()].flatMap((peer) => peer.calls),
    ];
  }
}

/** Gives the outcome of each step to the promise that waits for it. */
class StepWaiter implements Waiter {
  #pending: { resolve: (step: StepResult) => void; reject: (error: unknown) => void } | undefined;
  #failure: { error: unknown } | undefined;
  readonly #suspended: () => void;

  /** @param suspended is called when a step has ended, and the generator has not. */
  constructor(suspended: () => void) {
    this.#suspended = suspended;
  }

  get isAwaited(): boolean {
    return this.#pending !== undefined;
  }

  expect(resolve: (step: StepResult) => void, reject: (error: unknown) => void): void {
    if (this.#failure) reject(this.#failure.error);
    else this.#pending = { resolve, reject };
  }

  resolve(value: Received, done: boolean): void {
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.resolve({ value, done });
    if (!done) this.#suspended();
  }

  /** A generator may fail between two steps; the next one tells. */
  reject(error: unknown): void {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#failure = { error };
    pending?.reject(error);
  }
}
