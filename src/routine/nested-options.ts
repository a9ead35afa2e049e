/** Options of a `withDispatch`, as they go along with the tasks that are called inside it. */
import type { Dispatch } from '../wire/frame.ts';
import type { NestedOptions } from './dispatcher.ts';
import type { InheritedOptions } from './task.ts';

/** Undefined when there is nothing to say. */
export function toDispatch({ timeout, tag }: NestedOptions): Partial<Dispatch> | undefined {
  const timeout_ms = timeout === Number.POSITIVE_INFINITY ? 0 : (timeout ?? 0);
  return timeout_ms > 0 || tag ? { timeout_ms, tag: tag ?? '' } : undefined;
}

/** Whatever a caller may have sent: what is no time is no limit. */
export function fromDispatch({ timeout_ms, tag }: Dispatch): InheritedOptions | undefined {
  const timed = timeout_ms > 0 && timeout_ms !== Number.POSITIVE_INFINITY;
  if (!timed && tag === '') return undefined;
  return { timeout: timed ? timeout_ms : undefined, tag: tag || undefined, signals: [] };
}
