/**
 * Connections whose callers have not shown who they are, by a TLS handshake or the authkey: few of them, for
 * a short time, and with few bytes.
 */
import type { Socket } from 'node:net';
import type { LimitExceeded } from '../errors.ts';
import { exceeded } from '../security/breaches.ts';
import type { PeerLimits } from '../security/limits.ts';

/** What the handshake, the exchange, and a check of health take is far less. */
const MAX_BYTES = 64 * 1024;
/** Until then more bytes than that can be held in memory. */
const LOOK_MS = 50;

export type StrangerLimits = Pick<PeerLimits, 'maxStrangers' | 'strangerMs'>;

export class Strangers {
  /** When each came, the oldest first. */
  readonly #since = new Map<Socket, number>();
  readonly #limits: StrangerLimits;
  readonly #breached: (error: LimitExceeded, socket: Socket) => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param breached told of those that end since there are too many, or since they take too long */
  constructor(
    limits: StrangerLimits,
    breached: (error: LimitExceeded, socket: Socket) => void = () => {},
  ) {
    this.#limits = limits;
    this.#breached = breached;
  }

  add(socket: Socket): void {
    for (const oldest of this.#since.keys()) {
      const { maxStrangers } = this.#limits;
      if (this.#since.size < maxStrangers) break;
      const what = `${maxStrangers + 1} strangers at a time`;
      this.#breached(exceeded('maxStrangers', maxStrangers + 1, maxStrangers, what), oldest);
      this.#end(oldest);
    }
    this.#since.set(socket, performance.now());
    socket.once('close', () => this.remove(socket));
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** It has shown what it must, or has ended. */
  remove(socket: Socket): void {
    if (!this.#since.delete(socket) || this.#since.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const { strangerMs } = this.#limits;
    const due = performance.now() - strangerMs;
    for (const [socket, since] of this.#since) {
      if (since < due) {
        const what = `a stranger did not show who it is within ${strangerMs} ms`;
        this.#breached(exceeded('strangerMs', strangerMs, strangerMs, what), socket);
        this.#end(socket);
      } else if (socket.bytesRead > MAX_BYTES) this.#end(socket);
    }
  }

  #end(socket: Socket): void {
    this.remove(socket);
    socket.destroy();
  }
}
