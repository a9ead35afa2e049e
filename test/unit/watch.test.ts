/** The watch on a link, with a clock and a beat that the test drives. */

import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { createActor, fromCallback } from 'xstate';
import { Watch } from '../../src/actors/watch.ts';
import { type Env, systemEnv } from '../../src/env.ts';
import type { Channel, ChannelHandlers } from '../../src/transport/transport.ts';
import { decodeBeat, encodeBeat } from '../../src/wire/beat.js';

/** A clock whose timers fire when the test says that time has passed; a late timer fires once. */
class Clock {
  #now = 0;
  readonly #timers = new Set<{ due: number; fn: () => void }>();
  readonly env: Env = {
    ...systemEnv,
    now: () => this.#now,
    timer: (ms, fn) => {
      const timer = { due: this.#now + ms, fn };
      this.#timers.add(timer);
      return { cancel: () => this.#timers.delete(timer) };
    },
  };

  get now(): number {
    return this.#now;
  }

  get pending(): number {
    return this.#timers.size;
  }

  pass(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers]) {
      if (timer.due > this.#now || !this.#timers.delete(timer)) continue;
      timer.fn();
    }
  }
}

/** A worker as a watch meets it. */
class Other {
  /** What it does with a ping. */
  answers = true;
  /** When its event loop turned last, as its beat says; undefined for a beat that says nothing. */
  turned: (() => number) | undefined;
  packets = 0;
  pings = 0;
  /** Channels to its beat that are open. */
  readonly channels = new Set<Channel>();
  readonly handlers: ChannelHandlers[] = [];

  ping(): void {
    this.pings += 1;
    if (this.answers) this.packets += 1;
  }

