/** The compiled logic that runs is held equal to XState's machine of the same chart. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { balancerChart } from '../../src/actors/balancer.ts';
import { type Call, callChart } from '../../src/actors/call.ts';
import { type Execution, executionChart } from '../../src/actors/execution.ts';
import { peerChart } from '../../src/actors/peer.ts';
import { poolChart } from '../../src/actors/pool.ts';
import { proxyChart } from '../../src/actors/proxy.ts';
import { sessionChart } from '../../src/actors/session.ts';
import {
  type Chart,
  defineChart,
  type StateNode,
  type Transition,
  toLogic,
} from '../../src/actors/statechart.ts';
import { watchChart } from '../../src/actors/watch.ts';
import { workerChart } from '../../src/worker/core.ts';
import {
  type Compile,
  type EventArbitraries,
  eventTypes,
  runsOf,
  stepsOf,
  transitionNames,
  walk,
} from './statecharts.ts';

// Things that charts pass on and do not look into.
const opaque = fc.anything({ maxDepth: 1 }) as fc.Arbitrary<never>;
const text = fc.string({ maxLength: 5 });
const none = fc.constant({});
const reason = fc.record({
  code: fc.constantFrom('closed', 'unreachable', 'lost', 'protocol', 'refused'),
  message: text,
  idle: fc.boolean(),
});
const graceMs = fc.constantFrom(undefined, 0, 0, 100);

describe('each chart of the runtime', () => {
  const call = fc.record({
    args: fc.constantFrom(undefined, new Uint8Array()),
    attempt: fc.integer({ min: 1, max: 2 }),
    request: fc.record({ attempts: fc.integer({ min: 1, max: 3 }) }),
  }) as fc.Arbitrary<Call>;
  check(callChart, call, {
    assigned: fc.record({ worker: text }),
    unavailable: fc.record({ error: opaque }),
    ack: none,
    refused: none,
    result: fc.record({ value: opaque, done: fc.boolean() }),
    duplicate: none,
    failed: fc.record({ error: opaque }),
    lost: fc.record({ message: text, cause: opaque }),
    step: none,
    cancel: fc.record({ error: opaque, reason: fc.constantFrom(0, 1) }),
  });
  const step = fc.constantFrom(undefined, { kind: 'next' as const, value: 1 });
  const execution = fc.record({ generator: fc.boolean(), step }) as fc.Arbitrary<Execution>;
  check(executionChart, execution, {
    loaded: none,
    unloadable: fc.record({ error: opaque }),
    declined: none,
    step: none,
    yielded: fc.record({ value: opaque }),
    returned: fc.record({ value: opaque }),
    threw: fc.record({ error: opaque }),
    cancel: fc.record({ error: opaque }),
    stop: fc.record({ error: opaque, leaving: fc.boolean() }),
  });
  check(peerChart, fc.constant(undefined), {
    offer: fc.record({ call: opaque }),
    connect: none,
    up: none,
    down: fc.record({ reason }),
    retry: none,
    drained: none,
    unlisted: fc.record({ free: fc.boolean() }),
    listed: none,
    idle: none,
    died: fc.record({ message: text }),
    silent: none,
    rest: fc.constant({}),
    dismiss: fc.record({ message: text }),
  });
  check(watchChart, fc.record({ limit: fc.integer({ min: 2, max: 4 }) }), {
    heard: none,
    missed: none,
    turning: none,
    blocked: none,
    end: none,
  });
  check(sessionChart, fc.constant(undefined), {
    up: fc.record({ epoch: text }),
    task: fc.record({ frame: opaque }),
    drain: none,
    idle: none,
    rest: none,
    stop: fc.record({ error: opaque }),
    down: fc.record({ reason }),
  });
  check(balancerChart, fc.constant(undefined), {
    ask: fc.record({ call: opaque, refused: fc.constant([]) }),
    join: fc.record({ worker: opaque }),
    leave: fc.record({ uid: text }),
    full: fc.record({ uid: text }),
    freed: fc.record({ uid: text }),
    starved: fc.record({ call: opaque }),
    rested: fc.record({ call: opaque }),
    forget: fc.record({ call: opaque }),
    close: fc.record({ error: opaque }),
  });
  check(proxyChart, fc.constant(undefined), {
    added: fc.record({ worker: opaque }),
    updated: fc.record({ worker: opaque }),
    unlisted: fc.record({ uid: text }),
    dropped: fc.record({ uid: text, message: text }),
    deserted: fc.record({ error: opaque }),
    rest: fc.constant({}),
    drain: none,
    idle: none,
    abort: fc.record({ error: opaque }),
  });
  const size = fc.integer({ min: 0, max: 3 });
  check(
    poolChart,
    fc.record({ size, looking: fc.boolean(), maxRestarts: fc.nat(2), windowMs: fc.nat(50) }),
    {
      started: fc.record({ slot: fc.nat(3) }),
      leaving: fc.record({ slot: fc.nat(3) }),
      exited: fc.record({ slot: fc.nat(3), at: fc.nat(100), why: text }),
      found: none,
      unfindable: fc.record({ error: opaque }),
      close: fc.record({ graceMs }),
      drained: none,
      expired: none,
      stopped: none,
    },
  );
  check(workerChart, fc.constant(undefined), {
    drain: fc.record({ graceMs }),
    expired: none,
    forsaken: none,
    idle: none,
    closed: none,
  });
});

/** Holds the runs of one chart equal, and looks whether the walks took all its transitions. */
function check<C, E extends { type: string }, I, O>(
  chart: Chart<C, E, I, O>,
  input: fc.Arbitrary<I>,
  fields: EventArbitraries<E>,
): void {
  test(chart.id, () => {
    expect(Object.keys(fields).sort()).toEqual(eventTypes(chart).sort());
    const missing = new Set(transitionNames(chart));
    const visit = (name: string) => missing.delete(name);
    const property = fc.property(input, stepsOf(fields), (some, steps) => {
      walk(chart, some, steps, { visit });
    });
    fc.assert(property, { numRuns: 300 });
    // As many more as it takes, so that no chance decides.
    for (let i = 0; missing.size > 0 && i < 240; i += 1) fc.assert(property, { numRuns: 50 });
    expect([...missing]).toEqual([]);
  });
}

