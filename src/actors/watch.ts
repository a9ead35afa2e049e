/**
 * Watches whether the other side of a link lives: asks on the link once a tick, and, when nothing
 * comes back, the beat that answers for the other side's process. It counts ticks and never compares
 * times, so that a stall of its own event loop, after which one late tick comes, makes nobody look
 * dead. Charted in docs/statecharts.md.
 */
import type { AnyActorRef } from 'xstate';
import type { Env, Timer } from '../env.ts';
import type { Link } from '../transport/link.ts';
import type { Channel } from '../transport/transport.ts';
import { decodeBeat, encodeBeat } from '../wire/beat.js';
import { createLightActor } from './actor.ts';
import { defineChart, toLogic } from './statechart.ts';

export type WatchEvent =
  /** Something came on the link. */
  | { type: 'heard' }
  /** In this tick nothing came, neither on the link nor of the beat. */
  | { type: 'missed' }
  /** In this tick nothing came on the link, and the beat says that the other side's event loop turns. */
  | { type: 'turning' }
  /** The beat says that the other side's event loop is blocked. */
  | { type: 'blocked' }
  /** The link is over. */
  | { type: 'end' };

export interface WatchContext {
  /** Silent ticks in a row that make the other side lost. */
  readonly limit: number;
  /** Silent ticks in a row, those left out in which the beat says that the loop is blocked. */
  readonly silent: number;
  /** Whether the beat has said in one of them that the loop turns. */
  readonly turning: boolean;
}

const lost = { target: 'lost', guard: 'last' } as const;
const over = { target: 'ended' } as const;

export const watchChart = defineChart<WatchContext, WatchEvent, { limit: number }>({
  id: 'watch',
  initial: 'well',
  context: ({ limit }) => ({ limit, silent: 0, turning: false }),
  assigns: {
    reset: () => ({ silent: 0, turning: false }),
    missed: ({ silent }) => ({ silent: silent + 1 }),
    turning: ({ silent }) => ({ silent: silent + 1, turning: true }),
  },
  guards: {
    last: ({ silent, limit }) => silent + 1 >= limit,
  },
  states: {
    well: {
      description: 'the other side is heard on the link',
      entry: ['rest'],
      on: {
        missed: { target: 'quiet', assign: 'missed' },
        end: over,
      },
    },
    quiet: {
      description: 'nothing comes on the link: the beat is asked why',
      entry: ['worry'],
      on: {
        heard: { target: 'well', assign: 'reset' },
        blocked: { target: 'stalled', assign: 'reset' },
        missed: [{ ...lost, assign: 'missed' }, { assign: 'missed' }],
        turning: [{ ...lost, assign: 'turning' }, { assign: 'turning' }],
        end: over,
      },
    },
    stalled: {
      entry: ['wait'],
      description:
        'its process lives, and its event loop is blocked: that may take as long as it likes',
      on: {
        heard: { target: 'well' },
        missed: { target: 'quiet', assign: 'missed' },
        turning: { target: 'quiet', assign: 'turning' },
        end: over,
      },
    },
    lost: { final: true, entry: ['stop', 'giveUp'], description: 'it is given up' },
    ended: { final: true, entry: ['stop'], description: 'the link is over' },
  },
});

/** A beat that says this or more means that the loop is blocked: one that turns says 100 or less. */
const BLOCKED_MS = 250;
const LONGEST_TICK_MS = 1_000;

export interface WatchOptions {
  readonly env: Env;
  /** The other side is given up when nothing was heard of it for so many milliseconds; Infinity: never. */
  readonly lostAfterMs: number;
  readonly link: Pick<Link, 'packets' | 'ping'>;
  /** Opens a channel to the beat of the other side; absent: the silence of the link alone decides. */
  readonly beat?: (() => Channel) | undefined;
  /** Whether the other side does not answer at present: its loop is blocked, or worse. */
  stalled?(stalled: boolean): void;
  /**
   * The other side is given up.
   *
   * @param silent whether its process gave no sign either; if it did, only the link is broken
   */
  lost(silent: boolean): void;
}

