/** Contexts of the tasks of one envelope: most begin with the same variables, which travel once. */
import { ProtocolError } from '../errors.ts';
import type { Task, Value } from './generated/worker.js';
import { briefBuffer } from './slab.ts';

/** Bytes that all tasks of one envelope may leave out, so that a small one can't become any size. */
const MAX_SHARED_BYTES = 4 << 20;

/** Fewer are not worth it. */
const MIN_SHARED_BYTES = 32;

/** There is one of these for each envelope, and making an array takes longer than most of what it does. */
const NONE = new Uint8Array();

export class SharedContexts {
  #last: Uint8Array = NONE;
  /** What the last two had in common. */
  #start: Uint8Array = NONE;
  #total = 0;

  /** How many bytes the Context of the next task may leave out. */
  share(context: Uint8Array): number {
    if (!startsWith(context, this.#start)) {
      this.#start = context.subarray(0, commonLength(this.#last, context));
    }
    this.#last = context;
    const { length } = this.#start;
    if (length < MIN_SHARED_BYTES || this.#total + length > MAX_SHARED_BYTES) return 0;
    this.#total += length;
    return length;
  }

  /**
   * Puts back what the Context of the next task lacks.
   *
   * @throws ProtocolError when there is no such thing
   */
  restore({ context_shared: shared }: Task, args: Value): void {
    const last = this.#last;
    const rest = args.context as Uint8Array;
    this.#last = rest;
    if (shared === 0) return;
    this.#total += shared;
    if (shared > last.length || this.#total > MAX_SHARED_BYTES) {
      throw new ProtocolError('a context that shares more with another one than there is');
    }
    const context = briefBuffer(shared + rest.length);
    context.set(last.subarray(0, shared));
    context.set(rest, shared);
    args.context = context;
    this.#last = context;
  }
}

function startsWith(context: Uint8Array, start: Uint8Array): boolean {
  const { length } = start;
  if (length === 0 || length > context.length) return false;
  return Buffer.compare(context.subarray(0, length), start) === 0;
}

function commonLength(one: Uint8Array, other: Uint8Array): number {
  const most = Math.min(one.length, other.length);
  let length = 0;
  while (length < most && one[length] === other[length]) length += 1;
  return length;
}
