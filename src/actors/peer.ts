/**
 * The caller's end of the link to one worker: connects when the first task comes, carries the frames
 * of all calls, and says of each call whether it may have started when the link is lost. Charted in
 * docs/statecharts.md.
 */
import { isDeepStrictEqual } from 'node:util';
import type { AnyActorRef } from 'xstate';
import type { WorkerView } from '../balancing/balancer.ts';
import type { ContextHome } from '../context/home.ts';
import { outside } from '../context/scope.ts';
import type { WorkerAbout } from '../discovery/discovery.ts';
import type { Env, Timer } from '../env.ts';
import type { ModulePolicy } from '../routine/whereabouts.ts';
import { withoutWildcard } from '../transport/address.ts';
import { type Limits, Link } from '../transport/link.ts';
import type { Channel, CloseReason } from '../transport/transport.ts';
import type { CancelReason, Frame } from '../wire/frame.ts';
import { createLightActor } from './actor.ts';
import type { BalancerEvent } from './balancer.ts';
import { beatOf } from './beats.ts';
import type { Call } from './call.ts';
import { Offers } from './offers.ts';
import { defineChart, type EventOf, toLogic } from './statechart.ts';
import { shortUid } from './steps.ts';
import { Watch } from './watch.ts';

export type PeerEvent =
  /** A call wants its task sent. */
  | { type: 'offer'; call: Call }
  /** Connect now, before there is a call. */
  | { type: 'connect' }
  /** The link is up. */
  | { type: 'up' }
  /** The link ended, or never came up. */
  | { type: 'down'; reason: CloseReason }
  /** The pause after a failure is over. */
  | { type: 'retry' }
  /** There is no call, and was none for long: the link is not worth its cost. */
  | { type: 'rest' }
  /** The worker takes no more tasks: it is about to stop. */
  | { type: 'drained' }
  /** It is not named any more, which may be a mistake; `free`: it has none of our calls. */
  | { type: 'unlisted'; free: boolean }
  /** It is named again. */
  | { type: 'listed' }
  /** The last call here has ended, after it was named no more. */
  | { type: 'idle' }
  /** The worker's process has ended. */
  | { type: 'died'; message: string }
  /** The link of a worker that died has not ended in time. */
  | { type: 'silent' }
  /** The proxy closes. */
  | { type: 'dismiss'; message: string };

export interface PeerContext {
  /** Failures since the link was last up; the pause grows with them. */
  readonly failures: number;
  /** How the worker's process ended. */
  readonly death: string;
}

// Leaves before the calls are told: a place that one of them frees would be given to the next.
const dismissed = { target: 'gone', effects: ['leave', 'hangUp'] } as const;
const orphaned = { target: 'parting', assign: 'died' } as const;

