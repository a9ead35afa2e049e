/**
 * Errors, wherever they stand in a value. An error is news, so it is never refused: a part of it
 * that can't travel is replaced by a note.
 *
 * On the wire: `[class, fields, properties]`. `fields` are those that a program does not list (name,
 * message, stack, cause, errors), `properties` the enumerable ones. An error of a class that the program
 * has registered has the name of that class before them, and `class` is for receivers that lack it.
 */
import { writeEncoded } from './class-codec.ts';
import { classOf, nearestClassOf, type RegisteredClass, warnAbout } from './classes.ts';
import { ERROR, ERROR_PROPERTY } from './cost.ts';
import { inheritedName, wireNameOf } from './error-classes.ts';
import { CONTENT, type Fields, HIDDEN, isError, NOT_SENT } from './error-fields.ts';
import { readError } from './error-read.ts';
import { kind, type ValueSink } from './kinds.ts';
import { describe } from './refusal.ts';
import { MAX_ERROR_DEPTH, TAG_ERROR } from './tags.ts';
import { MAJOR } from './writer.ts';

/** Fields whose value is likely an error again. */
const INNER = new Set(['cause', 'error', 'suppressed']);

export const errorKind = kind<Error>({
  prototypes: [],
  matches: isError,
  cost: ERROR,
  write: writeError,
  read: { [TAG_ERROR]: readError },
});

function writeError(sink: ValueSink, error: Error): void {
  const wireName = attempt(() => wireNameOf(error)) ?? 'Error';
  sink.openErrors.push(error);
  sink.tag(TAG_ERROR);
  const hidden = hiddenFields(sink, error, wireName);
  const before = sink.uncoded.get(error);
  let refused = before?.refused;
  let own = before ? before.own : attempt(() => nearestClassOf(error));
  while (own?.encode !== undefined) {
    const failure = writeCoded(sink, error, { wireName, own, hidden });
    if (failure === undefined) break;
    refused ??= failure;
    own = nearestClassOf(own.Class.prototype);
    sink.uncoded.set(error, { own, refused });
  }
  if (own?.encode === undefined) {
    writeClass(sink, wireName, own);
    sink.head(MAJOR.map, hidden.size);
    writeFields(sink, hidden, error);
  }
  const fields = ownFields(sink, error, own && listedIn(own, error));
  if (refused !== undefined) fields.set(NOT_SENT, refused);
  sink.head(MAJOR.map, fields.size);
  writeFields(sink, fields);
  sink.openErrors.pop();
}

interface CodedError {
  readonly wireName: string;
  readonly own: RegisteredClass;
  readonly hidden: Fields;
}

/** Writes what the class's own `encode` gives; says why, when that can't travel. */
function writeCoded(
  sink: ValueSink,
  error: Error,
  { wireName, own, hidden }: CodedError,
): string | undefined {
  const write = () => {
    writeClass(sink, wireName, own);
    sink.head(MAJOR.map, hidden.size + 1);
    sink.charge(ERROR_PROPERTY);
    sink.text(CONTENT);
    writeEncoded(sink, error, own);
  };
  // A value arrives equal, or not at all. What was thrown has to arrive.
  if (!sink.thrown && sink.openErrors.length === 1) write();
  else {
    const refusal = sink.attempt(write);
    if (refusal !== undefined) {
      const reason = describe(refusal);
      warnAbout(own.Class, 'encode', reason);
      return `${own.Class.name}: ${reason}`;
    }
  }
  writeFields(sink, hidden, error);
  return undefined;
}

function writeClass(sink: ValueSink, wireName: string, own: RegisteredClass | undefined): void {
  sink.head(MAJOR.array, own ? 4 : 3);
  if (own) sink.name(own.name);
  sink.text(wireName);
}

/** @param unmade the error, where its receiver has to make it of the name and the message among the fields */
function writeFields(sink: ValueSink, fields: Fields, unmade?: Error): void {
  for (const [key, value] of fields) {
    sink.charge(ERROR_PROPERTY);
    sink.text(key);
    if (unmade && typeof value === 'object' && (key === 'name' || key === 'message')) {
      sink.openInstances.push(unmade);
      sink.writeOrNote(value);
      sink.openInstances.pop();
      continue;
    }
    if (key === 'errors' && attempt(() => Array.isArray(value))) {
      sink.listOrNote(value as unknown[], (item) => sink.writeOrNote(bounded(sink, item)));
    } else {
      sink.writeOrNote(INNER.has(key) ? bounded(sink, value) : value);
    }
  }
}

/** What stands for an inner error: itself, unless it would lead back here or on without an end. */
function bounded(sink: ValueSink, value: unknown): unknown {
  if (!attempt(() => isError(value))) return value;
  if (sink.openErrors.includes(value as Error)) return '[not sent: an error around this one]';
  if (sink.openErrors.length >= MAX_ERROR_DEPTH) return '[not sent: errors nested too deep]';
  return value;
}

/** Name and message come first, since a DOMException can't be made without them. */
function hiddenFields(sink: ValueSink, error: Error, wireName: string): Fields {
  const fields: Fields = new Map();
  for (const key of HIDDEN) {
    if (key === 'stack' && !sink.stacks) continue;
    if (attempt(() => isListed(error, key))) continue;
    const inherits = key === 'name' || key === 'message' || key === 'stack';
    if (!inherits && !attempt(() => Object.hasOwn(error, key))) continue;
    const value = key === 'stack' ? stackOf(sink, error) : readField(error, key);
    if (!isDefault(key, value, wireName, error)) fields.set(key, value);
  }
  return fields;
}

function isDefault(key: string, value: unknown, wireName: string, error: Error): boolean {
  if (key === 'name') return value === inheritedName(wireName);
  if (key === 'message') return value === '' && !attempt(() => Object.hasOwn(error, key));
  return key === 'stack' && typeof value !== 'string';
}

/** The properties that travel as far as the class says; undefined for all. */
function listedIn(own: RegisteredClass, error: Error): readonly string[] | undefined {
  if (own.encode) return [];
  return own === classOf(Object.getPrototypeOf(error)) ? own.fields : undefined;
}

function ownFields(sink: ValueSink, error: Error, listed: readonly string[] | undefined): Fields {
  const fields: Fields = new Map();
  for (const key of attempt(() => Object.keys(error)) ?? []) {
    if (listed !== undefined && !listed.includes(key) && !HIDDEN.has(key)) continue;
    if (key !== 'stack') fields.set(key, readField(error, key));
    else if (sink.stacks) fields.set(key, stackOf(sink, error) ?? readField(error, key));
  }
  return fields;
}

/** The text of its stack that is sent, if there is one. */
function stackOf({ stacks, openErrors }: ValueSink, error: Error): string | undefined {
  const stack: unknown = attempt(() => error.stack);
  const text = typeof stack === 'string' ? stack : undefined;
  if (typeof stacks === 'boolean') return text;
  return attempt(() => stacks(text, error, openErrors.length === 1)) ?? text;
}

function isListed(error: object, key: string): boolean {
  return Object.prototype.propertyIsEnumerable.call(error, key);
}

function readField(error: object, key: string): unknown {
  try {
    return (error as Record<string, unknown>)[key];
  } catch {
    return '[not sent: reading it failed]';
  }
}

/** Errors may be anything, even a Proxy whose traps throw. */
function attempt<T>(fn: () => T): T | undefined {
  try {
    return fn();
  } catch {
    return undefined;
  }
}