interface Counter {
  readonly count: number;
  readonly last: string;
}

type Tick = { type: 'x'; by: number } | { type: 'y'; by: number } | { type: 'z'; by: number };

type CounterChart = Chart<Counter, Tick, number, string>;
type CounterNode = StateNode<Counter, Tick>;

const guards: NonNullable<CounterChart['guards']> = {
  even: ({ count }) => count % 2 === 0,
  third: ({ count }, { by }) => (count + by) % 3 === 0,
  never: () => false,
};
const assigns: NonNullable<CounterChart['assigns']> = {
  add: ({ count }, { by }) => ({ count: count + by }),
  twist: ({ count }) => ({ count: (count * 7 + 1) % 100 }),
  note: (_context, { type }) => ({ last: type }),
  nothing: () => ({}),
};
const effectNames = fc.array(fc.constantFrom('one', 'two', 'three', 'tell'), { maxLength: 3 });

/** A state that may go to any of `targets`. */
function nodeOf(targets: readonly string[]): fc.Arbitrary<CounterNode> {
  const transition: fc.Arbitrary<Transition<Counter, Tick>> = fc.record(
    {
      target: fc.constantFrom(...targets),
      guard: fc.constantFrom(...Object.keys(guards)),
      assign: fc.constantFrom(...Object.keys(assigns)),
      effects: effectNames,
      reenter: fc.boolean(),
    },
    { requiredKeys: [] },
  );
  const list = fc.oneof(transition, fc.array(transition, { maxLength: 3 }));
  const on = fc.record({ x: list, y: list, z: list }, { requiredKeys: [] });
  const node = fc.record({ entry: effectNames, exit: effectNames, on }, { requiredKeys: [] });
  return node as fc.Arbitrary<CounterNode>;
}

const anyChart: fc.Arbitrary<CounterChart> = fc.nat(2).chain((more) => {
  const names = ['a', 'b', 'c', 'd'].slice(0, more + 2);
  const node = nodeOf([...names, 'end']);
  const states = fc.record(Object.fromEntries(names.map((name) => [name, node])));
  return fc.record({ states, endEntry: effectNames }).map(({ states, endEntry }) =>
    defineChart<Counter, Tick, number, string>({
      id: 'any',
      initial: 'a',
      context: (count) => ({ count, last: '' }),
      guards,
      assigns,
      states: { ...states, end: { final: true, entry: endEntry } },
      output: ({ count, last }) => `${count} ${last}`,
    }),
  );
});