export class Watch {
  readonly #options: WatchOptions;
  readonly #actor: AnyActorRef;
  readonly #tickMs: number;
  #timer: Timer | undefined;
  /** Packets on the link at the last tick. */
  #packets: number;
  #channel: Channel | undefined;
  /** What the beat has said since the last tick; that the loop is blocked was told at once. */
  #beat: 'turning' | 'blocked' | undefined;
  #state: 'well' | 'quiet' | 'stalled' | 'over' = 'well';

  constructor(parent: AnyActorRef, options: WatchOptions) {
    this.#options = options;
    this.#packets = options.link.packets;
    const { lostAfterMs } = options;
    this.#tickMs = Math.min(LONGEST_TICK_MS, lostAfterMs / 4);
    const logic = toLogic(watchChart, {
      rest: () => this.#rest(),
      worry: () => this.#worry(),
      wait: () => {
        this.#state = 'stalled';
      },
      stop: () => this.#stop(),
      giveUp: ({ turning }) => options.lost(!turning),
    });
    const limit = Math.ceil(lostAfterMs / this.#tickMs);
    this.#actor = createLightActor(logic, parent, { limit });
    this.#actor.start();
    this.#arm();
  }

  /** The other side has answered a ping. */
  answered(): void {
    if (this.#state !== 'well') this.#send({ type: 'heard' });
  }

  /** The link is over. */
  end(): void {
    this.#send({ type: 'end' });
  }

  #send(event: WatchEvent): void {
    if (this.#state !== 'over') this.#actor.send(event);
  }

  #arm(): void {
    this.#timer = this.#options.env.timer(this.#tickMs, () => this.#tick());
  }

  #tick(): void {
    const { link } = this.#options;
    const heard = link.packets !== this.#packets;
    const beat = this.#beat;
    this.#packets = link.packets;
    this.#beat = undefined;
    if (heard) this.answered();
    else if (beat !== 'blocked') this.#send({ type: beat ?? 'missed' });
    if (this.#state === 'over') return;
    link.ping();
    if (this.#state !== 'well') this.#poke();
    this.#arm();
  }

  #rest(): void {
    if (this.#state !== 'well') this.#options.stalled?.(false);
    this.#state = 'well';
    this.#hangUp();
  }

  #worry(): void {
    if (this.#state === 'well') this.#options.stalled?.(true);
    this.#state = 'quiet';
  }

  #stop(): void {
    this.#state = 'over';
    this.#timer?.cancel();
    this.#hangUp();
  }

  /** A beat is asked only while the link is silent: most are never asked. */
  #poke(): void {
    this.#channel ??= this.#dial();
    this.#channel?.send(encodeBeat('poke'));
  }

  #dial(): Channel | undefined {
    let channel: Channel | undefined;
    try {
      channel = this.#options.beat?.();
    } catch {
      // No transport for such a beat: the link alone decides.
    }
    channel?.open({
      packet: (bytes) => {
        if (this.#channel === channel) this.#listen(bytes);
      },
      drain: () => {},
      closed: () => {
        // The next tick tries again.
        if (this.#channel === channel) this.#channel = undefined;
      },
    });
    return channel;
  }

  #listen(bytes: Uint8Array): void {
    const beat = decodeBeat(bytes);
    if (beat?.kind !== 'beat') return;
    this.#beat = beat.ms >= BLOCKED_MS ? 'blocked' : 'turning';
    if (this.#beat === 'blocked' && this.#state === 'quiet') this.#send({ type: 'blocked' });
  }

  #hangUp(): void {
    const channel = this.#channel;
    this.#channel = undefined;
    this.#beat = undefined;
    channel?.close({ code: 'closed', message: 'the link is heard again, or over' });
  }
}
