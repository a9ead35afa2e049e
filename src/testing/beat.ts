/** The thread that answers for a simulated process, as its callers reach it. */
import type { Channel, ChannelHandlers, CloseReason } from '../transport/transport.ts';
import { decodeBeat, encodeBeat } from '../wire/beat.js';
import type { SimulatedProcess } from './process.ts';

/** Runs `fn` when what one process sends arrives at the other, if it does. */
export type Travel = (from: SimulatedProcess, to: SimulatedProcess, fn: () => void) => void;

/**
 * A channel to the beat of a process. Where a process is dead, its machine says so; a dead machine says
 * nothing, as a cut network does.
 */
export class SimulatedBeat implements Channel {
  readonly remote: string;
  readonly #from: SimulatedProcess;
  readonly #to: SimulatedProcess;
  readonly #travel: Travel;
  #handlers: ChannelHandlers | undefined;

  constructor(remote: string, from: SimulatedProcess, to: SimulatedProcess, travel: Travel) {
    this.remote = remote;
    this.#from = from;
    this.#to = to;
    this.#travel = travel;
  }

  open(handlers: ChannelHandlers): void {
    this.#handlers = handlers;
  }

  send(packet: Uint8Array): boolean {
    if (decodeBeat(packet)?.kind === 'poke') {
      this.#travel(this.#from, this.#to, () => this.#answer());
    }
    return true;
  }

  pause(): void {}

  resume(): void {}

  close(reason: CloseReason): void {
    this.#from.env.turn(() => this.#end(reason));
  }

  #answer(): void {
    const { isDead, lagMs } = this.#to;
    const reply = (fn: () => void) =>
      this.#travel(this.#to, this.#from, () => this.#from.enter(fn));
    if (isDead) reply(() => this.#end({ code: 'lost', message: 'Nobody answers there.' }));
    else if (lagMs !== undefined) reply(() => this.#handlers?.packet(encodeBeat('beat', lagMs)));
  }

  #end(reason: CloseReason): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    handlers?.closed(reason);
  }
}
