/** Packets that go out one after the other, so that no receiver's buffer overflows. */
import { setTimeout } from 'node:timers/promises';

/** What a receiver's buffer surely holds, of the largest packets. */
const AT_ONCE = 16;
const PAUSE_MS = 2;

export class Outbox {
  #waiting: (() => Promise<void>)[] = [];
  #pumping = false;

  /** Resolves when it was sent, and rejects when it can't be. */
  send(packet: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => packet().then(resolve, reject));
      if (!this.#pumping) void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    while (this.#waiting.length > 0) {
      const packets = this.#waiting.splice(0, AT_ONCE);
      await Promise.all(packets.map((send) => send()));
      if (this.#waiting.length === 0) break;
      // Keeps the process alive, which may be about to end with these packets.
      await setTimeout(PAUSE_MS);
    }
    this.#pumping = false;
  }
}
