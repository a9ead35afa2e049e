/** Helpers for the tests of the codec. */
import { deepStrictEqual, ok } from 'node:assert/strict';
import { SerializationError } from '../../../src/errors.ts';
import { decodeValue, type Encoded, encodeValue } from '../../../src/wire/value.ts';

export function single(encoded: Encoded): Uint8Array {
  ok(encoded instanceof Uint8Array, 'an attachment where none was expected');
  return encoded;
}

export function parts(encoded: Encoded): [Uint8Array, ...Uint8Array[]] {
  ok(!(encoded instanceof Uint8Array), 'no attachment');
  return encoded as [Uint8Array, ...Uint8Array[]];
}

/** Through the codec and back, with parts that share no memory with the value. */
export function roundTrip<T>(value: T): T {
  const encoded = encodeValue(value);
  const [bytes, ...attachments] = encoded instanceof Uint8Array ? [encoded] : encoded;
  const copies = attachments.map((part) => part.slice());
  return decodeValue(bytes!.slice(), copies) as T;
}

export function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

export function refusal(fn: () => unknown): SerializationError {
  try {
    fn();
  } catch (error) {
    ok(error instanceof SerializationError, `not a SerializationError: ${String(error)}`);
    return error;
  }
  throw new Error('it was not refused');
}

/**
 * Asserts that a value arrived equal. `deepStrictEqual` takes objects without properties for equal,
 * whatever they hold: a URL on Node 20, Headers and Temporal everywhere.
 */
export function assertArrived(arrived: unknown, sent: unknown): void {
  deepStrictEqual(arrived, sent);
  deepStrictEqual(contentsOf(arrived), contentsOf(sent));
}

/** What the objects without properties hold, in an order that two equal values have in common. */
function contentsOf(
  value: unknown,
  found = new Set<object>(),
  contents: unknown[] = [],
): unknown[] {
  if (typeof value !== 'object' || value === null || found.has(value)) return contents;
  found.add(value);
  const text = contentOf(value);
  if (text !== undefined) contents.push(text);
  const parts = value instanceof Map ? [...value].flat() : value instanceof Set ? value : [];
  for (const part of parts) contentsOf(part, found, contents);
  if (ArrayBuffer.isView(value)) return contents;
  for (const key of Object.keys(value)) contentsOf(Reflect.get(value, key), found, contents);
  return contents;
}

function contentOf(value: object): unknown {
  if (value instanceof URL || value instanceof URLSearchParams) return String(value);
  if (value instanceof Headers) return [...value];
  const type = Object.prototype.toString.call(value);
  if (type === '[object Temporal.Duration]') return durationOf(value);
  return type.startsWith('[object Temporal.') ? temporalOf(value) : undefined;
}

/** The text would round the offset of the zone, so the time itself comes along. */
function temporalOf(value: object): unknown {
  const { epochNanoseconds } = value as { epochNanoseconds?: bigint };
  const text = (value as { toString(options: object): string }).toString({
    calendarName: 'always',
  });
  return [Reflect.get(value, Symbol.toStringTag), text, epochNanoseconds];
}

/** The text would tell 1,500 milliseconds as a second and 500 milliseconds. */
function durationOf(value: object): unknown {
  const units =
    'years months weeks days hours minutes seconds milliseconds microseconds nanoseconds';
  return units.split(' ').map((unit) => Reflect.get(value, unit));
}
