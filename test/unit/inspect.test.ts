/** An inspector of XState sees the actors of a call, on both sides, and the events between them. */

import { beforeAll, describe, expect, test } from 'vitest';
import { type AnyActorRef, createActor, fromCallback, type InspectionEvent } from 'xstate';
import { Admission } from '../../src/actors/admission.ts';
import { PoolProxy } from '../../src/actors/proxy.ts';
import { Session } from '../../src/actors/session.ts';
import { roundRobin } from '../../src/balancing/policies.ts';
import { processHome } from '../../src/context/home.ts';
import { systemEnv } from '../../src/env.ts';
import { decode } from '../../src/routine/outcome.ts';
import type { RegisteredRoutine } from '../../src/routine/registry.ts';
import { defaultLimits } from '../../src/transport/link.ts';
import { memoryTransport } from '../../src/transport/memory.ts';
import { encodeArgs } from '../../src/wire/value.ts';

const MODULE = 'file:///routines.js';
const ids = ['balancer', 'call', 'execution', 'peer', 'proxy', 'session'];

/** What an inspector makes of an actor's logic. */
interface Inspected {
  readonly config?: { readonly id?: string };
  readonly definition?: { readonly id?: string; readonly states?: object };
}

function logicOf(actor: unknown): Inspected {
  return (actor as { logic: Inspected }).logic;
}

function chartOf(actor: unknown): string | undefined {
  return logicOf(actor).config?.id;
}

function routineOf(name: string, generator: boolean, fn: RegisteredRoutine['fn']) {
  return { module: MODULE, name, generator, fn, site: { module: MODULE, line: 1, column: 1 } };
}

const routines: { readonly [name: string]: RegisteredRoutine } = {
  add: routineOf('add', false, async (x: number, y: number) => x + y),
  fail: routineOf('fail', false, async () => {
    throw new RangeError('too far');
  }),
  upTo: routineOf('upTo', true, async function* (n: number) {
    for (let i = 0; i < n; i += 1) yield i;
  }),
};

function requestOf(name: string) {
  return {
    routine: { module: MODULE, name, key: `${MODULE}#${name}` },
    generator: routines[name]?.generator ?? false,
    attempts: 1,
    timeoutMs: undefined,
    tag: '',
    caller: '',
    signal: undefined,
  };
}

/** A caller and a worker in one system, and what an inspector has seen of them. */
async function inspected() {
  const seen: InspectionEvent[] = [];
  const root = createActor(
    fromCallback(() => {}),
    { inspect: (event) => seen.push(event) },
  ).start();
  let ended = () => {};
  const closed = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const shared = { env: systemEnv, limits: defaultLimits };
  const transport = memoryTransport();
  await transport.listen('memory://worker', {
    link: (channel) => {
      new Session(root, channel, {
        ...shared,
        uid: 'worker',
        callerLostAfterMs: Number.POSITIVE_INFINITY,
        exposeStacks: true,
        resolve: (_module, name) => routines[name] as RegisteredRoutine,
        dispatcher: { home: processHome, strictContext: false } as never,
        admission: new Admission(),
        takePlace: () => true,
        freePlace: () => {},
        closed: () => ended(),
      });
    },
    stop: async () => {},
    status: () => ({ uid: 'worker', inFlight: 0, idleMs: 0, draining: false, uptimeMs: 0 }),
  });
  const options = { ...shared, transports: [transport], policy: roundRobin(), maxQueue: 10 };
  const proxy = new PoolProxy(root, options);
  proxy.send({ type: 'added', worker: { uid: 'worker', address: 'memory://worker', tags: [] } });
  return { seen, proxy, closed };
}

