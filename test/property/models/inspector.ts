/** An inspector that replays what each actor does on XState's machine of its chart. */
import type { AnyActorRef, AnyEventObject, AnyStateMachine, InspectionEvent } from 'xstate';
import { toMachine } from '../../../src/actors/statechart.ts';
import { type AnyChart, asking, transitionName } from './paths.ts';

/** An event that an actor took or ignored. */
export interface Taken {
  readonly event: AnyEventObject;
  readonly from: string;
  readonly to: string;
  /** The transition's; undefined when the event was ignored. */
  readonly name: string | undefined;
}

export interface Inspected {
  readonly chart: AnyChart;
  readonly taken: Taken[];
}

/** The snapshot of an actor of the runtime. */
interface Real {
  readonly value: string;
  readonly status: string;
}

interface Replay extends Inspected {
  readonly machine: AnyStateMachine;
  // biome-ignore lint/suspicious/noExplicitAny: machines of all types
  snapshot: any;
}

export class Inspector {
  /** Where the runtime went another way than its chart. */
  readonly differences: string[] = [];
  /** By the initial state: to ask an actor for the id of its chart makes a machine each time. */
  readonly #machines = new Map<string, { chart: AnyChart; machine: AnyStateMachine }>();
  readonly #actors = new Map<AnyActorRef, Replay>();

  constructor(charts: readonly AnyChart[]) {
    for (const chart of charts) {
      if (this.#machines.has(chart.initial)) throw new Error(`two charts begin '${chart.initial}'`);
      this.#machines.set(chart.initial, { chart, machine: toMachine(chart) });
    }
  }

  /** Forgets all actors; the machines are kept. */
  clear(): void {
    this.#actors.clear();
    this.differences.length = 0;
  }

  /** The actors of a chart, in the order of their making. */
  actorsOf(id: string): Inspected[] {
    return [...this.#actors.values()].filter(({ chart }) => chart.id === id);
  }

  get all(): Iterable<Inspected> {
    return this.#actors.values();
  }

  readonly inspect = (inspected: InspectionEvent): void => {
    if (inspected.type !== '@xstate.snapshot') return;
    const actor = inspected.actorRef as AnyActorRef;
    const event = inspected.event as AnyEventObject;
    const known = this.#actors.get(actor);
    const snapshot = inspected.snapshot as unknown as Real;
    if (known === undefined) this.#begin(actor, event, snapshot.value);
    else this.#follow(known, event, snapshot);
  };

  #begin(actor: AnyActorRef, event: AnyEventObject, initial: string): void {
    const found = this.#machines.get(initial);
    if (found === undefined) return;
    const { chart, machine } = found;
    const snapshot = machine.getInitialSnapshot(asking, event.input as never);
    this.#actors.set(actor, { chart, machine, snapshot, taken: [] });
  }

  #follow(replay: Replay, event: AnyEventObject, real: Real): void {
    const { chart, machine, snapshot } = replay;
    const name = transitionName(chart, snapshot, event);
    replay.snapshot = machine.transition(snapshot, event, asking);
    const { value, status } = replay.snapshot;
    replay.taken.push({ event, from: snapshot.value, to: real.value, name });
    if (real.value === value && real.status === status) return;
    this.differences.push(
      `${chart.id}: '${event.type}' in '${snapshot.value}' led to '${real.value}' (${real.status}), in the chart to '${value}' (${status})`,
    );
  }
}
