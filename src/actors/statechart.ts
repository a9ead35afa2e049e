/**
 * How the statecharts of the runtime run.
 *
 * A chart is defined once, as flat data with pure guards and assignments. From it come a real XState
 * machine (`toMachine`: pictures, `xstate/graph`, model-based tests) and a table-driven `ActorLogic`
 * (`toLogic`: what runs; about six times cheaper for each actor). A property test holds the two
 * equal. Both are ordinary XState logic: `createActor` starts them, and the inspector sees them.
 */
import {
  type ActorLogic,
  type ActorScope,
  type ActorSystem,
  type AnyActorRef,
  type AnyStateMachine,
  assign,
  createMachine,
  type Snapshot,
} from 'xstate';

/** The member of the event union `E` with this type. */
export type EventOf<E extends { type: string }, T extends E['type']> = Extract<E, { type: T }>;

export interface Transition<C, E> {
  /** The state to go to; absent: stay, without leaving and entering. */
  target?: string;
  /** Name of a guard; the first transition of an event whose guard holds is taken. */
  guard?: string;
  /** Name of an assignment: what changes in the context, before the effects run. */
  assign?: string;
  /** Names of effects, run in this order. */
  effects?: readonly string[];
  /** Leave and enter again when the target is the present state. */
  reenter?: boolean;
  /** Types only. */
  readonly _?: [C, E];
}

export interface StateNode<C, E extends { type: string }> {
  /** Effects on entering, after those of the transition. */
  entry?: readonly string[];
  /** Effects on leaving, before all others; they see the context of before. */
  exit?: readonly string[];
  on?: {
    readonly [T in E['type']]?:
      | Transition<C, EventOf<E, T>>
      | readonly Transition<C, EventOf<E, T>>[];
  };
  /** The actor ends here. */
  final?: boolean;
  /** What the state means, for the generated pictures. */
  description?: string;
}

/** A flat statechart: its states, and the pure functions that its transitions name. */
export interface Chart<C, E extends { type: string }, I, O> {
  readonly id: string;
  readonly initial: string;
  readonly context: (input: I) => C;
  readonly states: { readonly [state: string]: StateNode<C, E> };
  readonly guards?: { readonly [name: string]: (context: C, event: E) => boolean };
  readonly assigns?: { readonly [name: string]: (context: C, event: E) => Partial<C> };
  /** The actor's output, from the context that it ended with. */
  readonly output?: (context: C) => O;
}

/**
 * What the effects that a chart names do. Declared as methods so that an implementation may say
 * which of the events it is called with.
 */
export interface Effects<C, E extends { type: string }> {
  [name: string]: {
    bivarianceHack(context: C, event: E, self: AnyActorRef): void;
  }['bivarianceHack'];
}

/** The state of an actor that runs a chart; the fields that XState's own snapshots have. */
export type ChartSnapshot<C, O> = Snapshot<O> & {
  readonly value: string;
  readonly context: C;
};

/** A chart compiled to a table, with its effects. */
export interface ChartLogic<C, E extends { type: string }, I, O>
  extends ActorLogic<ChartSnapshot<C, O>, E, I, ActorSystem<never>> {
  /** The id of the chart. */
  readonly chart: string;
  /** The XState machine of the same chart, built when an inspector asks for it. */
  readonly definition: unknown;
}

/** Checks that the chart only names what it has, and gives it back with its types. */
export function defineChart<C, E extends { type: string }, I = undefined, O = undefined>(
  chart: Chart<C, E, I, O>,
): Chart<C, E, I, O> {
  const complain = (problem: string): never => {
    throw new TypeError(`chart '${chart.id}': ${problem}`);
  };
  const initial = chart.states[chart.initial];
  if (!initial) return complain(`no initial state '${chart.initial}'`);
  if (initial.final) complain('the initial state is final');
  for (const [name, node] of Object.entries(chart.states)) {
    if (node.final && (node.on || node.exit)) complain(`the final state '${name}' can't be left`);
    for (const [type, transition] of transitionsOf(node)) {
      const { target, guard, assign: change } = transition;
      const where = `'${type}' in state '${name}'`;
      if (target && !chart.states[target])
        complain(`${where} goes to an unknown state '${target}'`);
      if (guard && !chart.guards?.[guard]) complain(`${where} names an unknown guard '${guard}'`);
      if (change && !chart.assigns?.[change])
        complain(`${where} names an unknown assign '${change}'`);
    }
  }
  return chart;
}

