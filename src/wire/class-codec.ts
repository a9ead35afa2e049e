/** What the `encode` and `decode` of the program's classes give, and what it means when they fail. */
import { types } from 'node:util';
import { SerializationError } from '../errors.ts';
import { isInstance, type RegisteredClass } from './classes.ts';
import type { ValueSink } from './kinds.ts';
import { messageOf, Refusal, within } from './refusal.ts';

/** Writes what `encode` gives for an instance. */
export function writeEncoded(sink: ValueSink, value: object, registered: RegisteredClass): void {
  const content = encoded(value, registered);
  try {
    sink.openInstances.push(value);
    sink.write(content);
    sink.openInstances.pop();
  } catch (error) {
    throw within(error, '.encode()');
  }
}

function encoded(value: object, { Class, encode }: RegisteredClass): unknown {
  const what = `an instance of ${Class.name}`;
  let content: unknown;
  try {
    content = encode?.(value as never);
  } catch (error) {
    throw new Refusal(what, `the class's own encode failed (${messageOf(error)})`, error);
  }
  if (isPromise(content)) {
    throw new Refusal(what, "the class's own encode gave a promise: it must be synchronous");
  }
  return content;
}

/** What became of a content: an instance, or why there is none. */
export type Decoded =
  | { readonly instance: object; readonly why?: undefined }
  | { readonly why: string; readonly cause?: unknown };

/** Makes an instance of what `encode` gave. */
export function decodeContent(content: unknown, { Class, decode }: RegisteredClass): Decoded {
  const what = `the decode of class ${Class.name}`;
  let instance: unknown;
  try {
    instance = decode?.(content as never);
  } catch (cause) {
    return { why: `${what} failed (${messageOf(cause)})`, cause };
  }
  if (isInstance(instance, Class)) return { instance };
  return isPromise(instance)
    ? { why: `${what} gave a promise: it must be synchronous` }
    : { why: `${what} gave no instance of it` };
}

/** A value can't be read here, though its bytes are in order. */
export function unreadable(why: string, cause?: unknown): SerializationError {
  return new SerializationError(`a value can't be read: ${why}`, { cause });
}

/** A promise, or a call of a routine. */
function isPromise(value: unknown): boolean {
  // Nobody waits for it, which must not end the process where it fails.
  if (types.isPromise(value)) value.catch(() => {});
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
