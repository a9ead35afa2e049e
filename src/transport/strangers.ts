/**
 * Connections whose callers have not shown who they are, by a TLS handshake or the authkey: few of them, for
 * a short time, and with few bytes.
 */
import type { Socket } from 'node:net';

/** So many at a time: with one more, the oldest ends. */
export const MAX_STRANGERS = 256;
/** Milliseconds from the connect on in which the handshake must be over, and the authkey be shown. */
export const STRANGER_MS = 10_000;
/** What the handshake, the exchange, and a check of health take is far less. */
const MAX_BYTES = 64 * 1024;
/** Until then more bytes than that can be held in memory. */
const LOOK_MS = 50;

export class Strangers {
  /** When each came, the oldest first. */
  readonly #since = new Map<Socket, number>();
  #timer: NodeJS.Timeout | undefined;

  add(socket: Socket): void {
    for (const oldest of this.#since.keys()) {
      if (this.#since.size < MAX_STRANGERS) break;
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
    const due = performance.now() - STRANGER_MS;
    for (const [socket, since] of this.#since) {
      if (since < due || socket.bytesRead > MAX_BYTES) this.#end(socket);
    }
  }

  #end(socket: Socket): void {
    this.remove(socket);
    socket.destroy();
  }
}