export const peerChart = defineChart<PeerContext, PeerEvent>({
  id: 'peer',
  initial: 'idle',
  context: () => ({ failures: 0, death: '' }),
  assigns: {
    failed: ({ failures }) => ({ failures: failures + 1 }),
    succeeded: () => ({ failures: 0 }),
    died: (_context, event) => ({ death: (event as EventOf<PeerEvent, 'died'>).message }),
  },
  guards: {
    final: (_context, event) => (event as EventOf<PeerEvent, 'down'>).reason.code === 'refused',
    rests: (_context, event) => (event as EventOf<PeerEvent, 'down'>).reason.idle === true,
    free: (_context, event) => (event as EventOf<PeerEvent, 'unlisted'>).free,
  },
  states: {
    idle: {
      description: 'no link',
      on: {
        connect: { target: 'connecting', effects: ['connect'] },
        offer: { target: 'connecting', effects: ['hold', 'connect'] },
        unlisted: { target: 'gone' },
        died: dismissed,
        dismiss: dismissed,
      },
    },
    connecting: {
      description: 'the link is not up yet: calls are held',
      on: {
        offer: { effects: ['hold'] },
        up: { target: 'ready', assign: 'succeeded', effects: ['sendHeld'] },
        down: [
          { target: 'gone', guard: 'final', effects: ['leave', 'refuseHeld'] },
          { target: 'cooling', assign: 'failed', effects: ['leave', 'refuseHeld'] },
        ],
        unlisted: dismissed,
        died: dismissed,
        dismiss: dismissed,
      },
    },
    ready: {
      description: 'the link is up',
      on: {
        offer: { effects: ['send'] },
        down: [
          { target: 'idle', guard: 'rests', effects: ['lose', 'keep'] },
          { target: 'gone', guard: 'final', effects: ['leave', 'lose'] },
          { target: 'cooling', assign: 'failed', effects: ['leave', 'lose'] },
        ],
        drained: { target: 'draining' },
        rest: { target: 'idle', effects: ['hangUp'] },
        unlisted: [{ ...dismissed, guard: 'free' }, { target: 'retiring' }],
        died: orphaned,
        dismiss: dismissed,
      },
    },
    retiring: {
      description: 'it is named no more: calls that run go on, new ones go elsewhere',
      entry: ['leave', 'retire'],
      on: {
        offer: { effects: ['refuse'] },
        listed: { target: 'ready', effects: ['rejoin'] },
        idle: dismissed,
        down: { target: 'gone', effects: ['lose'] },
        drained: { target: 'draining' },
        died: orphaned,
        dismiss: dismissed,
      },
    },
    draining: {
      description: 'calls that run go on; new ones are refused',
      entry: ['leave'],
      on: {
        offer: { effects: ['refuse'] },
        down: { target: 'gone', effects: ['lose'] },
        died: orphaned,
        dismiss: dismissed,
      },
    },
    parting: {
      description: 'the process has ended: what it sent last is still on its way',
      entry: ['leave', 'waitForEnd'],
      on: {
        offer: { effects: ['refuse'] },
        down: { target: 'gone', effects: ['lose'] },
        silent: dismissed,
        dismiss: dismissed,
      },
    },
    cooling: {
      description: 'the link failed: a pause before the next try',
      entry: ['leave', 'pause'],
      on: {
        offer: { effects: ['refuse'] },
        retry: { target: 'idle', effects: ['join'] },
        unlisted: { target: 'gone' },
        died: { target: 'gone' },
        dismiss: { target: 'gone' },
      },
    },
    gone: {
      description: 'the worker is given up',
      final: true,
      entry: ['leave', 'forget'],
    },
  },
});

/** What a peer needs of the proxy that it belongs to. */
export interface PeerPorts {
  readonly env: Env;
  readonly limits: Limits;
  /** The caller's epoch. */
  readonly epoch: string;
  /** Whether there is a link also when there is no call. */
  readonly eager?: boolean | undefined;
  readonly home: ContextHome;
  /** A worker is given up when it gave no sign of life for so many milliseconds. */
  readonly lostAfterMs: number;
  /**
   * Opens a channel to a worker at the first of its addresses that answers, or to a beat.
   *
   * @throws ProtocolError when there is no transport for any of the addresses
   */
  connect(addresses: readonly [string, ...string[]], who: WhoIsMeant): Channel;
  /** Which modules are imported because the worker names them; undefined: as for the process. */
  modulesFor(worker: WorkerAddress): ModulePolicy | undefined;
  balance(event: BalancerEvent): void;
  /** Whether calls wait for the worker, which refused one as one too many. */
  isFull(uid: string): boolean;
  /**
   * The peer is over; the worker is not used any more. `number` is the last that it gave to a call; the
   * worker refused the link for the reason, if there is one.
   */
  gone(uid: string, number: number, refusal: CloseReason | undefined): void;
  /** The link is up; or it did not come up, or not soon, of a worker that was there before or of another one. */
  tried(uid: string, is: 'there' | 'not there' | 'never there'): void;
  /** The link did not come up; it is tried again after a pause. */
  failed(uid: string, reason: CloseReason): void;
  /** The link came up. */
  answered(uid: string): void;
  /** The worker's process has given no sign of life, and was given up. */
  lost(uid: string, message: string): void;
  /** A frame for a call that is no longer in progress was dropped. */
  dropped(frame: Frame): void;
  /** An envelope that came twice was dropped. */
  duplicate(): void;
  /** The worker has exceeded a limit. */
  breached?(error: unknown, worker: string): void;
}

export interface WhoIsMeant {
  /** The uid of the worker that is meant. Default: whoever answers. */
  readonly expects?: string;
  /** Whether somebody says that it is there, and the pool does not know. */
  readonly hearsay: boolean;
}

export interface WorkerAddress {
  readonly uid: string;
  readonly address: string;
  /** Other addresses of the same worker: tried where `address` does not connect. */
  readonly alternatives?: readonly string[] | undefined;
  /** Where a thread answers for its process while its event loop is blocked, for those who connect at `address`. */
  readonly beat?: string | undefined;
  readonly tags: readonly string[];
  /** Tasks that it runs at a time; undefined for any number. */
  readonly capacity?: number | undefined;
  /** Somebody says that it is there: whether it is shows on the link. */
  readonly hearsay?: boolean | undefined;
}