  dial(): Channel {
    let handlers: ChannelHandlers;
    const channel: Channel = {
      remote: 'beat',
      open: (given) => {
        handlers = given;
        this.handlers.push(given);
        this.channels.add(channel);
      },
      send: (packet) => {
        expect(decodeBeat(packet)).toEqual({ kind: 'poke', ms: 0 });
        if (this.turned === undefined) return true;
        const lag = clock.now - this.turned();
        queued.push(() => handlers.packet(encodeBeat('beat', lag)));
        return true;
      },
      pause: () => {},
      resume: () => {},
      close: () => {
        this.channels.delete(channel);
      },
    };
    return channel;
  }
}

const queued: (() => void)[] = [];
const root = createActor(fromCallback(() => {})).start();
const clock = new Clock();

/** Watches `other`; everything that it tells is in `told`. */
function watch(other: Other, { lostAfterMs = 4_000, beat = true } = {}) {
  const told: string[] = [];
  const watch = new Watch(root, {
    env: clock.env,
    lostAfterMs,
    link: other,
    beat: beat ? () => other.dial() : undefined,
    stalled: (stalled) => told.push(stalled ? 'stalled' : 'recovered'),
    lost: (silent) => told.push(silent ? 'lost' : 'half-open'),
  });
  // Its Hello.
  other.packets += 1;
  return { watch, told };
}

/** Lets so many seconds pass; what is on its way arrives in between. */
function seconds(count: number): void {
  for (let i = 0; i < count; i += 1) {
    clock.pass(1_000);
    for (const deliver of queued.splice(0)) deliver();
  }
}

/** The beat of one whose loop does not turn from now on. */
function blocked(): () => number {
  const since = clock.now;
  return () => since;
}

afterEach(() => {
  queued.length = 0;
  // Whatever a watch ends with, it leaves no timer.
  clock.pass(1_000_000);
});

describe('a watch', () => {
  test('asks once a second, leaves the beat of one that answers alone, and ends with the link', () => {
    const other = new Other();
    const { watch: own, told } = watch(other);
    seconds(100);
    expect(other.pings).toBe(100);
    expect(other.handlers).toHaveLength(0);
    own.end();
    own.end();
    own.answered();
    expect(told).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test('takes one whose loop is blocked for stalled, for as long as its beat comes', () => {
    const other = new Other();
    const { watch: own, told } = watch(other);
    seconds(3);
    other.answers = false;
    other.turned = blocked();
    seconds(1_000);
    expect(told).toEqual(['stalled']);
    // Its answer is told at once, before the tick.
    own.answered();
    expect(told).toEqual(['stalled', 'recovered']);
    expect(other.channels.size).toBe(0);
    own.end();
  });

  test.each([
    ['with a beat', true],
    ['without one', false],
  ])('gives up one that is silent, %s', (_what, beat) => {
    const other = new Other();
    const { told } = watch(other, { beat });
    seconds(3);
    other.answers = false;
    // One for the tick that was answered.
    seconds(4);
    expect(told).toEqual(['stalled']);
    seconds(1);
    expect(told).toEqual(['stalled', 'lost']);
    expect(clock.pending).toBe(0);
    expect(other.channels.size).toBe(0);
  });

  test('gives up a link that is dead, though the process is well', () => {
    const other = new Other();
    const { told } = watch(other);
    other.answers = false;
    other.turned = () => clock.now - 50;
    seconds(5);
    expect(told).toEqual(['stalled', 'half-open']);
  });

  test('gives up one that was busy, then stopped, when the beats have ended', () => {
    const other = new Other();
    const { told } = watch(other);
    other.answers = false;
    other.turned = blocked();
    seconds(60);
    other.turned = undefined;
    seconds(4);
    expect(told).toEqual(['stalled']);
    seconds(1);
    expect(told).toEqual(['stalled', 'lost']);
  });

  test('gives nobody up for a stall of its own event loop', () => {
    const other = new Other();
    const { watch: own, told } = watch(other);
    other.answers = false;
    for (let i = 0; i < 50; i += 1) {
      // The answer to the ping of the last tick is there, but not read before this late tick.
      clock.pass(60_000);
      other.packets += 1;
      clock.pass(1_000);
    }
    expect(told).not.toContain('lost');
    own.end();
  });

  test('forgets what it has missed when it hears again', () => {
    const other = new Other();
    const { watch: own, told } = watch(other);
    for (let i = 0; i < 20; i += 1) {
      other.answers = false;
      seconds(3);
      other.answers = true;
      seconds(2);
    }
    expect(told.slice(-2)).toEqual(['stalled', 'recovered']);
    expect(told).not.toContain('lost');
    own.end();
  });

  test('calls the beat again when its channel has broken', () => {
    const other = new Other();
    const { watch: own, told } = watch(other);
    other.answers = false;
    other.turned = blocked();
    seconds(3);
    other.handlers.at(-1)?.closed({ code: 'lost', message: 'broken' });
    seconds(100);
    expect(other.handlers).toHaveLength(2);
    expect(told).toEqual(['stalled']);
    own.end();
  });

  test('of one that is never given up still tells when it is stalled', () => {
    const other = new Other();
    const { watch: own, told } = watch(other, { lostAfterMs: Number.POSITIVE_INFINITY });
    other.answers = false;
    seconds(10_000);
    expect(told).toEqual(['stalled']);
    own.end();
  });

  test('ticks four times in a short time', () => {
    const other = new Other();
    const { told } = watch(other, { lostAfterMs: 1_000 });
    other.answers = false;
    for (let i = 0; i < 5; i += 1) clock.pass(250);
    expect(told).toEqual(['stalled', 'lost']);
  });
});

/** A worker on a link that takes its time, in steps of 10 ms. */
class Busy extends Other {
  /** Whether a packet from the worker arrives. */
  linked = true;
  readonly #delayMs: number;
  readonly #blocked: (at: number) => boolean;
  #turned = clock.now;
  /** When each Ping arrives, and each Pong. */
  readonly #pings: number[] = [];
  readonly #pongs: number[] = [];

  /** @param blocked whether a task blocks its event loop at a time */
  constructor(delayMs: number, blocked: (at: number) => boolean) {
    super();
    this.#delayMs = delayMs;
    this.#blocked = blocked;
    this.turned = () => this.#turned;
  }

  override ping(): void {
    this.#pings.push(clock.now + this.#delayMs);
  }

  /** The watch's own event loop is blocked: all that happens meanwhile is seen after it. */
  stall(ms: number): void {
    for (let at = clock.now; at <= clock.now + ms; at += 10) this.#turn(at);
    clock.pass(ms);
  }

  /** Lets 10 ms pass; says whether a packet came on the link. */
  step(own: Watch): boolean {
    clock.pass(10);
    for (const deliver of queued.splice(0)) deliver();
    this.#turn(clock.now);
    let heard = false;
    while ((this.#pongs[0] ?? Number.POSITIVE_INFINITY) <= clock.now) {
      this.#pongs.shift();
      this.packets += 1;
      own.answered();
      heard = true;
    }
    return heard;
  }

  /** Its event loop turns, if it can. */
  #turn(at: number): void {
    if (this.#blocked(at)) return;
    this.#turned = at;
    while ((this.#pings[0] ?? Number.POSITIVE_INFINITY) <= at) {
      this.#pings.shift();
      if (this.linked) this.#pongs.push(at + this.#delayMs);
    }
  }
}

describe('a worker whose tasks block it', () => {
  const lostAfterMs = fc.constantFrom(1_000, 4_000, 10_000);
  /** Blocks of one length, with pauses of another in between. */
  const bursts = fc.record({ block: fc.integer({ min: 1, max: 300 }), pause: fc.nat(100) });

  test('again and again is given up when its link is dead', () => {
    const deadAfter = fc.nat(300);
    fc.assert(
      fc.property(lostAfterMs, bursts, deadAfter, (lostAfterMs, { block, pause }, deadAfter) => {
        const cycle = (block + pause + 1) * 10;
        const start = clock.now;
        const other = new Busy(0, (at) => (at - start) % cycle < block * 10);
        const { watch: own, told } = watch(other, { lostAfterMs });
        for (let i = 0; i < deadAfter; i += 1) other.step(own);
        other.linked = false;
        const dead = clock.now;
        const tick = Math.min(1_000, lostAfterMs / 4);
        const latest = dead + lostAfterMs + block * 10 + 2 * tick + 350;
        while (!told.includes('half-open') && clock.now <= latest) other.step(own);
        expect(told.at(-1)).toBe('half-open');
        expect(clock.now - dead).toBeGreaterThan(lostAfterMs - 2 * tick - 10 * block);
      }),
    );
  });

  test('again and again is never given up when its link is well, though the watch is blocked too', () => {
    const stalls = fc.record({ each: fc.integer({ min: 1, max: 200 }), ms: fc.nat(60_000) });
    const delay = fc.nat(20);
    fc.assert(
      fc.property(lostAfterMs, bursts, delay, stalls, (lostAfterMs, bursts, delay, stalls) => {
        const { block, pause } = bursts;
        const cycle = (block + pause + 1) * 10;
        const start = clock.now;
        const other = new Busy(delay * 10, (at) => (at - start) % cycle < block * 10);
        const { watch: own, told } = watch(other, { lostAfterMs });
        for (let i = 1; i < 3_000; i += 1) {
          if (i % stalls.each === 0) other.stall(stalls.ms);
          // Each Pong ends the stall.
          if (other.step(own)) expect(told.at(-1) ?? 'recovered').toBe('recovered');
        }
        expect(told).not.toContain('half-open');
        expect(told).not.toContain('lost');
        own.end();
      }),
    );
  });

  test('in one piece is never given up, though a Ping was on its way for long when it began', () => {
    const lostAfterMs = 10_000;
    const delay = fc.nat(400);
    fc.assert(
      fc.property(delay, fc.nat(1_000), (delay, free) => {
        const begin = clock.now + free * 10;
        const other = new Busy(delay * 10, (at) => at >= begin);
        const { watch: own, told } = watch(other, { lostAfterMs });
        for (let i = 0; i < 10_000; i += 1) other.step(own);
        expect(told.at(-1)).toBe('stalled');
        own.end();
      }),
      { numRuns: 30 },
    );
  });
});