describe('the inspector of a system', () => {
  let seen: InspectionEvent[];
  let results: unknown[];

  beforeAll(async () => {
    const { seen: all, proxy, closed } = await inspected();
    seen = all;
    const sum = decode(await proxy.call(requestOf('add'), encodeArgs([1, 2])));
    const failure = await proxy.call(requestOf('fail'), encodeArgs([])).catch((error) => error);
    const steps: unknown[] = [];
    const generator = proxy.generate(requestOf('upTo'), encodeArgs([2]));
    for (let done = false; !done; ) {
      const step = await generator.step('next', undefined);
      done = step.done;
      steps.push(decode(step.value));
    }
    results = [sum, failure, steps];
    proxy.send({ type: 'abort', error: new Error('closed') });
    await Promise.all([proxy.closed, closed]);
  });

  /** All actors of a chart. */
  function actorsOf(id: string): unknown[] {
    return seen
      .filter(({ type }) => type === '@xstate.actor')
      .map(({ actorRef }) => actorRef)
      .filter((actor) => chartOf(actor) === id);
  }

  /** The types of the events that an actor got. */
  function eventsOf(actor: unknown): string[] {
    return seen.flatMap((one) =>
      one.type === '@xstate.event' && one.actorRef === actor ? [one.event.type] : [],
    );
  }

  /** The states that an actor was seen in, each as long as it lasted. */
  function statesOf(actor: unknown): string[] {
    const values = seen.flatMap((one) =>
      one.type === '@xstate.snapshot' && one.actorRef === actor
        ? [(one.snapshot as unknown as { value: string }).value]
        : [],
    );
    return values.filter((value, i) => value !== values[i - 1]);
  }

  test('does not disturb the calls', () => {
    expect(results).toEqual([3, expect.any(RangeError), [0, 1, undefined]]);
  });

  test('sees an actor for each part, and one for each call on both sides', () => {
    const counts = Object.fromEntries(ids.map((id) => [id, actorsOf(id).length]));
    expect(counts).toEqual({ balancer: 1, call: 3, execution: 3, peer: 1, proxy: 1, session: 1 });
  });

  test.each(ids)('finds the definition of the %s where machines have it', (id) => {
    const [actor] = actorsOf(id);
    const { definition, config } = logicOf(actor);
    expect(config?.id).toBe(id);
    expect(definition?.id).toBe(id);
    const states = Object.keys(definition?.states ?? {});
    expect(statesOf(actor).filter((state) => !states.includes(state))).toEqual([]);
  });

  test('can tell actors apart, and whose children they are', () => {
    const all = ids.flatMap(actorsOf) as AnyActorRef[];
    expect(new Set(all.map(({ sessionId }) => sessionId)).size).toBe(all.length);
    const parentOf = (id: string) => (actorsOf(id)[0] as { _parent: unknown })._parent;
    for (const id of ['balancer', 'call', 'peer']) expect(chartOf(parentOf(id))).toBe('proxy');
    expect(chartOf(parentOf('execution'))).toBe('session');
    expect(parentOf('session')).toBe(parentOf('proxy'));
  });

  test.each([
    ['proxy', ['xstate.init', 'added', 'abort']],
    ['balancer', ['xstate.init', 'join', 'ask', 'ask', 'ask', 'leave']],
    ['peer', ['xstate.init', 'offer', 'up', 'offer', 'offer', 'dismiss']],
    ['session', ['xstate.init', 'up', 'task', 'task', 'task', 'down']],
  ])('sees what is told to the %s', (id, events) => {
    const [actor] = actorsOf(id);
    expect(eventsOf(actor).filter((type) => events.includes(type))).toEqual(events);
  });

  test('sees the events of each call, and the states that they lead to', () => {
    const [add, fail, upTo] = actorsOf('call');
    // An Ack may come with the outcome.
    const eventsOfCall = (call: unknown) => eventsOf(call).filter((type) => type !== 'ack');
    expect(eventsOfCall(add)).toEqual(['xstate.init', 'assigned', 'result']);
    expect(eventsOfCall(fail)).toEqual(['xstate.init', 'assigned', 'failed']);
    const steps = ['result', 'step', 'result', 'step', 'result'];
    expect(eventsOfCall(upTo)).toEqual(['xstate.init', 'assigned', ...steps]);
    expect([add, fail, upTo].map((call) => statesOf(call).at(-1))).toEqual([
      'done',
      'failed',
      'done',
    ]);
  });

  test('and those of each execution', () => {
    const [add, fail, upTo] = actorsOf('execution');
    expect(eventsOf(add)).toEqual(['xstate.init', 'loaded', 'returned']);
    expect(eventsOf(fail)).toEqual(['xstate.init', 'loaded', 'threw']);
    const steps = ['yielded', 'step', 'yielded', 'step', 'returned'];
    // The first step comes with the task.
    expect(eventsOf(upTo)).toEqual(['xstate.init', 'loaded', 'step', ...steps]);
    const between = ['suspended', 'stepping'];
    expect(statesOf(upTo)).toEqual(['loading', ...between, ...between, ...between, 'done']);
  });
});
