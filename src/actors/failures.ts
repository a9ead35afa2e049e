/** How a worker tells its callers what went wrong: cut down until it fits, so that they hear something. */
import { causedBy } from '../context/strictness.ts';
import { SerializationError } from '../errors.ts';
import { exposing } from '../routine/discretion.ts';
import { stackText } from '../routine/stack.ts';
import type { TaskScope } from '../routine/task.ts';
import type { Link } from '../transport/link.ts';
import { LOST_CONTEXT } from '../wire/context.ts';
import { encodeError } from '../wire/error.ts';
import type { OutFrame, OutValue } from '../wire/frame.ts';
import { type Execution, encodeAnswer } from './execution.ts';

export interface FailuresOptions {
  /** Values up to this size travel inside their frame. */
  readonly inlineBytes: number;
  /** Whether errors take their stacks along, and paths in their texts. */
  readonly exposeStacks: boolean;
}

export class Failures {
  readonly #link: Link;
  readonly #options: FailuresOptions;

  constructor(link: Link, options: FailuresOptions) {
    this.#link = link;
    this.#options = options;
  }

  /**
   * An error is news: a small one travels whatever `maxValueBytes` says, and one too large is cut down.
   *
   * @param context what goes with it
   */
  encode(task: TaskScope, error: unknown, context?: Uint8Array): Uint8Array {
    const most = this.#mostBytes - (context?.length ?? 0);
    return exposing(this.#options.exposeStacks, () => {
      const stack = stackText(task);
      let payload = encodeError(error, { stack });
      if (payload.length > most) payload = encodeError(error, { stack: false });
      if (payload.length > most) payload = encodeError(tooLarge(error), { stack });
      return payload;
    });
  }

  /** The same for what a task has thrown, with what has changed of its context. */
  encodeOf(execution: Execution, error: unknown): Uint8Array {
    const { task } = execution;
    // What has changed stands there already, for the answer that this error is sent for.
    if (execution.unsent) return this.encode(task, error, execution.context);
    return encodeAnswer(
      execution,
      () => this.encode(task, error),
      this.#mostBytes,
      (failure) => this.encode(task, causedBy(failure, error), execution.context),
    );
  }

  /** Sends what was encoded as the answer to a task. */
  send(execution: Execution, payload: Uint8Array): void {
    const { call, context } = execution;
    execution.unsent = false;
    this.deliver(payload, context, (sent) => {
      execution.answered = true;
      return { call, error: { error: sent } };
    });
  }

  deliver(
    payload: Uint8Array,
    context: Uint8Array | undefined,
    frame: (value: OutValue | undefined) => OutFrame,
  ): void {
    const size = payload.length + (context?.length ?? 0);
    if (size <= this.#options.inlineBytes) {
      this.#link.send(frame({ item: payload, ...(context && { context }) }));
      return;
    }
    const failed = () => {
      throw new Error('the bytes of an error are shared with nobody');
    };
    // Names alone may be too much, of thousands of tokens.
    const fits = context === undefined || size <= this.#link.maxValueBytes;
    this.#link.deliver(payload, frame, failed, fits ? context : LOST_CONTEXT);
  }

  get #mostBytes(): number {
    return Math.max(this.#link.maxValueBytes, this.#options.inlineBytes);
  }
}

function tooLarge(error: unknown): SerializationError {
  const text = String((error as { message?: unknown } | null)?.message ?? error).slice(0, 1_000);
  return new SerializationError(
    `the task failed with an error too large to travel; it begins: ${text}`,
  );
}
