/** A watch on its chart: a link that is heard or not, a beat that answers or not, and ticks. */

import { createActor, fromCallback } from 'xstate';
import { Watch } from '../../../src/actors/watch.ts';
import type { Channel, ChannelHandlers } from '../../../src/transport/transport.ts';
import { encodeBeat } from '../../../src/wire/beat.js';
import { expect } from './expect.ts';
import type { Inspected, Inspector } from './inspector.ts';
import type { Step } from './paths.ts';
import type { Rig } from './walk.ts';
import { World } from './world.ts';

const LOST_AFTER_MS = 4_000;
/** A tick is a quarter of that. */
const TICK_MS = 1_000;

/** The beat of the other side's process. */
class Beat implements Channel {
  readonly remote = 'beat';
  pokes = 0;
  closed = false;
  #handlers: ChannelHandlers | undefined;

  open(handlers: ChannelHandlers): void {
    this.#handlers = handlers;
  }

  send(): boolean {
    this.pokes += 1;
    return true;
  }

  pause(): void {}

  resume(): void {}

  close(): void {
    this.closed = true;
  }

  say(blockedMs: number): void {
    this.#handlers?.packet(encodeBeat('beat', blockedMs));
  }

  end(): void {
    this.closed = true;
    this.#handlers?.closed({ code: 'lost', message: 'cut' });
  }
}

export class WatchRig implements Rig {
  readonly world = new World();
  readonly #inspector: Inspector;
  readonly #variant: number;
  readonly #link = { packets: 0, pings: 0, ping: () => {} };
  readonly #beats: Beat[] = [];
  #watch!: Watch;
  #stalled = false;
  /** How the other side was given up: whether its process was silent, too. */
  readonly #lost: boolean[] = [];

  constructor(inspector: Inspector, variant: number) {
    this.#inspector = inspector;
    this.#variant = variant;
  }

  get subject(): Inspected {
    return this.#inspector.actorsOf('watch')[0] as Inspected;
  }

  start(): void {
    const root = createActor(
      fromCallback(() => {}),
      { inspect: this.#inspector.inspect },
    ).start();
    this.#link.ping = () => {
      this.#link.pings += 1;
    };
    this.#watch = new Watch(root, {
      env: this.world.env,
      lostAfterMs: LOST_AFTER_MS,
      link: this.#link,
      beat: () => {
        const beat = new Beat();
        this.#beats.push(beat);
        return beat;
      },
      stalled: (stalled) => {
        this.#stalled = stalled;
      },
      lost: (silent) => this.#lost.push(silent),
    });
  }

  act({ event, from }: Step): void {
    switch (event.type) {
      case 'heard':
        if (this.#variant === 0) return this.#watch.answered();
        this.#link.packets += 1;
        return this.#tick();
      case 'missed':
        // The tick in which the beat said that the loop is blocked is none.
        if (from === 'stalled') this.#tick();
        // A beat that was there and is gone says nothing.
        else if (this.#variant === 1) this.#beat?.end();
        return this.#tick();
      case 'turning':
        this.#beat?.say(100);
        return this.#tick();
      case 'blocked':
        return this.#beat?.say(60_000);
      case 'end':
        return this.#watch.end();
      default:
        throw new Error(`no way to make '${event.type}' happen`);
    }
  }

  check(state: string): void {
    const over = state === 'lost' || state === 'ended';
    expect(this.world.timers.size).toBe(over ? 0 : 1);
    if (state === 'well') expect(this.#stalled).toBe(false);
    if (state === 'quiet' || state === 'stalled') expect(this.#stalled).toBe(true);
    const open = this.#beats.filter(({ closed }) => !closed).length;
    expect(open).toBe(state === 'quiet' || state === 'stalled' ? 1 : 0);
    expect(this.#lost).toHaveLength(state === 'lost' ? 1 : 0);
    if (state === 'lost') {
      // Its process lives when its beat said so since it was last heard.
      const { taken } = this.subject;
      const reset = taken.findLastIndex(({ event }) => event.type === 'heard');
      const turned = taken.slice(reset + 1).some(({ event }) => event.type === 'turning');
      expect(this.#lost).toEqual([!turned]);
    }
  }

  async finish(): Promise<void> {
    this.#watch.end();
    await this.world.settle();
    expect(this.world.timers.size).toBe(0);
    expect(this.#beats.every(({ closed }) => closed)).toBe(true);
  }

  get #beat(): Beat | undefined {
    return this.#beats.at(-1);
  }

  /** The other side is asked for a sign of life in each, as long as it is watched. */
  #tick(): void {
    const { pings } = this.#link;
    this.world.fire(TICK_MS);
    if (this.world.timers.size > 0) expect(this.#link.pings).toBe(pings + 1);
  }
}
