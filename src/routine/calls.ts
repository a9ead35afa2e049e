/** Calls of routines, whatever these were made of. */
import type { Definition } from './definition.ts';
import type { CallRequest } from './dispatcher.ts';
import { type CallOptions, findDispatcher, NO_TERMS, type Terms, termsOf } from './gate.ts';
import { type Patience, patiently } from './loading.ts';
import { decode, Unread, whenRead, withCallerStack } from './outcome.ts';
import { RemoteIterator } from './remote-iterator.ts';
import { currentScope } from './task.ts';

/** The function that calls a routine with these options. */
export function bind(definition: Definition, options: CallOptions | undefined) {
  return definition.generator
    ? (...args: unknown[]) => new RemoteIterator(() => generate(definition, args, options))
    : (...args: unknown[]) => call(definition, args, options);
}

function prepare(definition: Definition, options: CallOptions | undefined) {
  const scope = currentScope();
  const dispatcher = findDispatcher(definition.name, options, scope);
  const terms = termsOf(options, scope);
  const request = terms === NO_TERMS ? definition.plain : requestOf(definition, terms);
  return { dispatcher, request };
}

// Field by field: a spread that adds keys takes Node 20 two microseconds.
function requestOf({ plain }: Definition, terms: Terms): CallRequest {
  const { routine, label, generator, attempts } = plain;
  const { timeoutMs, tag, caller, signal, around } = terms;
  return { routine, label, generator, attempts, timeoutMs, tag, caller, signal, around };
}

async function call(definition: Definition, args: unknown[], options: CallOptions | undefined) {
  let request = definition.plain;
  let began = 0;
  try {
    const prepared = prepare(definition, options);
    request = prepared.request;
    if (request.timeoutMs !== undefined) began = performance.now();
    const value = decode(await prepared.dispatcher.call(request, definition.encode(args)));
    return value instanceof Promise ? await patiently(value, patienceOf(request, began)) : value;
  } catch (error) {
    const unread = error instanceof Unread;
    const thrown = unread ? await whenRead(error, patienceOf(request, began)) : error;
    throw withCallerStack(thrown, request.signal);
  }
}

function patienceOf({ signal, timeoutMs }: CallRequest, began: number): Patience {
  return { signal, timeoutMs, began: timeoutMs === undefined ? performance.now() : began };
}

function generate(definition: Definition, args: unknown[], options: CallOptions | undefined) {
  try {
    const { dispatcher, request } = prepare(definition, options);
    const remote = dispatcher.generate(request, definition.encode(args));
    return { remote, signal: request.signal };
  } catch (error) {
    throw withCallerStack(error, undefined);
  }
}