/** The pause after a first failure, and the longest, in milliseconds. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
/** The longest where nobody has ever answered: what was announced need not be there at all. */
const LONGEST_UNMET_PAUSE_MS = 30_000;
/** After so long a worker that was busy with the tasks of others is asked again. */
const BUSY_PAUSE_MS = 50;
/** The kernel ends the links of a process that has ended; what they still hold is read by then. */
const PARTING_MS = 1_000;

/** So long calls wait for the link to a worker of which nobody knows yet whether it is there. */
const TRUST_MS = 500;

/**
 * Whether a worker is there: it was spawned here, or has answered on the last link; somebody has said so; or it
 * did not answer when it was called last.
 */
export type Standing = 'good' | 'new' | 'doubtful';

const REFUSED = { type: 'refused' } as const;

type Changing<T> = { -readonly [K in keyof T]: T[K] };

export class Peer {
  readonly view: Changing<WorkerView>;
  #alternatives: readonly string[];
  /** Whether somebody says where it is, and the pool does not know. */
  #hearsay: boolean;
  /** As those say who named the worker: they may have a way of their own to it. */
  #beat: string | undefined;
  /** As the worker said itself on the last link. */
  #saidBeat: string | undefined;
  /** Where the link is up. */
  #via: string | undefined;
  readonly #ports: PeerPorts;
  readonly #actor: AnyActorRef;
  /** Calls that wait for the link. */
  readonly #held = new Set<Call>();
  readonly #offers: Offers;
  #link: Link | undefined;
  #watch: Watch | undefined;
  #timer: Timer | undefined;
  #trust: Timer | undefined;
  #busy: Timer | undefined;
  #refusal: CloseReason | undefined;
  /** The worker has answered on the last link. */
  #met = false;
  /** It has answered on any. */
  #known = false;
  #standing: Standing;
  /** It ends with the last of its calls. */
  #retiring = false;
  #parting = false;
  #over = false;

