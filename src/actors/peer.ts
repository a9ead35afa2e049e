/**
 * The caller's end of the link to one worker: connects when the first task comes, carries the frames
 * of all calls, and says of each call whether it may have started when the link is lost. Charted in
 * docs/statecharts.md.
 */
import type { AnyActorRef } from 'xstate';
import type { WorkerView } from '../balancing/balancer.ts';
import type { Env, Timer } from '../env.ts';
import { ProtocolError, SkeinError } from '../errors.ts';
import { type Limits, Link } from '../transport/link.ts';
import type { Channel, CloseReason } from '../transport/transport.ts';
import { decodeError } from '../wire/error.ts';
import {
  CancelReason,
  type Frame,
  type FrameOf,
  NackReason,
  type OutValue,
  type Value,
} from '../wire/frame.ts';
import { createLightActor } from './actor.ts';
import type { BalancerEvent } from './balancer.ts';
import type { Call, CallEvent, Step } from './call.ts';
import { defineChart, type EventOf, toLogic } from './statechart.ts';
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
        down: { target: 'cooling', assign: 'failed', effects: ['leave', 'lose'] },
        drained: { target: 'draining' },
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
  /** A worker is given up when it gave no sign of life for so many milliseconds. */
  readonly lostAfterMs: number;
  /**
   * Opens a channel to a worker, or to its beat.
   *
   * @throws ProtocolError when there is no transport for the address
   */
  connect(address: string): Channel;
  balance(event: BalancerEvent): void;
  /** The peer is over; the worker is not used any more. `number` is the last that it gave to a call. */
  gone(uid: string, number: number): void;
  /** The worker's process has given no sign of life, and was given up. */
  lost(uid: string, message: string): void;
  /** A frame for a call that is no longer in progress was dropped. */
  dropped(frame: Frame): void;
  /** An envelope that came twice was dropped. */
  duplicate(): void;
}

export interface WorkerAddress {
  readonly uid: string;
  readonly address: string;
  /** Where a thread answers for its process while its event loop is blocked. */
  readonly beat?: string | undefined;
  readonly tags: readonly string[];
  /** Tasks that it runs at a time; undefined for any number. */
  readonly capacity?: number | undefined;
}

/** The pause after a first failure, and the longest, in milliseconds. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
/** After so long a worker that was busy with the tasks of others is asked again. */
const BUSY_PAUSE_MS = 50;
/** The kernel ends the links of a process that has ended; what they still hold is read by then. */
const PARTING_MS = 1_000;

const ACK = { type: 'ack' } as const;
const REFUSED = { type: 'refused' } as const;

export class Peer {
  readonly view: WorkerView & { inFlight: number; stalled: boolean };
  readonly #beat: string | undefined;
  readonly #ports: PeerPorts;
  readonly #actor: AnyActorRef;
  readonly #calls = new Map<number, Call>();
  readonly #held = new Set<Call>();
  /** Calls whose large arguments are on their way in chunks. */
  readonly #sending = new Set<Call>();
  #routines = new Map<object, number>();
  #link: Link | undefined;
  #number: number;
  #timer: Timer | undefined;
  #busy: Timer | undefined;
  /** It ends with the last of its calls. */
  #retiring = false;
  #over = false;