const by = fc.record({ by: fc.nat(5) });
const ticks = stepsOf<Tick>({ x: by, y: by, z: by });
const told: Tick = { type: 'x', by: 1 };

describe('charts of chance', () => {
  test('run as XState runs them', () => {
    const property = fc.property(anyChart, fc.nat(5), ticks, (chart, input, steps) => {
      walk(chart, input, steps, { told });
    });
    fc.assert(property, { numRuns: 500 });
  });

  /** The chart with each state changed. */
  const withNodes = (
    change: (node: CounterNode, name: string) => CounterNode,
  ): Compile<Counter, Tick, number, string> => {
    return (chart, effects) => {
      const states = Object.entries(chart.states).map(([name, node]) => [name, change(node, name)]);
      return toLogic({ ...chart, states: Object.fromEntries(states) }, effects);
    };
  };
  /** The chart with each list of transitions changed. */
  const withLists = (
    change: (list: Transition<Counter, Tick>[], name: string) => Transition<Counter, Tick>[],
  ) =>
    withNodes((node, name) => {
      const on = Object.entries(node.on ?? {}).map(([type, some]) => [
        type,
        change([some].flat(), name),
      ]);
      return { ...node, on: Object.fromEntries(on) };
    });
  const withTransitions = (
    change: (transition: Transition<Counter, Tick>, name: string) => Transition<Counter, Tick>,
  ) => withLists((list, name) => list.map((transition) => change(transition, name)));

  const mistakes: { [name: string]: Compile<Counter, Tick, number, string> } = {
    'the last guard that holds wins': withLists((list) => list.toReversed()),
    'only the first guard counts': withLists((list) => list.slice(0, 1)),
    'guards do not count': withTransitions(({ guard: _, ...rest }) => rest),
    'nothing is assigned': withTransitions(({ assign: _, ...rest }) => rest),
    'effects in the wrong order': withTransitions(({ effects, ...rest }) => ({
      ...rest,
      effects: effects?.toReversed() ?? [],
    })),
    'reenter is not known': withTransitions(({ reenter: _, ...rest }) => rest),
    'to stay is to enter again': withTransitions(({ target, ...rest }, name) => ({
      ...rest,
      target: target ?? name,
      reenter: true,
    })),
    'no effects on leaving': withNodes(({ exit: _, ...rest }) => rest),
    'no effects on entering': withNodes(({ entry: _, ...rest }) => rest),
    'leaving comes last': withNodes(({ exit, ...rest }) => ({ ...rest, entry: exit ?? [] })),
    'no state is final': withNodes(({ final: _, ...rest }) => rest),
    'no output': ({ output: _, ...chart }, effects) => toLogic(chart, effects),
    'effects see the context before the event': (chart, effects) => {
      const logic = toLogic(chart, effects);
      return {
        ...logic,
        transition: (snapshot, event, scope) => {
          const old = Object.entries(effects).map(([name, effect]) => [
            name,
            (_context: Counter, ...rest: [Tick, never]) => effect(snapshot.context, ...rest),
          ]);
          return toLogic(chart, Object.fromEntries(old)).transition(snapshot, event, scope);
        },
      };
    },
  };

  test.each(Object.keys(mistakes))('a compiler in which %s is found out', (name) => {
    const compile = mistakes[name];
    if (compile === undefined) throw new Error('no such mistake');
    const property = fc.property(anyChart, fc.nat(5), ticks, (chart, input, steps) => {
      walk(chart, input, steps, { told, compile });
    });
    expect(fc.check(property, { numRuns: 1_000 }).failed).toBe(true);
  });
});