/** All transitions of a state, one after the other, with the event type that each is for. */
export function transitionsOf<C, E extends { type: string }>(
  node: StateNode<C, E>,
): [string, Transition<C, E>][] {
  const list: [string, Transition<C, E>][] = [];
  for (const [type, value] of Object.entries(node.on ?? {})) {
    for (const transition of [value].flat()) list.push([type, transition as Transition<C, E>]);
  }
  return list;
}

/** The names of all effects of a chart. */
export function effectsOf<C, E extends { type: string }, I, O>(chart: Chart<C, E, I, O>): string[] {
  const names = new Set<string>();
  for (const node of Object.values(chart.states)) {
    for (const name of [...(node.entry ?? []), ...(node.exit ?? [])]) names.add(name);
    for (const [, transition] of transitionsOf(node)) {
      for (const name of transition.effects ?? []) names.add(name);
    }
  }
  return [...names].sort();
}

/**
 * The chart as an XState machine. Effects that are not given do nothing, so that the machine can be
 * walked (`xstate/graph`) and drawn without the runtime.
 */
export function toMachine<C, E extends { type: string }, I, O>(
  chart: Chart<C, E, I, O>,
  effects: Effects<C, E> = {},
): AnyStateMachine {
  const states: Record<string, unknown> = {};
  for (const [name, node] of Object.entries(chart.states)) {
    const on: Record<string, unknown[]> = {};
    for (const [type, transition] of transitionsOf(node)) {
      on[type] ??= [];
      on[type].push({
        ...(transition.target && { target: transition.target }),
        ...(transition.guard && { guard: transition.guard }),
        ...(transition.reenter && { reenter: true }),
        actions: [
          ...(transition.assign ? [`assign ${transition.assign}`] : []),
          ...(transition.effects ?? []),
        ],
      });
    }
    states[name] = {
      ...(node.final && { type: 'final' }),
      ...(node.description && { description: node.description }),
      entry: node.entry ?? [],
      exit: node.exit ?? [],
      on,
    };
  }
  const actions: Record<string, unknown> = {};
  for (const [name, change] of Object.entries(chart.assigns ?? {})) {
    actions[`assign ${name}`] = assign(({ context, event }) =>
      change(context as C, event as unknown as E),
    );
  }
  for (const name of effectsOf(chart)) {
    actions[name] = ({ context, event, self }: { context: C; event: E; self: AnyActorRef }) =>
      effects[name]?.(context, event, self);
  }
  const guards: Record<string, unknown> = {};
  for (const [name, holds] of Object.entries(chart.guards ?? {})) {
    guards[name] = ({ context, event }: { context: C; event: E }) => holds(context, event);
  }
  return createMachine(
    {
      id: chart.id,
      initial: chart.initial,
      context: ({ input }: { input: unknown }) => chart.context(input as I) as object,
      states,
      output: ({ context }: { context: unknown }) => chart.output?.(context as C),
    } as never,
    { actions, guards } as never,
  ) as AnyStateMachine;
}

type Effect<C, E> = (context: C, event: E, self: AnyActorRef) => void;

interface Row<C, E> {
  readonly guard: ((context: C, event: E) => boolean) | undefined;
  readonly assign: ((context: C, event: E) => Partial<C>) | undefined;
  readonly value: string;
  readonly final: boolean;
  /** On leaving; they see the context of before. Undefined for none. */
  readonly exit: readonly Effect<C, E>[] | undefined;
  readonly effects: readonly Effect<C, E>[];
}

type Table<C, E> = Map<string, Map<string, readonly Row<C, E>[]>>;

