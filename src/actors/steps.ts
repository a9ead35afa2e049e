/** The runtime's own steps as lines of a log, by XState's inspector. */
import type { AnyActorRef, InspectionEvent, Observer } from 'xstate';
import type { RuntimeLog } from '../logger.ts';

type Inspect = (event: InspectionEvent) => void;

/** So much of a uid is enough for people. */
const SHORT = 8;

/** One for each call: so many that only the finest level has them. */
const OF_CALLS: ReadonlySet<string> = new Set(['call', 'execution']);

export function shortUid(uid: string): string {
  return uid.slice(0, SHORT);
}

/** What the root of a system shall be made with: the user's inspector, and the log's where it wants steps. */
export function inspectorOf(
  log: RuntimeLog,
  inspect?: Observer<InspectionEvent> | Inspect,
): Inspect | undefined {
  const own: Inspect | undefined =
    typeof inspect === 'object' ? (event) => inspect.next?.(event) : inspect;
  if (!log.wants('debug')) return own;
  const steps = stepsOf(log);
  return (event) => {
    steps(event);
    own?.(event);
  };
}

/** An inspector that writes a line for each transition that leads to another state. */
export function stepsOf(log: RuntimeLog): Inspect {
  const states = new WeakMap<object, string>();
  return (event) => {
    if (event.type !== '@xstate.snapshot') return;
    const actor = event.actorRef as Inspected;
    const chart = actor.logic.chart ?? actor.id;
    const level = OF_CALLS.has(chart) ? 'trace' : 'debug';
    if (!log.wants(level)) return;
    const { value, status, error } = event.snapshot as unknown as Snapshot;
    const state = status === 'error' ? `failed: ${String(error)}` : String(value);
    const before = states.get(actor);
    if (before === state) return;
    states.set(actor, state);
    const name = nameOf(actor, chart);
    const step = before === undefined ? state : `${before} -> ${state}${causeOf(event.event)}`;
    log.write(level, { actor: name, event: event.event.type }, `${name}: ${step}`);
  };
}

interface Snapshot {
  readonly value: unknown;
  readonly status: string;
  readonly error: unknown;
}

type Inspected = AnyActorRef & {
  readonly logic: { readonly chart?: string };
  readonly _parent?: Inspected;
};

/** As `peer a1b2c3d4`, or by number (`session 7`); `watch of peer a1b2c3d4`. */
function nameOf(actor: Inspected, chart: string): string {
  const { id, sessionId, _parent: parent } = actor;
  if (id === chart) return chart;
  if (id.startsWith(`${chart} `)) return `${chart} ${shortUid(id.slice(chart.length + 1))}`;
  if (chart === 'watch' && parent) return `watch of ${nameOf(parent, parent.logic.chart ?? '')}`;
  return `${chart} ${sessionId.replace('x:', '')}`;
}

/** The event that led there, with what it says for people. */
function causeOf(event: object): string {
  const { type, message, why, reason } = event as {
    type: string;
    message?: unknown;
    why?: unknown;
    reason?: { message?: unknown };
  };
  const text = [message, why, reason?.message].find((one) => typeof one === 'string' && one !== '');
  return text === undefined ? ` (${type})` : ` (${type}: ${text})`;
}
