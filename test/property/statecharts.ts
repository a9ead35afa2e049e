/** Runs a chart in all ways that it can run, side by side, and compares what they do. */
import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import { type AnyActorRef, type AnyEventObject, createActor, fromCallback } from 'xstate';
import { createLightActor } from '../../src/actors/actor.ts';
import {
  type Chart,
  type ChartLogic,
  type Effects,
  effectsOf,
  type Transition,
  toLogic,
  toMachine,
  transitionsOf,
} from '../../src/actors/statechart.ts';

/** An event without its type. */
type Fields<E, T> = Omit<Extract<E, { type: T }>, 'type'>;

/** For each event of a chart what its fields may be. */
export type EventArbitraries<E extends { type: string }> = {
  readonly [T in E['type']]: fc.Arbitrary<Fields<E, T>>;
};

/** One step of a walk: events of all types, and which of them to take. */
export interface Step<E> {
  readonly events: { readonly [type: string]: E };
  /** Takes any event, and not one that the present state names. */
  readonly any: boolean;
  readonly choice: number;
}

export function stepsOf<E extends { type: string }>(
  fields: EventArbitraries<E>,
): fc.Arbitrary<Step<E>[]> {
  const events: Record<string, fc.Arbitrary<E>> = {};
  for (const [type, arbitrary] of Object.entries<fc.Arbitrary<object>>(fields)) {
    events[type] = arbitrary.map((some) => ({ ...some, type }) as unknown as E);
  }
  const step = fc.record({
    events: fc.record(events) as fc.Arbitrary<Step<E>['events']>,
    any: fc.boolean(),
    choice: fc.nat(1_000),
  });
  return fc.array(step, { maxLength: 30, size: 'max' });
}

/** What compiles a chart; `toLogic`, or in tests of the tests something worse. */
export type Compile<C, E extends { type: string }, I, O> = (
  chart: Chart<C, E, I, O>,
  effects: Effects<C, E>,
) => ChartLogic<C, E, I, O>;

/** An effect that was called. */
interface Called {
  readonly name: string;
  readonly context: object;
  readonly event: unknown;
  readonly self: boolean;
}

export interface Snapshot {
  readonly value: string;
  readonly context: object;
  readonly status: string;
  readonly output: unknown;
}

/** One actor of the chart, and the effects that it called. */
export class Run<E extends { type: string }> {
  readonly calls: Called[] = [];
  readonly #actor: AnyActorRef;
  readonly #told: E | undefined;
  #tellings = 0;

  constructor(told: E | undefined, { holder, create }: Compiled<E>, input: unknown) {
    this.#told = told;
    holder.run = this;
    this.#actor = create(input);
  }

