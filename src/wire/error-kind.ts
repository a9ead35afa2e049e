/**
 * Errors, wherever they stand in a value. An error is news, so it is never refused: a part of it
 * that can't travel is replaced by a note.
 *
 * On the wire: `[class, fields, properties]`. `fields` are those that a program does not list (name,
 * message, stack, cause, errors), `properties` the enumerable ones. An error of a class that the program
 * has registered has the name of that class before them, and `class` is for receivers that lack it.
 */
import { types } from 'node:util';
import {
  classNamed,
  classOf,
  isInstance,
  nearestClassOf,
  type RegisteredClass,
} from './classes.ts';
import { ERROR, ERROR_PROPERTY } from './cost.ts';
import { inheritedName, reviveError, wireNameOf } from './error-classes.ts';
import { kind, type ReadKind, type ValueSink, type ValueSource } from './kinds.ts';
import { UnknownName } from './names.ts';
import { define, defineAll } from './properties.ts';
import { damaged } from './reader.ts';
import { MAX_ERROR_DEPTH, TAG_ERROR } from './tags.ts';
import { MAJOR } from './writer.ts';

type Fields = Map<string, unknown>;

/** Fields that travel although they are not enumerable. All other such fields stay behind. */
const HIDDEN = new Set(['name', 'message', 'stack', 'cause', 'errors', 'error', 'suppressed']);
/** What the class's own `encode` gave, among the fields. */
const CONTENT = 'content';
/** Fields whose value is likely an error again. */
const INNER = new Set(['cause', 'error', 'suppressed']);

export const errorKind = kind<Error>({
  prototypes: [],
  matches: isError,
  cost: ERROR,
  write: writeError,
  read: { [TAG_ERROR]: readError },
});

/** Whether a value travels as an error: errors of all realms, and objects that inherit from Error. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error;
}

function writeError(sink: ValueSink, error: Error): void {
  const wireName = attempt(() => wireNameOf(error)) ?? 'Error';
  const own = attempt(() => ownClass(error));
  sink.openErrors.push(error);
  sink.tag(TAG_ERROR);
  sink.head(MAJOR.array, own ? 4 : 3);
  if (own) sink.name(own.registered.name);
  sink.text(wireName);
  const fields = hiddenFields(sink, error, wireName);
  if (own?.content) writeFields(sink, new Map([...own.content, ...fields]));
  else writeFields(sink, fields);
  writeFields(sink, ownFields(sink, error, own && listedIn(own, error)));
  sink.openErrors.pop();
}

interface OwnClass {
  readonly registered: RegisteredClass;
  readonly content: Fields | undefined;
}

/** The program's class of an error, and what its `encode` gave. One that fails is left out. */
function ownClass(error: Error): OwnClass | undefined {
  const registered = nearestClassOf(error);
  if (registered === undefined) return undefined;
  const { encode } = registered;
  const content = encode && new Map<string, unknown>([[CONTENT, encode(error as never)]]);
  return { registered, content };
}

function writeFields(sink: ValueSink, fields: Fields): void {
  sink.head(MAJOR.map, fields.size);
  for (const [key, value] of fields) {
    sink.charge(ERROR_PROPERTY);
    sink.text(key);
    if (key === 'errors' && Array.isArray(value)) {
      sink.list(value, (item) => sink.writeOrNote(bounded(sink, item)));
    } else {
      sink.writeOrNote(INNER.has(key) ? bounded(sink, value) : value);
    }
  }
}

/** What stands for an inner error: itself, unless it would lead back here or on without an end. */
function bounded(sink: ValueSink, value: unknown): unknown {
  if (!isError(value)) return value;
  if (sink.openErrors.includes(value)) return '[not sent: an error around this one]';
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
function listedIn({ registered, content }: OwnClass, error: Error): readonly string[] | undefined {
  if (content) return [];
  return registered === classOf(Object.getPrototypeOf(error)) ? registered.fields : undefined;
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

function readError(...[source, claim]: Parameters<ReadKind>): Error {
  const count = source.count(MAJOR.array);
  if (count !== 3 && count !== 4) throw damaged('an error without its parts');
  const own = count === 4 ? readClass(source) : undefined;
  const wireName = source.text();
  const error = readFields(source, { wireName, own }, claim);
  const properties = Object.create(null) as Record<string, unknown>;
  source.properties(properties);
  defineAll(error, properties);
  return error;
}

/** The program's class that an error is of; undefined when it can't be had here. */
function readClass(source: ValueSource): RegisteredClass | undefined {
  const name = source.name('class');
  const registered = classNamed(name);
  if (registered === undefined && !source.lenient) throw new UnknownName(name);
  return registered;
}

interface ErrorMaker {
  readonly wireName: string;
  readonly own: RegisteredClass | undefined;
}

/** The error is made as late as possible, and as soon as another value could refer to it. */
function readFields(source: ValueSource, maker: ErrorMaker, claim: (value: object) => void): Error {
  const known: Fields = new Map();
  let error: Error | undefined;
  const count = source.count(MAJOR.map);
  for (let i = 0; i < count; i++) {
    const key = source.text();
    if (!HIDDEN.has(key) && key !== CONTENT) {
      throw damaged('an error with a field that is not known here');
    }
    if (key !== 'name' && key !== 'message' && key !== CONTENT) {
      error ??= make(maker, known);
      claim(error);
    }
    const value = source.read();
    if (error) define(error, key, value, false);
    else known.set(key, value);
  }
  error ??= make(maker, known);
  claim(error);
  return error;
}

function make({ wireName, own }: ErrorMaker, fields: Fields): Error {
  const inherited = inheritedName(wireName);
  const name = fields.get('name') ?? inherited ?? wireName;
  const message = fields.get('message') ?? '';
  const { stackTraceLimit } = Error;
  let error: Error;
  try {
    // Frames of the decoder say nothing about an error that happened elsewhere.
    Error.stackTraceLimit = 0;
    const base = () => reviveError(wireName, textOr(message, ''), textOr(name, 'Error'));
    if (own?.decode) error = decodeOwn(own, fields.get(CONTENT)) ?? base();
    else error = own ? Object.setPrototypeOf(base(), own.Class.prototype) : base();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  if (!fields.has('message')) Reflect.deleteProperty(error, 'message');
  if (error.message !== message) define(error, 'message', message, false);
  if (error.name !== name) define(error, 'name', name, false);
  define(error, 'stack', header(textOr(name, 'Error'), textOr(message, '')), false);
  return error;
}

/** What the class's own `decode` makes. Where it fails, an error must arrive all the same. */
function decodeOwn({ Class, decode }: RegisteredClass, content: unknown): Error | undefined {
  try {
    const error = decode?.(content as never);
    return isInstance(error, Class) && isError(error) ? error : undefined;
  } catch {
    return undefined;
  }
}

/** What stands for a stack that was not sent. */
function header(name: string, message: string): string {
  return message === '' ? name : `${name}: ${message}`;
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}
