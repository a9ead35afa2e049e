/** Two links on a channel that a test drives: what arrives when, and when it is full, is its choice. */
import { type Env, systemEnv } from '../../src/env.ts';
import { defaultLimits, type Limits, Link } from '../../src/transport/link.ts';
import type { Channel, ChannelHandlers, CloseReason } from '../../src/transport/transport.ts';
import { decodeEnvelope, type Frame } from '../../src/wire/frame.ts';

/** An Env whose tasks run when the test says so; no timer ever fires. */
export class Loop {
  readonly #tasks: (() => void)[] = [];
  readonly env: Env = {
    ...systemEnv,
    timer: () => ({ cancel: () => {} }),
    soon: (fn) => this.#tasks.push(fn),
    turn: (fn) => this.#tasks.push(fn),
  };

  /** Runs the task that has waited longest; false when there is none. */
  step(): boolean {
    const task = this.#tasks.shift();
    task?.();
    return task !== undefined;
  }
}

/** One end of a wire. It holds what was sent until the test delivers it. */
export class End implements Channel {
  readonly remote = 'test';
  readonly handlers: ChannelHandlers[] = [];
  readonly #loop: Loop;
  readonly #capacity: number;
  /** Packets that the other side has not got yet. */
  readonly waiting: Uint8Array[] = [];
  /** The frames that were handed over, in order. */
  readonly frames: Frame[] = [];
  /** Bytes of chunks that were handed over and that the other side has not credited yet. */
  uncredited = 0;
  /** The most that it ever was. */
  mostUncredited = 0;
  paused = false;
  full = false;
  closed = false;
  /** It was sent to while it was full: only a link that closes may do so. */
  #pressed = false;

  /** @param capacity packets on the way that make it full */
  constructor(loop: Loop, capacity: number) {
    this.#loop = loop;
    this.#capacity = capacity;
  }

  open(handlers: ChannelHandlers): void {
    this.handlers.push(handlers);
  }

  send(packet: Uint8Array): boolean {
    if (this.closed) return false;
    if (this.full) this.#pressed = true;
    this.waiting.push(packet);
    for (const frame of decodeEnvelope(packet).frames) {
      this.frames.push(frame);
      if (frame.body === 'chunk') this.uncredited += frame.chunk.data?.length ?? 0;
    }
    this.mostUncredited = Math.max(this.mostUncredited, this.uncredited);
    this.full = this.waiting.length >= this.#capacity;
    return !this.full;
  }

  /** @param arrivals what arrives of the packet */
  take(packet: Uint8Array, arrivals: readonly Uint8Array[]): void {
    for (const frame of decodeEnvelope(packet).frames) {
      if (frame.body === 'credit') this.uncredited -= frame.credit.bytes;
    }
    for (const one of arrivals) if (!this.closed) this.handlers[0]?.packet(one);
  }

  /** Tells the owner that there is room again. */
  relieve(): void {
    if (this.#pressed) throw new Error('it was sent to while it was full');
    if (!this.full || this.closed || this.waiting.length > this.#capacity / 2) return;
    this.full = false;
    this.handlers[0]?.drain();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(reason: CloseReason): void {
    this.#pressed = false;
    this.#loop.env.turn(() => this.end(reason));
  }

  /** The channel is over. */
  end(reason: CloseReason): void {
    if (this.closed) return;
    this.closed = true;
    this.handlers[0]?.closed(reason);
  }
}

/** One side of a pair: its link, its end of the wire, and what it has heard. */
export interface Side {
  readonly link: Link;
  readonly end: End;
  readonly heard: Frame[];
  readonly ended: CloseReason[];
  /** Answers to its pings. */
  pongs: number;
  /** Envelopes that it dropped, since they had come before. */
  duplicates: number;
}

/** What arrives in the place of a packet when a transport does not keep its word. */
export type Fault = (packet: Uint8Array) => readonly Uint8Array[];

export interface PairOptions {
  readonly limits?: Partial<Limits>;
  /** Packets on the way, each way, that make the channel full. */
  readonly capacity?: number;
  /** What happens to the packets of each side. */
  readonly faults?: { readonly caller?: Fault; readonly worker?: Fault };
  /** What a side does with a frame, beside noting it. */
  readonly onFrame?: (side: Side, frame: Frame) => void;
}

/** A caller's and a worker's link that have greeted. */
export class Pair {
  readonly loop = new Loop();
  readonly caller: Side;
  readonly worker: Side;
  readonly #faults: NonNullable<PairOptions['faults']>;

  constructor({ limits, capacity = 4, faults = {}, onFrame }: PairOptions = {}) {
    this.#faults = faults;
    const all = { ...defaultLimits, ...limits };
    const { env } = this.loop;
    const side = (options: { uid: string; accepts?: boolean }): Side => {
      const end = new End(this.loop, capacity);
      const heard: Frame[] = [];
      const ended: CloseReason[] = [];
      const link: Link = new Link(
        end,
        { env, limits: all, ...options },
        {
          up: () => {},
          frame: (frame) => {
            heard.push(frame);
            onFrame?.(own, frame);
          },
          pong: () => {
            own.pongs += 1;
          },
          duplicate: () => {
            own.duplicates += 1;
          },
          closed: (reason) => ended.push(reason),
        },
      );
      const own: Side = { link, end, heard, ended, pongs: 0, duplicates: 0 };
      return own;
    };
    this.caller = side({ uid: 'caller' });
    this.worker = side({ uid: 'worker', accepts: true });
    this.settle();
  }

  /** One of the things that can happen now; false when nothing can. */
  step(choice: number): boolean {
    const actions = [
      () => this.loop.step(),
      () => this.#deliver('caller'),
      () => this.#deliver('worker'),
    ];
    // The next one when this one has nothing to do.
    for (let i = 0; i < actions.length; i += 1) {
      if (actions[(choice + i) % actions.length]?.()) return true;
    }
    return false;
  }

  /** Until nothing happens any more; only what this side sends arrives. */
  run(from: 'caller' | 'worker'): void {
    while (this.loop.step() || this.#deliver(from));
  }

  /** Until nothing happens any more. */
  settle(): void {
    for (let i = 0; this.step(i); i += 1) {
      if (i > 1_000_000) throw new Error('it does not come to rest');
    }
  }

  /** The wire breaks; what is on the way is lost. */
  cut(): void {
    for (const { end } of [this.caller, this.worker]) {
      end.end({ code: 'lost', message: 'cut' });
      end.waiting.length = 0;
    }
  }

  #deliver(from: 'caller' | 'worker'): boolean {
    const [sender, receiver] =
      from === 'caller' ? [this.caller, this.worker] : [this.worker, this.caller];
    if (receiver.end.paused) return false;
    const packet = sender.end.waiting.shift();
    if (packet === undefined) return false;
    receiver.end.take(packet, this.#faults[from]?.(packet) ?? [packet]);
    sender.end.relieve();
    return true;
  }
}
