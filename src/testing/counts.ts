/** What happened in a simulation, counted: shows whether the faults were really met. */
import type { Trace, TraceEvent } from './trace.ts';

export type CountsByName = Readonly<Record<string, number>>;

export interface Counts {
  readonly calls: number;
  readonly nestedCalls: number;
  /** Bodies of tasks that were started. */
  readonly executions: number;
  /** Executions of a task after its first. */
  readonly retriedAttempts: number;
  /** Calls that ended with a result. */
  readonly results: number;
  /** Calls that ended with an error, by its code or name. */
  readonly errors: CountsByName;
  /** Calls that ended with `WorkerLost`, by its phase. */
  readonly losses: CountsByName;
  /** Tasks that a worker refused, by the reason. */
  readonly nacks: CountsByName;
  /** Tasks that were told to stop. */
  readonly aborts: number;
  /** Packets that arrived again. */
  readonly duplicates: number;
  /** Values that generators gave to their consumers. */
  readonly values: number;
  readonly packets: number;
  /** Connections that came up. */
  readonly links: number;
  /** Connections that ended, by the reason, as each side saw it. */
  readonly linkEnds: CountsByName;
  /** Processes that died. */
  readonly crashes: number;
  /** Worker processes that took the place of another one. */
  readonly restarts: number;
  readonly faults: CountsByName;
  readonly uncaught: number;
  readonly events: number;
}

export const NO_COUNTS: Counts = {
  calls: 0,
  nestedCalls: 0,
  executions: 0,
  retriedAttempts: 0,
  results: 0,
  errors: {},
  losses: {},
  nacks: {},
  aborts: 0,
  duplicates: 0,
  values: 0,
  packets: 0,
  links: 0,
  linkEnds: {},
  crashes: 0,
  restarts: 0,
  faults: {},
  uncaught: 0,
  events: 0,
};

type NumberNames = { [K in keyof Counts]: Counts[K] extends number ? K : never }[keyof Counts];
type TableNames = Exclude<keyof Counts, NumberNames>;

class Tally {
  readonly #numbers = new Map<NumberNames, number>();
  readonly #tables = new Map<TableNames, Map<string, number>>();

  add(name: NumberNames, by = 1): void {
    this.#numbers.set(name, (this.#numbers.get(name) ?? 0) + by);
  }

  addTo(table: TableNames, name: string, by = 1): void {
    const counts = this.#tables.get(table) ?? new Map<string, number>();
    counts.set(name, (counts.get(name) ?? 0) + by);
    this.#tables.set(table, counts);
  }

  get counts(): Counts {
    const tables = [...this.#tables].map(([name, counts]) => [name, sorted(counts)]);
    return { ...NO_COUNTS, ...Object.fromEntries([...this.#numbers, ...tables]) };
  }
}

function sorted(counts: Map<string, number>): CountsByName {
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Counts what happened in a trace. */
export function count(trace: Trace): Counts {
  const tally = new Tally();
  tally.add('events', trace.length);
  for (const event of trace) countEvent(tally, event);
  return tally.counts;
}

function countEvent(tally: Tally, event: TraceEvent): void {
  switch (event.type) {
    case 'up':
      // A process is named after its place and how many were there: `worker-2.3`.
      if (event.role === 'worker' && !/^[^.]*(\.1)?$/.test(event.process)) tally.add('restarts');
      return;
    case 'gone':
      if (event.crashed) tally.add('crashes');
      return;
    case 'fault':
      return tally.addTo('faults', event.kind);
    case 'link':
      if (event.state === 'up') tally.add('links');
      else tally.addTo('linkEnds', event.reason);
      return;
    case 'call':
      tally.add('calls');
      if (event.parent !== '') tally.add('nestedCalls');
      return;
    case 'packet':
      if (event.again) tally.add('duplicates');
      return tally.add('packets');
    case 'nack':
      return tally.addTo('nacks', event.reason);
    case 'value':
      return tally.add('values');
    case 'settle':
      if (event.outcome === 'result') return tally.add('results');
      tally.addTo('errors', event.code ?? 'unknown');
      if (event.phase !== undefined) tally.addTo('losses', event.phase);
      return;
    case 'start':
      tally.add('executions');
      if (event.attempt > 1) tally.add('retriedAttempts');
      return;
    case 'abort':
      return tally.add('aborts');
    case 'uncaught':
      return tally.add('uncaught');
    default:
  }
}

/** The sum of what happened in two simulations. */
export function addCounts(one: Counts, other: Counts): Counts {
  const tally = new Tally();
  for (const counts of [one, other]) {
    for (const [name, value] of Object.entries(counts)) {
      if (typeof value === 'number') tally.add(name as NumberNames, value);
      else
        for (const [key, n] of Object.entries(value))
          tally.addTo(name as TableNames, key, n as number);
    }
  }
  return tally.counts;
}