function toTable<C, E extends { type: string }, I, O>(
  chart: Chart<C, E, I, O>,
  effects: Effects<C, E>,
): Table<C, E> {
  for (const name of effectsOf(chart)) {
    if (!effects[name]) throw new TypeError(`chart '${chart.id}': no effect '${name}' was given`);
  }
  const find = (name: string) => effects[name] as Effect<C, E>;
  const table: Table<C, E> = new Map();
  for (const [name, node] of Object.entries(chart.states)) {
    const rows = new Map<string, Row<C, E>[]>();
    for (const [type, transition] of transitionsOf(node)) {
      const value = transition.target ?? name;
      // As in XState, `reenter` says nothing without a target.
      const moves = value !== name || (transition.target === name && transition.reenter === true);
      const target = chart.states[value];
      const names = [...(transition.effects ?? []), ...(moves ? (target?.entry ?? []) : [])];
      const row: Row<C, E> = {
        guard: transition.guard ? chart.guards?.[transition.guard] : undefined,
        assign: transition.assign ? chart.assigns?.[transition.assign] : undefined,
        value,
        final: target?.final ?? false,
        exit: moves ? node.exit?.map(find) : undefined,
        effects: names.map(find),
      };
      const list = rows.get(type);
      if (list) list.push(row);
      else rows.set(type, [row]);
    }
    table.set(name, rows);
  }
  return table;
}

/**
 * The chart as table-driven actor logic. Events that the present state does not name are ignored, as
 * in XState. An effect that sends to its own actor queues the event behind the present one.
 *
 * @throws TypeError when an effect that the chart names is missing.
 */
export function toLogic<C, E extends { type: string }, I, O>(
  chart: Chart<C, E, I, O>,
  effects: Effects<C, E>,
): ChartLogic<C, E, I, O> {
  const table = toTable(chart, effects);
  const entry = (chart.states[chart.initial]?.entry ?? []).map((name) => effects[name]);
  let machine: AnyStateMachine | undefined;
  const asMachine = () => {
    machine ??= toMachine(chart, effects);
    return machine;
  };

  return {
    chart: chart.id,
    get definition() {
      return asMachine().definition;
    },
    // Where inspectors look for a machine's definition.
    get config() {
      return asMachine().config;
    },
    getInitialSnapshot: (_scope: unknown, input: I) => ({
      status: 'active' as const,
      value: chart.initial,
      context: chart.context(input),
      output: undefined,
      error: undefined,
    }),
    start: (snapshot: ChartSnapshot<C, O>, scope: ActorScope<ChartSnapshot<C, O>, E>) => {
      for (const effect of entry) {
        effect?.(snapshot.context, { type: 'xstate.init' } as E, scope.self as AnyActorRef);
      }
    },
    transition: (
      snapshot: ChartSnapshot<C, O>,
      event: E,
      scope: ActorScope<ChartSnapshot<C, O>, E>,
    ): ChartSnapshot<C, O> => {
      const rows = table.get(snapshot.value)?.get(event.type);
      if (rows === undefined) return event.type === 'xstate.stop' ? stopped(snapshot) : snapshot;
      for (const row of rows) {
        if (row.guard !== undefined && !row.guard(snapshot.context, event)) continue;
        if (row.exit !== undefined) {
          for (const effect of row.exit) effect(snapshot.context, event, scope.self as AnyActorRef);
        }
        const context =
          row.assign === undefined
            ? snapshot.context
            : { ...snapshot.context, ...row.assign(snapshot.context, event) };
        for (const effect of row.effects) effect(context, event, scope.self as AnyActorRef);
        return {
          status: row.final ? 'done' : 'active',
          value: row.value,
          context,
          output: row.final ? chart.output?.(context) : undefined,
          error: undefined,
        } as ChartSnapshot<C, O>;
      }
      return snapshot;
    },
    getPersistedSnapshot: (snapshot: ChartSnapshot<C, O>) => snapshot as never,
  } as unknown as ChartLogic<C, E, I, O>;
}

function stopped<C, O>(snapshot: ChartSnapshot<C, O>): ChartSnapshot<C, O> {
  return { ...snapshot, status: 'stopped' } as ChartSnapshot<C, O>;
}
