/** Calls of routines, whatever these were made of. */
import { OutboundContext } from '../context/outbound.ts';
import { conclude, concludeFailed, presentChain } from './crossing.ts';
import type { Definition } from './definition.ts';
import { encodeFor, exposing } from './discretion.ts';
import type { CallRequest } from './dispatcher.ts';
import { type CallOptions, findDispatcher, NO_TERMS, type Terms, termsOf } from './gate.ts';
import { type Patience, patiently } from './loading.ts';
import { decode, Unread, whenRead, withCallerStack } from './outcome.ts';
import { RemoteIterator } from './remote-iterator.ts';
import { currentScope, type Scope } from './task.ts';

/** The function that calls a routine with these options. */
export function bind(definition: Definition, options: CallOptions | undefined) {
  if (!definition.generator) return (...args: unknown[]) => call(definition, args, options);
  return (...args: unknown[]) => {
    // The pool and the options are those around this call, and not around the first step.
    const around = currentScope();
    return new RemoteIterator(() => generate(definition, args, options, around));
  };
}

/** @param around where the call was made, if it is another place than where it begins */
function prepare(definition: Definition, options: CallOptions | undefined, around?: Scope) {
  const scope = currentScope();
  const binding = around && isBinding(around) ? around : scope;
  const dispatcher = findDispatcher(definition.name, options, binding);
  const terms = termsOf(options, binding);
  const request = terms === NO_TERMS ? definition.plain : requestOf(definition, terms);
  return { dispatcher, request, chain: presentChain(scope) };
}

/** Whether it says where calls go, or how. */
function isBinding({ dispatcher, options, task }: Scope): boolean {
  return dispatcher !== undefined || options !== undefined || task !== undefined;
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
  let context: OutboundContext | undefined;
  try {
    const prepared = prepare(definition, options);
    request = prepared.request;
    if (request.timeoutMs !== undefined) began = performance.now();
    const { dispatcher, chain } = prepared;
    if (chain === undefined) {
      const value = decode(await dispatcher.call(request, encodeFor(dispatcher, definition, args)));
      return value instanceof Promise ? await patiently(value, patienceOf(request, began)) : value;
    }
    const outbound = new OutboundContext(dispatcher);
    const depart = () => outbound.depart(chain, () => definition.encode(args));
    const encoded = exposing(dispatcher.exposeStacks, depart);
    context = outbound;
    const received = await dispatcher.call(request, encoded, outbound);
    context = undefined;
    const concluding = conclude(outbound, () => patienceOf(request, began));
    if (concluding) await concluding;
    const value = decode(received);
    return value instanceof Promise ? await patiently(value, patienceOf(request, began)) : value;
  } catch (error) {
    const unread = error instanceof Unread;
    const thrown = unread ? await whenRead(error, patienceOf(request, began)) : error;
    const failure = context
      ? await concludeFailed(context, thrown, () => patienceOf(request, began))
      : thrown;
    throw withCallerStack(failure, request.signal);
  }
}

function patienceOf({ signal, timeoutMs }: CallRequest, began: number): Patience {
  return { signal, timeoutMs, began: timeoutMs === undefined ? performance.now() : began };
}

function generate(
  definition: Definition,
  args: unknown[],
  options: CallOptions | undefined,
  around: Scope | undefined,
) {
  try {
    const { dispatcher, request, chain } = prepare(definition, options, around);
    const { signal } = request;
    if (chain === undefined) {
      const remote = dispatcher.generate(request, encodeFor(dispatcher, definition, args));
      return { remote, dispatcher, signal, context: undefined };
    }
    const context = new OutboundContext(dispatcher);
    const depart = () => context.depart(chain, () => definition.encode(args));
    const encoded = exposing(dispatcher.exposeStacks, depart);
    return { remote: dispatcher.generate(request, encoded), dispatcher, signal, context };
  } catch (error) {
    throw withCallerStack(error, undefined);
  }
}