  /** @param lastNumber after which its calls are numbered: a worker that knows the caller admits no other */
  constructor(parent: AnyActorRef, worker: WorkerAddress, ports: PeerPorts, lastNumber: number) {
    const { uid, address, tags, capacity = Number.POSITIVE_INFINITY } = worker;
    this.#alternatives = worker.alternatives ?? [];
    this.#hearsay = worker.hearsay ?? false;
    this.view = { uid, address, tags, capacity, inFlight: 0, stalled: false };
    this.#beat = beatOf(worker);
    this.#standing = worker.hearsay ? 'new' : 'good';
    this.#ports = ports;
    const offersPorts = {
      env: ports.env,
      home: ports.home,
      limits: ports.limits,
      breached: (error: unknown) => this.#note(error),
      refuse: (call: Call) => this.#refuse(call),
      decline: (call: Call) => this.#decline(call),
      busy: () => this.#retryBusy(),
      drained: () => this.send({ type: 'drained' }),
      dropped: (frame: Frame) => ports.dropped(frame),
    };
    this.#offers = new Offers(offersPorts, lastNumber);
    this.#offers.modules = ports.modulesFor(worker);
    const logic = toLogic(peerChart, {
      // The link outlives the call that it is made for.
      connect: () => outside(() => this.#connect()),
      hold: (_context, { call }: EventOf<PeerEvent, 'offer'>) => {
        this.#held.add(call);
      },
      sendHeld: () => {
        const held = [...this.#held];
        this.#held.clear();
        for (const call of held) this.#offers.send(call);
      },
      send: (_context, { call }: EventOf<PeerEvent, 'offer'>) => this.#offers.send(call),
      refuse: (_context, { call }: EventOf<PeerEvent, 'offer'>) => this.#refuse(call),
      refuseHeld: () => this.#loseAll('the link never came up'),
      lose: ({ death }, { reason }: EventOf<PeerEvent, 'down'>) =>
        this.#loseAll(death || reason.message, reason.cause),
      keep: () => {
        if (ports.eager) this.send({ type: 'connect' });
      },
      hangUp: ({ death }, event) => {
        const link = this.#link;
        this.#watch?.end();
        this.#loseAll('message' in event ? event.message : death);
        link?.close();
      },
      waitForEnd: () => {
        this.#parting = true;
        this.#link?.orphan();
        this.#timer = ports.env.timer(PARTING_MS, () => this.send({ type: 'silent' }));
      },
      pause: ({ failures }, event) => {
        if (!this.#met && event.type === 'down') ports.failed(this.view.uid, event.reason);
        this.#doubt();
        const longest = this.#known ? LONGEST_PAUSE_MS : LONGEST_UNMET_PAUSE_MS;
        const ms = Math.min(longest, FIRST_PAUSE_MS * 2 ** (failures - 1));
        const jitter = 0.5 + ports.env.random() / 2;
        this.#timer = ports.env.timer(ms * jitter, () => this.send({ type: 'retry' }));
      },
      join: () => {
        this.#timer?.cancel();
        this.announce();
        // No call may go there until it is heard: it is asked without one.
        if (this.view.stalled) this.send({ type: 'connect' });
      },
      retire: () => {
        this.#retiring = true;
      },
      rejoin: () => {
        this.#retiring = false;
        this.announce();
      },
      leave: () => ports.balance({ type: 'leave', uid: this.view.uid }),
      forget: () => {
        this.#over = true;
        this.#timer?.cancel();
        this.#busy?.cancel();
        ports.gone(this.view.uid, this.#offers.lastNumber, this.#refusal);
      },
    });
    this.#actor = createLightActor(logic, parent, undefined, `peer ${worker.uid}`);
    this.#actor.start();
  }

  /** What is known of the worker has changed. A link that is up stays; the next one goes to the new address. */
  update(worker: WorkerAddress): void {
    const { address, tags, capacity = Number.POSITIVE_INFINITY } = worker;
    // Somebody else says where it is now.
    if (worker.hearsay) this.#offers.modules = this.#ports.modulesFor(worker);
    this.#alternatives = worker.alternatives ?? [];
    this.#hearsay = worker.hearsay ?? false;
    this.#beat = beatOf(worker) ?? this.#beat;
    Object.assign(this.view, { address, tags, capacity });
  }

  /** Tells the balancer that calls may come. */
  announce(): void {
    this.#ports.balance({ type: 'join', worker: this.view });
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** Its process has ended, and only what that sent last is waited for. */
  get isParting(): boolean {
    return this.#parting;
  }

  /** Which of the worker's addresses the link is up at; undefined while it is not. */
  get via(): string | undefined {
    return this.#via;
  }

  /** Connects to find out whether the worker is there. Returns false when a link is there already, or comes up. */
  tryOut(): boolean {
    if (this.#link !== undefined) return false;
    this.send({ type: 'connect' });
    return this.#link !== undefined;
  }

  /** The calls that are offered here, or run on the worker. */
  get calls(): Call[] {
    return [...this.#held, ...this.#offers.calls];
  }

  send(event: PeerEvent): void {
    if (event.type === 'down' && event.reason.code === 'refused') this.#refusal = event.reason;
    // XState complains of events for an actor that has ended; the end of its link is one.
    if (!this.#over) this.#actor.send(event);
  }

  offer(call: Call): void {
    call.place = this.view.uid;
    this.view.inFlight += 1;
    this.send({ type: 'offer', call });
  }

  /** Sends a generator's next step. */
  step(call: Call): void {
    this.#offers.step(call);
  }

  /** The caller of `call` gave up. */
  withdraw(call: Call, reason: CancelReason): void {
    if (!this.#held.delete(call)) this.#offers.withdraw(call, reason);
  }

  /** A call that was offered here has ended, or goes elsewhere. */
  release(call: Call): void {
    call.place = '';
    this.#held.delete(call);
    this.#offers.delete(call);
    this.view.inFlight -= 1;
    if (this.#retiring && this.view.inFlight === 0) this.send({ type: 'idle' });
  }

  /** Gives the link up until the next call, if there is none now. One that is stalled is listened to on. */
  rest(): void {
    if (this.view.inFlight === 0 && !this.view.stalled) this.send({ type: 'rest' });
  }

  /** Discovery does not name the worker any more. */
  unlist(): void {
    this.send({ type: 'unlisted', free: this.view.inFlight === 0 });
  }

  #connect(): void {
    const { env, limits, epoch } = this.#ports;
    const { uid, address } = this.view;
    const alternatives = this.#alternatives;
    this.#met = false;
    let channel: Channel;
    try {
      const who = { expects: uid, hearsay: this.#hearsay };
      channel = this.#ports.connect([address, ...alternatives], who);
    } catch (cause) {
      const reason = { code: 'refused' as const, message: String(cause), cause };
      this.send({ type: 'down', reason });
      return;
    }
    const link = new Link(
      channel,
      { env, limits, uid: epoch, expects: uid },
      {
        up: ({ max_calls }, about) => {
          this.#offers.limit(max_calls);
          this.#met = true;
          this.#known = true;
          this.#standing = 'good';
          this.#trust?.cancel();
          this.#ports.tried(this.view.uid, 'there');
          this.#ports.answered(uid);
          this.#via = alternatives.length === 0 ? address : link.remote;
          if (about) this.#describe(about);
          this.view.stalled = false;
          this.send({ type: 'up' });
        },
        frame: (frame) => this.#offers.receive(frame),
        duplicate: () => this.#ports.duplicate(),
        breached: (error) => this.#note(error),
        pong: () => watch.answered(),
        closed: (reason) => {
          watch.end();
          this.#trust?.cancel();
          // There may be another one by now.
          if (this.#link === link) this.send({ type: 'down', reason });
        },
      },
    );
    this.#link = link;
    this.#offers.begin(link);
    const watch = this.#watchOver(link, address);
    this.#watch = watch;
    if (this.#standing !== 'new') return;
    this.#trust = env.timer(TRUST_MS, () => {
      this.#doubt();
      this.#refuseHeld();
    });
  }

  #note(error: unknown): void {
    const { uid, address } = this.view;
    this.#ports.breached?.(error, `worker ${shortUid(uid)} at ${address}`);
  }

  #doubt(): void {
    const wasNew = this.#standing === 'new';
    this.#standing = 'doubtful';
    this.#ports.tried(this.view.uid, wasNew ? 'never there' : 'not there');
  }

  /** What the worker says of itself counts more than what others say of it. */
  #describe({ tags = [], beat, channel }: WorkerAbout): void {
    this.#saidBeat = beat;
    const capacity = channel?.concurrency ?? Number.POSITIVE_INFINITY;
    const same = capacity === this.view.capacity && isDeepStrictEqual(tags, this.view.tags);
    if (same) return;
    this.view.tags = tags;
    this.view.capacity = capacity;
    this.#ports.balance({ type: 'leave', uid: this.view.uid });
    this.announce();
  }

  /** @param address where the link is, unless it came up at an alternative */
  #watchOver(link: Link, address: string): Watch {
    const { env, lostAfterMs, connect, lost } = this.#ports;
    const hearsay = this.#hearsay;
    return new Watch(this.#actor, {
      env,
      lostAfterMs,
      link,
      beat: () => {
        const via = this.#via ?? address;
        // Where it is connected at an alternative, its own network may be out of reach.
        const beat = via === address ? (this.#beat ?? this.#saidBeat) : this.#saidBeat;
        return beat === undefined ? undefined : connect([withoutWildcard(beat, via)], { hearsay });
      },
      stalled: (stalled) => {
        this.view.stalled = stalled;
        // Nothing of the calls that wait for the link was sent: others may take them.
        if (!stalled || this.#met) return;
        this.#doubt();
        this.#refuseHeld();
      },
      lost: (silent) => {
        const message = silent
          ? `it gave no sign of life for ${lostAfterMs} ms`
          : `nothing came from it for ${lostAfterMs} ms, though its process runs: the connection is dead`;
        link.giveUp(message);
        if (silent) lost(this.view.uid, message);
      },
    });
  }

  /** Busy with the tasks of others: no end of a call here will tell that there is room. */
  #retryBusy(): void {
    this.#ports.balance({ type: 'full', uid: this.view.uid });
    this.#askAgain();
  }

  /** One call after the other, since there may be room for more than the one that was tried. */
  #askAgain(): void {
    const { env, balance, isFull } = this.#ports;
    const { uid } = this.view;
    this.#busy ??= env.timer(BUSY_PAUSE_MS, () => {
      this.#busy = undefined;
      balance({ type: 'freed', uid });
      if (isFull(uid)) this.#askAgain();
    });
  }

  #refuse(call: Call): void {
    call.context?.refuse();
    this.release(call);
    call.actor?.send(REFUSED);
  }

  /** Its place is free for calls that the worker does want. */
  #decline(call: Call): void {
    const { uid } = this.view;
    call.declined ??= { by: [], times: 0, pause: undefined };
    if (!call.declined.by.includes(uid)) call.declined.by.push(uid);
    this.#refuse(call);
    this.#ports.balance({ type: 'freed', uid });
  }

  #refuseHeld(): void {
    const held = [...this.#held];
    this.#held.clear();
    for (const call of held) this.#refuse(call);
  }

  #loseAll(message: string, cause?: unknown): void {
    this.#link = undefined;
    this.#via = undefined;
    this.#refuseHeld();
    this.#offers.end(message, cause);
  }
}
