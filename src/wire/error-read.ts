/** Reads errors. What was thrown must arrive, though the program's `decode` of its class fails. */
import { decodeContent, unreadable } from './class-codec.ts';
import { classNamed, type RegisteredClass, warnAbout } from './classes.ts';
import { inheritedName, reviveError } from './error-classes.ts';
import { CONTENT, type Fields, HIDDEN, isError, NOT_READ } from './error-fields.ts';
import type { ReadKind, ValueSource } from './kinds.ts';
import { type Name, shown, UnknownName } from './names.ts';
import { define, defineAll } from './properties.ts';
import { damaged } from './reader.ts';
import { MAJOR } from './writer.ts';

export function readError(...[source, claim]: Parameters<ReadKind>): Error {
  source.openErrors++;
  const count = source.count(MAJOR.array);
  if (count !== 3 && count !== 4) throw damaged('an error without its parts');
  const own = count === 4 ? readClass(source) : undefined;
  const wireName = source.text();
  const error = readFields(source, { wireName, own }, claim);
  const properties = Object.create(null) as Record<string, unknown>;
  source.properties(properties, false, true);
  defineAll(error, properties);
  source.openErrors--;
  return error;
}

/** The program's class that an error is of, or its name where there is none here. */
function readClass(source: ValueSource): RegisteredClass | Name {
  const name = source.name('class');
  const registered = classNamed(name);
  if (registered === undefined && !source.lenient) throw new UnknownName(name);
  // What is no class of errors is like one that isn't known.
  return registered?.Class.prototype instanceof Error ? registered : name;
}

interface ErrorMaker {
  readonly wireName: string;
  readonly own: RegisteredClass | Name | undefined;
}

/** The error is made as late as possible, and as soon as another value could refer to it. */
function readFields(source: ValueSource, maker: ErrorMaker, claim: (value: object) => void): Error {
  const known: Fields = new Map();
  let coded: Coded | undefined;
  let error: Error | undefined;
  const count = source.count(MAJOR.map);
  for (let i = 0; i < count; i++) {
    const key = source.text();
    if (key === CONTENT) {
      coded = readCoded(source, maker.own);
      continue;
    }
    if (!HIDDEN.has(key)) throw damaged('an error with a field that is not known here');
    if (key !== 'name' && key !== 'message') {
      error ??= make(maker, known, coded ?? withoutContent(source, maker.own));
      claim(error);
    }
    const value = source.read();
    if (error) define(error, key, value, false);
    else known.set(key, value);
  }
  error ??= make(maker, known, coded ?? withoutContent(source, maker.own));
  claim(error);
  return error;
}

/** What `decode` made; or why it made nothing, with the content, so that this is not lost. */
interface Coded {
  readonly error?: Error;
  readonly failure?: Failure;
}

interface Failure {
  readonly reason: string;
  readonly content: unknown;
}

function readCoded(source: ValueSource, own: ErrorMaker['own']): Coded {
  const { notes } = source;
  const content = source.read();
  const known = knownHere(own);
  if (known?.decode === undefined) {
    return failed(source, own, { reason: `${classText(own)} has no decode here`, content });
  }
  if (source.notes > notes) {
    const reason = 'a part of what its encode gave is not known here';
    return failed(source, own, { reason, content });
  }
  const made = withoutFrames(() => decodeContent(content, known));
  if (made.why !== undefined) return failed(source, own, { reason: made.why, content }, made.cause);
  if (isError(made.instance)) return { error: made.instance };
  throw damaged('an error whose class is no class of errors');
}

/** The class has a `decode` here, and had no `encode` where the error comes from. */
function withoutContent(source: ValueSource, own: ErrorMaker['own']): Coded | undefined {
  if (knownHere(own)?.decode === undefined) return undefined;
  return failed(source, own, {
    reason: `${classText(own)} had no encode over there`,
    content: undefined,
  });
}

/** A value arrives equal, or not at all. What was thrown has to arrive. */
function failed(
  source: ValueSource,
  own: ErrorMaker['own'],
  failure: Failure,
  cause?: unknown,
): Coded {
  if (!source.thrown && source.openErrors === 1) throw unreadable(failure.reason, cause);
  const known = knownHere(own);
  if (known !== undefined) warnAbout(known.Class, 'decode', failure.reason);
  return { failure };
}

function classText(own: ErrorMaker['own']): string {
  if (own === undefined) return 'a class without a name';
  return `class ${shown('Class' in own ? own.name : own)}`;
}

function knownHere(own: ErrorMaker['own']): RegisteredClass | undefined {
  return own !== undefined && 'Class' in own ? own : undefined;
}

function make(
  { wireName, own }: ErrorMaker,
  fields: Fields,
  { error: decoded, failure }: Coded = {},
): Error {
  const inherited = inheritedName(wireName);
  const name = fields.get('name') ?? inherited ?? wireName;
  const message = fields.get('message') ?? '';
  const error =
    decoded ??
    withoutFrames(() => reviveError(wireName, textOr(message, ''), textOr(name, 'Error')));
  const known = knownHere(own);
  if (failure !== undefined) define(error, NOT_READ, failure);
  else if (decoded === undefined && known) Object.setPrototypeOf(error, known.Class.prototype);
  if (!fields.has('message')) Reflect.deleteProperty(error, 'message');
  if (error.message !== message) define(error, 'message', message, false);
  if (error.name !== name) define(error, 'name', name, false);
  define(error, 'stack', header(textOr(name, 'Error'), textOr(message, '')), false);
  return error;
}

/** Makes an error whose stack is empty: frames of the decoder say nothing about one from elsewhere. */
function withoutFrames<T>(makeError: () => T): T {
  const { stackTraceLimit } = Error;
  try {
    // Not by assignment, which throws where the program froze the class.
    Reflect.set(Error, 'stackTraceLimit', 0);
    return makeError();
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
  }
}

/** What stands for a stack that was not sent. */
function header(name: string, message: string): string {
  return message === '' ? name : `${name}: ${message}`;
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}
