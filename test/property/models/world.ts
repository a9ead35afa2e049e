/** A clock, a loop and a channel whose other side is a script: what a test drives the rooms with. */
import { setImmediate as later } from 'node:timers/promises';
import { type Env, systemEnv } from '../../../src/env.ts';
import type { Channel, ChannelHandlers, CloseReason } from '../../../src/transport/transport.ts';
import {
  decodeEnvelope,
  EnvelopeWriter,
  type Frame,
  type FrameBody,
  type FrameOf,
  type OutFrame,
} from '../../../src/wire/frame.ts';

interface SetTimer {
  readonly ms: number;
  readonly fn: () => void;
}

export class World {
  now = 0;
  readonly timers = new Set<SetTimer>();
  readonly #tasks: (() => void)[] = [];
  #uids = 0;
  readonly env: Env = {
    ...systemEnv,
    now: () => this.now,
    timer: (ms, fn) => {
      const timer = { ms, fn };
      this.timers.add(timer);
      return { cancel: () => this.timers.delete(timer) };
    },
    soon: (fn) => this.#tasks.push(fn),
    turn: (fn) => this.#tasks.push(fn),
    collected: () => {},
    random: () => 0.5,
    uid: () => {
      this.#uids += 1;
      return `uid-${this.#uids}`;
    },
  };

  /** Runs the timer that was set last, of those set for `ms` when that is given. */
  fire(ms?: number): void {
    const all = [...this.timers].filter((timer) => ms === undefined || timer.ms === ms);
    const timer = all.at(-1);
    if (timer === undefined) throw new Error(`no timer is set for ${ms} ms`);
    this.now += timer.ms;
    this.timers.delete(timer);
    timer.fn();
  }

  /** Does what is to be done now and on later turns; no timer fires, no promise is waited for. */
  run(): void {
    for (let task = this.#tasks.shift(); task; task = this.#tasks.shift()) task();
  }

  /** Until nothing happens any more by itself; no timer fires. */
  async settle(): Promise<void> {
    do {
      this.run();
      await later();
    } while (this.#tasks.length > 0);
  }
}

/** A channel of one room; the test speaks for the other side. */
export class Script implements Channel {
  readonly remote = 'script';
  /** What the room has sent. */
  readonly sent: Frame[] = [];
  #handlers: ChannelHandlers | undefined;
  /** Envelopes from the other side. */
  #told = 0;
  /** The room has closed it; the end itself comes with `end`. */
  closing: CloseReason | undefined;
  over = false;

  /** It has not ended, and the room has not closed it. */
  get isOpen(): boolean {
    return this.closing === undefined && !this.over;
  }

  open(handlers: ChannelHandlers): void {
    this.#handlers = handlers;
  }

  send(packet: Uint8Array): boolean {
    if (!this.isOpen) return false;
    this.sent.push(...decodeEnvelope(packet).frames);
    return true;
  }

  pause(): void {}

  resume(): void {}

  close(reason: CloseReason): void {
    this.closing ??= reason;
  }

  /** Frames from the other side, in one envelope. What comes after `close` is dropped. */
  tell(...frames: OutFrame[]): void {
    if (!this.isOpen) return;
    const writer = new EnvelopeWriter();
    for (const frame of frames) writer.add(frame);
    this.#told += 1;
    this.#handlers?.packet(writer.finish(this.#told));
  }

  end(reason: CloseReason): void {
    if (this.over) return;
    this.over = true;
    this.#handlers?.closed(this.closing ?? reason);
  }

  /** The frames of this kind that were sent, of one call when it is given. */
  framesOf<Body extends FrameBody>(body: Body, call?: number): FrameOf<Body>[] {
    return this.sent.filter(
      (frame): frame is FrameOf<Body> =>
        frame.body === body && (call === undefined || frame.call === call),
    );
  }
}
