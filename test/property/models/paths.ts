/** The ways through a chart, found by `xstate/graph`, for tests that walk the runtime along them. */
import { type AnyEventObject, createEmptyActor } from 'xstate';
import { getSimplePaths } from 'xstate/graph';
import { type Chart, toMachine, transitionsOf } from '../../../src/actors/statechart.ts';

/** One transition of a path. */
export interface Step {
  readonly event: AnyEventObject;
  readonly from: string;
  readonly to: string;
  /** As `transitionNames` of the chart's tests has it: state, event and index. */
  readonly name: string;
}

export type Path = readonly Step[];

// biome-ignore lint/suspicious/noExplicitAny: charts of all types
export type AnyChart = Chart<any, any, any, any>;

/** A state of the model, as far as paths need it. */
interface Model {
  readonly value: string;
  readonly context: object;
}

/** Which transition this event takes here; undefined when it is ignored. */
export function transitionName(
  chart: AnyChart,
  { value, context }: Model,
  event: AnyEventObject,
): string | undefined {
  const list = transitionsOf(chart.states[value] ?? {}).filter(([type]) => type === event.type);
  const index = list.findIndex(
    ([, { guard }]) => guard === undefined || chart.guards?.[guard]?.(context, event) === true,
  );
  return index < 0 ? undefined : `${value} ${event.type} ${index}`;
}

const nobody = createEmptyActor();

/**
 * What a machine's `transition` wants, so that it can be asked what it would do. XState's own
 * `transition()` makes an actor each time, which takes a hundred times longer.
 */
export const asking = {
  self: nobody,
  system: nobody.system,
  id: '',
  sessionId: '',
  logger: () => {},
  defer: () => {},
  emit: () => {},
  stopChild: () => {},
  actionExecutor: () => {},
} as never;

/** For people: `open drain -> draining`, `running result [done] -> done`. */
export function describeTransition(chart: AnyChart, name: string): string {
  const [state = '', type = '', index = ''] = name.split(' ');
  const list = transitionsOf(chart.states[state] ?? {}).filter(([one]) => one === type);
  const { guard, target } = list[Number(index)]?.[1] ?? {};
  const condition = guard ? ` [${guard}]` : list.length > 1 ? ' [else]' : '';
  return `${type}${condition} -> ${target ?? state}`;
}

export interface PathOptions {
  /** The events that the model knows: at least one for each outcome of a guard. */
  readonly events: readonly AnyEventObject[];
  /** What the actor begins with. */
  readonly input?: unknown;
  /** States are told apart by this part of their context, too. It must have few values. */
  readonly distinguish?: (context: never) => unknown;
}

/**
 * Each simple path to each state, then each transition that leaves it, then each that follows; as far
 * as `events` reach. No path is the beginning of another.
 */
export function pathsOf(
  chart: AnyChart,
  { events, input, distinguish = () => '' }: PathOptions,
): Path[] {
  const machine = toMachine(chart);
  type Snapshot = ReturnType<typeof machine.getInitialSnapshot>;
  const modelOf = (snapshot: Snapshot) => snapshot as unknown as Model;
  const simple = getSimplePaths(machine, {
    events,
    input,
    limit: 10_000,
    serializeState: (snapshot) => {
      const { value, context } = modelOf(snapshot as Snapshot);
      return `${value} ${distinguish(context as never)}` as never;
    },
    serializeEvent: (event) => JSON.stringify(event) as never,
  });
  const found = new Map<string, Path>();
  const key = (path: Path) => path.map(({ name }) => name).join(', ');
  const extend = (path: Path, snapshot: Snapshot, more: number): void => {
    found.set(key(path), path);
    if (more === 0) return;
    const tried = new Set<string>();
    for (const event of events) {
      const name = transitionName(chart, modelOf(snapshot), event);
      if (name === undefined || tried.has(name)) continue;
      tried.add(name);
      const after = machine.transition(snapshot, event, asking);
      const [from, to] = [modelOf(snapshot).value, modelOf(after).value];
      extend([...path, { event, from, to, name }], after, more - 1);
    }
  };
  for (const { steps, state } of simple) {
    const path: Step[] = [];
    let at: Snapshot | undefined;
    for (const { event, state: after } of steps) {
      // The first step is the beginning itself.
      if (at !== undefined) {
        const [from, to] = [modelOf(at).value, modelOf(after as Snapshot).value];
        const name = transitionName(chart, modelOf(at), event);
        path.push({ event, from, to, name: name as string });
      }
      at = after as Snapshot;
    }
    extend(path, state as Snapshot, 2);
  }
  const beginnings = new Set<string>();
  for (const path of found.values()) {
    for (let i = 1; i < path.length; i += 1) beginnings.add(key(path.slice(0, i)));
  }
  return [...found]
    .filter(([name]) => name !== '' && !beginnings.has(name))
    .map(([, path]) => path);
}