  /** @param lastNumber after which its calls are numbered: a worker that knows the caller admits no other */
  constructor(parent: AnyActorRef, worker: WorkerAddress, ports: PeerPorts, lastNumber: number) {
    const { uid, address, beat, tags, capacity = Number.POSITIVE_INFINITY } = worker;
    this.view = { uid, address, tags, capacity, inFlight: 0, stalled: false };
    this.#beat = beat;
    this.#ports = ports;
    this.#number = lastNumber;
    const logic = toLogic(peerChart, {
      connect: () => this.#connect(),
      hold: (_context, { call }: EventOf<PeerEvent, 'offer'>) => {
        this.#held.add(call);
      },
      sendHeld: () => {
        const held = [...this.#held];
        this.#held.clear();
        for (const call of held) this.#send(call);
      },
      send: (_context, { call }: EventOf<PeerEvent, 'offer'>) => this.#send(call),
      refuse: (_context, { call }: EventOf<PeerEvent, 'offer'>) => this.#refuse(call),
      refuseHeld: () => this.#loseAll('the link never came up'),
      lose: ({ death }, { reason }: EventOf<PeerEvent, 'down'>) =>
        this.#loseAll(death || reason.message, reason.cause),
      hangUp: ({ death }, event) => {
        const link = this.#link;
        this.#loseAll('message' in event ? event.message : death);
        link?.close();
      },
      waitForEnd: () => {
        this.#timer = ports.env.timer(PARTING_MS, () => this.send({ type: 'silent' }));
      },
      pause: ({ failures }) => {
        const ms = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
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
        ports.gone(this.view.uid, this.#number);
      },
    });
    this.#actor = createLightActor(logic, parent, undefined, `peer ${worker.uid}`);
    this.#actor.start();
  }

  /** Tells the balancer that calls may come. */
  announce(): void {
    this.#ports.balance({ type: 'join', worker: this.view });
  }

  /** The calls that are offered here, or run on the worker. */
  get calls(): Call[] {
    return [...this.#held, ...this.#sending, ...this.#calls.values()];
  }

  send(event: PeerEvent): void {
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
    const { step, number } = call;
    if (step === undefined || number === 0) return;
    this.#attempt(call, () => this.#sendStep(number, step));
  }

  /** The caller of `call` gave up. */
  withdraw(call: Call, reason: CancelReason): void {
    if (this.#held.delete(call)) return;
    call.abandon?.();
    this.#sending.delete(call);
    if (!this.#calls.delete(call.number)) return;
    this.#link?.send({ call: call.number, cancel: { reason } });
  }

  /** A call that was offered here has ended, or goes elsewhere. */
  release(call: Call): void {
    call.place = '';
    this.#held.delete(call);
    this.#sending.delete(call);
    this.#calls.delete(call.number);
    this.view.inFlight -= 1;
    if (this.#retiring && this.view.inFlight === 0) this.send({ type: 'idle' });
  }

  /** Discovery does not name the worker any more. */
  unlist(): void {
    this.send({ type: 'unlisted', free: this.view.inFlight === 0 });
  }

  #connect(): void {
    const { env, limits, epoch } = this.#ports;
    const { uid, address } = this.view;
    this.#routines = new Map();
    let channel: Channel;
    try {
      channel = this.#ports.connect(address);
    } catch (cause) {
      const reason = { code: 'refused' as const, message: String(cause), cause };
      this.send({ type: 'down', reason });
      return;
    }
    const link = new Link(
      channel,
      { env, limits, uid: epoch, expects: uid },
      {
        up: () => {
          this.view.stalled = false;
          this.send({ type: 'up' });
        },
        frame: (frame) => this.#receive(frame),
        duplicate: () => this.#ports.duplicate(),
        pong: () => watch.answered(),
        closed: (reason) => {
          watch.end();
          this.send({ type: 'down', reason });
        },
      },
    );
    this.#link = link;
    const watch = this.#watchOver(link);
  }

  #watchOver(link: Link): Watch {
    const { env, lostAfterMs, connect, lost } = this.#ports;
    const beat = this.#beat;
    return new Watch(this.#actor, {
      env,
      lostAfterMs,
      link,
      beat: beat === undefined ? undefined : () => connect(beat),
      stalled: (stalled) => {
        this.view.stalled = stalled;
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

  #send(call: Call): void {
    const link = this.#link;
    const { args } = call;
    if (link === undefined || args === undefined) return;
    const routine = this.#declare(call.request.routine);
    call.number = 0;
    const value = link.inline(args);
    if (value !== undefined) return this.#sendTask(call, routine, value);
    this.#sending.add(call);
    this.#attempt(call, () => {
      call.abandon = link.transfer(args, (sent) => this.#sendTask(call, routine, sent));
    });
  }

  /** Numbers are given at the moment when the frame goes into an envelope, so that they count up. */
  #sendTask(call: Call, routine: number, args: OutValue): void {
    const { request, deadline } = call;
    this.#number += 1;
    call.number = this.#number;
    call.abandon = undefined;
    this.#sending.delete(call);
    this.#calls.set(call.number, call);
    const timeoutMs = deadline ? Math.max(1, deadline.due - this.#ports.env.now()) : 0;
    this.#link?.send({
      call: call.number,
      task: {
        routine,
        args,
        sequence: call.sequence,
        generator: request.generator,
        caller: request.caller,
        timeout_ms: timeoutMs,
        tag: request.tag,
      },
    });
    // The first step of a generator goes with it, in the same envelope.
    if (call.step !== undefined) this.step(call);
  }

  /** The routine's number on this link; says its name the first time. */
  #declare(routine: { module: string; name: string }): number {
    let number = this.#routines.get(routine);
    if (number === undefined) {
      number = this.#routines.size + 1;
      this.#routines.set(routine, number);
      const { module, name } = routine;
      this.#link?.send({ call: 0, routine: { number, module, name } });
    }
    return number;
  }

  #sendStep(call: number, { kind, value }: Step): void {
    this.#link?.deliver(value, (sent) => {
      if (kind === 'throw') return { call, throw: { error: sent } };
      if (kind === 'return') return { call, return: { value: sent } };
      return sent === undefined ? { call, next: {} } : { call, send: { value: sent } };
    });
  }

  /** What can't be sent, or can't be read, fails its own call and no other. */
  #attempt(call: Call, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (error instanceof ProtocolError || !(error instanceof SkeinError)) throw error;
      if (this.#calls.delete(call.number)) {
        this.#link?.send({ call: call.number, cancel: { reason: CancelReason.ABORTED } });
      }
      this.#tell(call, { type: 'failed', error });
    }
  }

  #receive(frame: Frame): void {
    const call = this.#calls.get(frame.call);
    if (call === undefined) {
      this.#ports.dropped(frame);
      this.#link?.discard(frame);
      return;
    }
    switch (frame.body) {
      case 'ack':
        return this.#tell(call, ACK);
      case 'result': {
        const { value, done } = frame.result;
        this.#attempt(call, () => {
          const received = this.#link?.received(value);
          this.#tell(call, { type: 'result', value: received, done });
        });
        return;
      }
      case 'error':
        return this.#attempt(call, () => {
          this.#tell(call, { type: 'failed', error: this.#error(frame.error.error) });
        });
      case 'nack':
        return this.#refused(call, frame);
      default:
        throw new ProtocolError(`a ${frame.body} frame from a worker`);
    }
  }

  #refused(call: Call, { nack }: FrameOf<'nack'>): void {
    switch (nack.reason) {
      case NackReason.FAILED:
        return this.#attempt(call, () => {
          this.#tell(call, { type: 'failed', error: this.#error(nack.error) });
        });
      case NackReason.DUPLICATE:
        return this.#tell(call, { type: 'duplicate' });
      case NackReason.DRAINING:
        // First, so that the call does not come back here.
        this.send({ type: 'drained' });
        return this.#refuse(call);
      default:
        this.#retryBusy();
        this.#refuse(call);
    }
  }

  /** Busy with the tasks of others: no end of a call here will tell that there is room. */
  #retryBusy(): void {
    this.#ports.balance({ type: 'full', uid: this.view.uid });
    this.#busy ??= this.#ports.env.timer(BUSY_PAUSE_MS, () => {
      this.#busy = undefined;
      this.#ports.balance({ type: 'freed', uid: this.view.uid });
    });
  }

  #error(value: Value | undefined): unknown {
    const received = this.#link?.received(value);
    return received ? decodeError(received.item) : new ProtocolError('an error without a value');
  }

  #refuse(call: Call): void {
    this.release(call);
    this.#tell(call, REFUSED);
  }

  #loseAll(message: string, cause?: unknown): void {
    const written = this.#link?.writtenTask ?? 0;
    const calls = [...this.#calls.values()];
    const unsent = [...this.#held, ...this.#sending];
    this.#link = undefined;
    this.#held.clear();
    this.#sending.clear();
    this.#calls.clear();
    for (const call of unsent) this.#refuse(call);
    for (const call of calls) {
      if (call.number > written) this.#refuse(call);
      else this.#tell(call, { type: 'lost', message, cause });
    }
  }

  #tell(call: Call, event: CallEvent): void {
    call.actor?.send(event);
  }
}
