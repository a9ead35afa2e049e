/**
 * Watches whether the other side of a link lives: asks on the link once a tick, and, when nothing
 * comes back, the beat that answers for the other side's process. It counts ticks, at most one for each
 * question that the other side's event loop has turned after and left open; so neither a stall of its
 * own loop, after which one late tick comes, nor a long task makes anybody look dead. Charted in
 * docs/statecharts.md.
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
  /** In this tick nothing came on the link, though the other side's event loop has turned since it was asked. */
  | { type: 'turning' }
  /** The beat says that the other side's event loop has not turned since it was asked. */
  | { type: 'blocked' }
  /** The link is over. */
  | { type: 'end' };

export interface WatchContext {
  /** Silent ticks in a row that make the other side lost. */
  readonly limit: number;
  /** Silent ticks in a row, those left out that a blocked loop explains. */
  readonly silent: number;
  /** Those of them for which the beat has said that the loop turns: a loop that blocks later explains none of these. */
  readonly turned: number;
}

const lost = { target: 'lost', guard: 'last' } as const;
const over = { target: 'ended' } as const;

export const watchChart = defineChart<WatchContext, WatchEvent, { limit: number }>({
  id: 'watch',
  initial: 'well',
  context: ({ limit }) => ({ limit, silent: 0, turned: 0 }),
  assigns: {
    reset: () => ({ silent: 0, turned: 0 }),
    excuse: ({ turned }) => ({ silent: turned }),
    missed: ({ silent }) => ({ silent: silent + 1 }),
    turning: ({ silent, turned }) => ({ silent: silent + 1, turned: turned + 1 }),
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
        blocked: { target: 'stalled', assign: 'excuse' },
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
        heard: { target: 'well', assign: 'reset' },
        missed: [
          { ...lost, assign: 'missed' },
          { target: 'quiet', assign: 'missed' },
        ],
        turning: [
          { ...lost, assign: 'turning' },
          { target: 'quiet', assign: 'turning' },
        ],
        end: over,
      },
    },
    lost: { final: true, entry: ['stop', 'giveUp'], description: 'it is given up' },
    ended: { final: true, entry: ['stop'], description: 'the link is over' },
  },
});

/** A loop that turns so long after a Ping was sent has met it: the time that a Ping may need. */
const REACH_MS = 250;
const LONGEST_TICK_MS = 1_000;

export interface WatchOptions {
  readonly env: Env;
  /** The other side is given up when nothing was heard of it for so many milliseconds; Infinity: never. */
  readonly lostAfterMs: number;
  readonly link: Pick<Link, 'packets' | 'ping'>;
  /** Opens a channel to the beat of the other side; where there is none the silence of the link alone decides. */
  readonly beat?: (() => Channel | undefined) | undefined;
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
  /** When the oldest Ping was sent that is neither answered nor counted. */
  #asked: number;
  /** When the beat was asked last. */
  #poked = 0;
  /** What the beat has said since the last tick; that the loop is blocked was told at once. */
  #beat: 'turning' | 'blocked' | undefined;
  #state: 'well' | 'quiet' | 'stalled' | 'over' = 'well';

  constructor(parent: AnyActorRef, options: WatchOptions) {
    this.#options = options;
    this.#packets = options.link.packets;
    // Its Hello is owed from now on.
    this.#asked = options.env.now();
    const { lostAfterMs } = options;
    this.#tickMs = Math.min(LONGEST_TICK_MS, lostAfterMs / 4);
    const logic = toLogic(watchChart, {
      rest: () => this.#rest(),
      worry: () => this.#worry(),
      wait: () => {
        this.#state = 'stalled';
      },
      stop: () => this.#stop(),
      giveUp: ({ turned }) => options.lost(turned === 0),
    });
    const limit = Math.ceil(lostAfterMs / this.#tickMs);
    this.#actor = createLightActor(logic, parent, { limit });
    this.#actor.start();
    this.#arm();
  }

  /** The other side has answered a ping. */
  answered(): void {
    this.#asked = this.#options.env.now();
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
    // This Ping is counted; the next was sent a tick later.
    if (!heard && beat === 'turning') this.#asked += this.#tickMs;
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
    this.#poked = this.#options.env.now();
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
    // No later than it turned: the answer was given after the question.
    const turned = this.#poked - beat.ms;
    this.#beat = turned > this.#asked + REACH_MS ? 'turning' : 'blocked';
    if (this.#beat === 'blocked' && this.#state === 'quiet') this.#send({ type: 'blocked' });
  }

  #hangUp(): void {
    const channel = this.#channel;
    this.#channel = undefined;
    this.#beat = undefined;
    channel?.close({ code: 'closed', message: 'the link is heard again, or over' });
  }
}
