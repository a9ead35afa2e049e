/** Values that two links send each other, small ones and large ones, and what must arrive of them. */
import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import type { Link } from '../../src/transport/link.ts';
import type { Frame, OutFrame, OutValue } from '../../src/wire/frame.ts';

/** So small that most values take many chunks. */
export const LIMITS = { inlineBytes: 20, chunkBytes: 16, windowBytes: 50, sharedWindowBytes: 30 };

/** A value of these sizes, an item and attachments, with bytes that tell where they belong. */
function payloadOf(call: number, sizes: readonly number[]): Uint8Array<ArrayBuffer>[] {
  return sizes.map((size, part) => {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i += 1) bytes[i] = call * 31 + part * 13 + i * 7 + (i >> 8);
    return bytes;
  });
}

export function resultOf(call: number, value: OutValue): OutFrame {
  return { call, result: { value, done: true } };
}

/** What one side sends, and what the other has got of it. */
export class Sender {
  readonly #link: Link;
  /** Chunks that were handed to the channel so far. */
  readonly #chunks: () => number;
  /** The calls in the order in which their frames were sent. */
  readonly written: number[] = [];
  readonly abandoned = new Set<number>();
  /** For each call, how many chunks had been handed over when its frame was sent. */
  readonly chunksBefore = new Map<number, number>();
  readonly #abandon = new Map<number, () => void>();
  readonly #sizes: (readonly number[])[] = [];
  readonly #payloads: Uint8Array<ArrayBuffer>[][] = [];

  constructor(link: Link, chunks: () => number = () => 0) {
    this.#link = link;
    this.#chunks = chunks;
  }

  send(sizes: readonly number[]): void {
    const call = this.#sizes.push(sizes);
    const payload = payloadOf(call, sizes);
    this.#payloads.push(payload);
    const value = this.#link.inline(payload);
    const write = (value: OutValue) => {
      this.written.push(call);
      this.chunksBefore.set(call, this.#chunks());
      this.#link.send(resultOf(call, value));
    };
    if (value !== undefined) write(value);
    else {
      const failed = () => this.abandoned.add(call);
      this.#abandon.set(call, this.#link.transfer(payload, write, failed));
    }
  }

  /** Takes the bytes of a part away, as `structuredClone` does and `postMessage`. */
  detach(which: number): void {
    const payload = this.#payloads[which % this.#payloads.length];
    const part = payload?.[which % payload.length];
    if (part?.length) structuredClone(part, { transfer: [part.buffer] });
  }

  abandon(which: number): void {
    const call = (which % Math.max(1, this.#sizes.length)) + 1;
    this.#abandon.get(call)?.();
    if (this.#abandon.has(call) && !this.written.includes(call)) this.abandoned.add(call);
  }

  /** All calls but those given up, and those whose bytes were gone, whose frames must never come. */
  get expected(): number[] {
    return this.#sizes.map((_, i) => i + 1).filter((call) => !this.abandoned.has(call));
  }

  /** Looks whether a frame that arrived brings the value that was sent. */
  check(link: Link, frame: Frame): void {
    if (frame.body !== 'result') throw new Error(`a ${frame.body} frame arrived`);
    const { item, attachments } = link.received(frame.result.value) ?? { attachments: [] };
    const sizes = this.#sizes[frame.call - 1] ?? [];
    const parts = [item, ...attachments].map((part) => part && Buffer.from(part));
    deepStrictEqual(
      parts,
      payloadOf(frame.call, sizes).map((part) => Buffer.from(part)),
    );
  }
}

export type Command =
  | { type: 'send'; side: 0 | 1; sizes: readonly number[] }
  | { type: 'abandon' | 'detach'; side: 0 | 1; which: number }
  | { type: 'run'; choices: readonly number[] };

const side = fc.constantFrom(0 as const, 1 as const);
const size = fc.oneof(fc.nat(20), fc.nat(200), fc.nat(2_000));
const sizes = fc
  .tuple(fc.integer({ min: 1, max: 500 }), fc.array(size, { maxLength: 3 }))
  .map(([item, rest]) => [item, ...rest]);
const send: fc.Arbitrary<Command> = fc.record({ type: fc.constant('send'), side, sizes });
const spoil: fc.Arbitrary<Command> = fc.record({
  type: fc.constantFrom('abandon', 'detach'),
  side,
  which: fc.nat(),
});
export const run: fc.Arbitrary<Command> = fc.record({
  type: fc.constant('run'),
  choices: fc.array(fc.nat(2), { maxLength: 40, size: 'max' }),
});
/** What two sides do, and in which order things happen. */
export const commands = fc.array(fc.oneof({ weight: 2, arbitrary: send }, spoil, run), {
  maxLength: 40,
  size: 'max',
});

export function follow(
  commands: readonly Command[],
  senders: readonly [Sender, Sender],
  step: (choice: number) => void,
): void {
  for (const command of commands) {
    if (command.type === 'run') for (const choice of command.choices) step(choice);
    else if (command.type === 'send') senders[command.side].send(command.sizes);
    else senders[command.side][command.type](command.which);
  }
}