describe('what the charts can say', () => {
  type Event = { type: 'go' } | { type: 'stay' } | { type: 'again' } | { type: 'unknown' };
  const base = { id: 'small', context: () => ({ count: 0 }) };
  const count = { count: ({ count }: { count: number }) => ({ count: count + 1 }) };

  /** What each run of the chart does on these events; all the same, or the test fails. */
  function results(
    chart: Chart<{ count: number }, Event, undefined, undefined>,
    events: readonly Event['type'][],
    told?: Event,
  ) {
    const [first, ...others] = runsOf(chart, undefined, told).map((run) => {
      run.start();
      for (const type of events) run.send({ type });
      const calls = run.calls.map(({ name, context }) => [
        name,
        (context as typeof context & { count: number }).count,
      ]);
      const { value, status } = run.snapshot;
      return { value, status, calls };
    });
    for (const other of others) expect(other).toEqual(first);
    return first;
  }

  test('a state is left and entered when it changes, and by itself only with reenter', () => {
    const chart = defineChart<{ count: number }, Event>({
      ...base,
      initial: 'here',
      assigns: count,
      states: {
        here: {
          entry: ['enter here'],
          exit: ['leave here'],
          on: {
            go: { target: 'there', assign: 'count', effects: ['go'] },
            stay: [{ target: 'here', assign: 'count', effects: ['stay'] }],
            again: { target: 'here', assign: 'count', effects: ['again'], reenter: true },
          },
        },
        // Without a target there is nothing to enter again.
        there: { entry: ['enter there'], on: { stay: { effects: ['stay'], reenter: true } } },
      },
    });
    expect(results(chart, ['stay', 'again', 'go', 'stay'])).toEqual({
      value: 'there',
      status: 'active',
      // What is done on leaving sees the context of before.
      calls: [
        ['enter here', 0],
        ['stay', 1],
        ['leave here', 1],
        ['again', 2],
        ['enter here', 2],
        ['leave here', 2],
        ['go', 3],
        ['enter there', 3],
        ['stay', 3],
      ],
    });
  });

  test('the first transition whose guard holds is taken, and none when none does', () => {
    const chart = defineChart<{ count: number }, Event>({
      ...base,
      initial: 'here',
      assigns: count,
      guards: { low: ({ count }) => count < 1, mid: ({ count }) => count < 2, no: () => false },
      states: {
        here: {
          on: {
            go: [
              { guard: 'low', assign: 'count', effects: ['low'] },
              { guard: 'mid', assign: 'count', effects: ['mid'] },
              { assign: 'count', effects: ['else'] },
              { effects: ['never'] },
            ],
            stay: { guard: 'no', effects: ['never'] },
          },
        },
      },
    });
    const calls = [
      ['low', 1],
      ['mid', 2],
      ['else', 3],
    ];
    const result = results(chart, ['go', 'stay', 'go', 'go', 'unknown']);
    expect(result).toEqual({ value: 'here', status: 'active', calls });
  });

  test('what an effect sends to its own actor comes after all that the event does', () => {
    const chart = defineChart<{ count: number }, Event>({
      ...base,
      initial: 'here',
      assigns: count,
      states: {
        here: {
          entry: ['tell', 'entered'],
          on: { go: { target: 'there', assign: 'count', effects: ['tell', 'gone'] } },
        },
        there: {
          entry: ['entered'],
          on: { go: { target: 'end', assign: 'count', effects: ['tell', 'gone'] } },
        },
        end: { final: true, entry: ['tell', 'entered'] },
      },
    });
    // Started, it goes to the end by itself; what it sends there is not heard.
    expect(results(chart, [], { type: 'go' })).toEqual({
      value: 'end',
      status: 'done',
      calls: [
        ['tell', 0],
        ['entered', 0],
        ['tell', 1],
        ['gone', 1],
        ['entered', 1],
        ['tell', 2],
        ['gone', 2],
        ['tell', 2],
        ['entered', 2],
      ],
    });
  });

  test('a chart that names what it does not have is refused', () => {
    const define = (state: StateNode<{ count: number }, Event>) =>
      defineChart<{ count: number }, Event>({ ...base, initial: 'a', states: { a: state } });
    expect(() => define({ on: { go: { target: 'b' } } })).toThrow("unknown state 'b'");
    expect(() => define({ on: { go: { guard: 'g' } } })).toThrow("unknown guard 'g'");
    expect(() => define({ on: { go: { assign: 's' } } })).toThrow("unknown assign 's'");
    expect(() => defineChart({ ...base, initial: 'z', states: {} })).toThrow("initial state 'z'");
    expect(() => define({ final: true })).toThrow('initial state is final');
    expect(() => toLogic(define({ entry: ['e'] }), {})).toThrow("no effect 'e'");
    const end = { final: true, on: { go: {} } };
    const states = { a: {}, end };
    expect(() => defineChart({ ...base, initial: 'a', states })).toThrow("'end' can't be left");
  });
});