  /** An effect called `tell` sends `told` to its own actor, a few times. */
  call(name: string, context: unknown, event: { type: string }, self: AnyActorRef): void {
    this.calls.push(called(name, context, event, self === this.#actor));
    if (name !== 'tell' || this.#told === undefined || this.#tellings === 3) return;
    this.#tellings += 1;
    self.send(this.#told);
  }

  start(): void {
    this.#actor.start();
  }

  send(event: E): void {
    this.#actor.send(event as AnyEventObject);
  }

  get snapshot(): Snapshot {
    const { value, context, status, output } = this.#actor.getSnapshot();
    // Where a chart has no context XState has an empty object.
    return { value, context: { ...context }, status, output };
  }
}

function called(name: string, context: unknown, event: { type: string }, self: boolean): Called {
  // XState's first event carries the input; what runs leaves it out.
  const seen = event.type === 'xstate.init' ? event.type : event;
  return { name, context: { ...(context as object) }, event: seen, self };
}

const parent = createActor(fromCallback(() => {}));

/** A chart that has been compiled; its effects are calls of the run that was made of it last. */
interface Compiled<E extends { type: string }> {
  readonly holder: { run?: { call: Run<E>['call'] } };
  readonly create: (input: unknown) => AnyActorRef;
}

/** By chart and by what compiles it: that takes more time than a walk. */
const known = new WeakMap<object, Map<unknown, unknown>>();

function compiled<C, E extends { type: string }, I, O>(
  chart: Chart<C, E, I, O>,
  compile: Compile<C, E, I, O>,
): readonly Compiled<E>[] {
  const all = known.get(chart) ?? new Map<unknown, unknown>();
  known.set(chart, all);
  const found = all.get(compile);
  if (found) return found as readonly Compiled<E>[];
  const names = effectsOf(chart);
  const make = (prepare: (effects: Effects<C, E>) => (input: I) => AnyActorRef): Compiled<E> => {
    const holder: Compiled<E>['holder'] = {};
    const effects: Effects<C, E> = {};
    for (const name of names) {
      effects[name] = (context, event, self) => holder.run?.call(name, context, event, self);
    }
    return { holder, create: prepare(effects) as Compiled<E>['create'] };
  };
  const list = [
    make((effects) => {
      const machine = toMachine(chart, effects);
      return (input) => createActor(machine, { input });
    }),
    make((effects) => {
      const logic = compile(chart, effects);
      return (input) => createActor(logic, { input }) as AnyActorRef;
    }),
    make((effects) => {
      const logic = compile(chart, effects);
      return (input) => createLightActor(logic, parent, input);
    }),
  ];
  all.set(compile, list);
  return list;
}

/** The chart as XState's machine, as compiled logic in XState's actor, and the same in a light one. */
export function runsOf<C, E extends { type: string }, I, O>(
  chart: Chart<C, E, I, O>,
  input: I,
  told?: E,
  compile: Compile<C, E, I, O> = toLogic,
): [machine: Run<E>, logic: Run<E>, light: Run<E>] {
  const runs = compiled(chart, compile).map((one) => new Run<E>(told, one, input));
  return runs as [Run<E>, Run<E>, Run<E>];
}

/**
 * Walks all runs of a chart through the same events, and compares them after each. `visit` hears of
 * each transition that was taken, as `state event index`.
 *
 * @throws AssertionError when one of them differs
 */
export function walk<C, E extends { type: string }, I, O>(
  chart: Chart<C, E, I, O>,
  input: I,
  steps: readonly Step<E>[],
  { compile, told, visit }: { compile?: Compile<C, E, I, O>; told?: E; visit?: Visit } = {},
): void {
  const runs = runsOf(chart, input, told, compile);
  const [machine] = runs;
  for (const run of runs) run.start();
  compare(runs);
  for (const step of steps) {
    const { value, context, status } = machine.snapshot;
    if (status !== 'active') return;
    const event = choose(chart, value, step);
    const index = indexOf(chart, value, context as C, event);
    if (index >= 0) visit?.(`${value} ${event.type} ${index}`);
    for (const run of runs) run.send(event);
    compare(runs);
  }
}

type Visit = (transition: string) => void;

function compare<E extends { type: string }>([machine, ...others]: [Run<E>, ...Run<E>[]]): void {
  // Only the calls since the last comparison: the earlier ones are known to be equal.
  const snapshot = machine.snapshot;
  const calls = machine.calls.splice(0);
  for (const other of others) {
    deepStrictEqual(other.snapshot, snapshot);
    deepStrictEqual(other.calls.splice(0), calls);
  }
}

function choose<C, E extends { type: string }, I, O>(
  chart: Chart<C, E, I, O>,
  value: string,
  { events, any, choice }: Step<E>,
): E {
  const named = Object.keys(chart.states[value]?.on ?? {});
  const types = any || named.length === 0 ? Object.keys(events) : named;
  return events[types[choice % types.length] as string] as E;
}

/** Which of the transitions of an event is taken; -1 for none. */
function indexOf<C, E extends { type: string }, I, O>(
  chart: Chart<C, E, I, O>,
  value: string,
  context: C,
  event: E,
): number {
  return listOf(chart, value, event.type).findIndex(
    ({ guard }) => guard === undefined || chart.guards?.[guard]?.(context, event),
  );
}

function listOf<C, E extends { type: string }, I, O>(
  chart: Chart<C, E, I, O>,
  value: string,
  type: string,
): Transition<C, E>[] {
  const node = chart.states[value];
  if (node === undefined) return [];
  return transitionsOf(node)
    .filter(([name]) => name === type)
    .map(([, transition]) => transition);
}

/** All transitions of a chart, as `state event index`. */
export function transitionNames<C, E extends { type: string }, I, O>(
  chart: Chart<C, E, I, O>,
): string[] {
  return Object.entries(chart.states).flatMap(([value, node]) =>
    Object.keys(node.on ?? {}).flatMap((type) =>
      listOf(chart, value, type).map((_, index) => `${value} ${type} ${index}`),
    ),
  );
}

/** The types of the events that a chart names anywhere. */
export function eventTypes<C, E extends { type: string }, I, O>(
  chart: Chart<C, E, I, O>,
): string[] {
  return [...new Set(Object.values(chart.states).flatMap((node) => Object.keys(node.on ?? {})))];
}
