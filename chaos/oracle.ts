/** Says what in a history must not be. */
import { isDeepStrictEqual } from 'node:util';
import { type CallRecord, type Execution, type Failure, type History, mayLose } from './history.ts';

export interface Violation {
  readonly rule: Rule;
  /** The id of the call, or what else is wrong. */
  readonly subject: string;
  readonly evidence: string;
}

export type Rule =
  /** A task's body started twice, or an attempt of it did where it may be tried again. */
  | 'runs once'
  /** A task was tried again, and nothing that happened explains why. */
  | 'retry explained'
  /** A task ran that nobody asked for, or that its caller never sent. */
  | 'runs when asked'
  /** A call has no outcome. */
  | 'settles'
  /** A result, a yielded value, or an own error is not what the body gives. */
  | 'right outcome'
  /** A call has an outcome, and no body of it has run. */
  | 'outcome of a run'
  /** An error that nothing which happened explains. */
  | 'error explained'
  /** Something was not tidied up. */
  | 'nothing left';

export function judge(history: History): Violation[] {
  const violations: Violation[] = [];
  const runs = new Map<string, Execution[]>();
  for (const execution of history.executions) {
    const same = runs.get(execution.id);
    if (same) same.push(execution);
    else runs.set(execution.id, [execution]);
  }
  const asked = new Set(history.calls.flatMap(({ id, parts = [] }) => [id, ...parts]));
  const idempotent = new Map(
    history.calls.filter((call) => call.idempotent).map((call) => [call.id, call]),
  );
  for (const [id, executions] of runs) {
    const workers = executions.map(({ worker }) => worker).join(', ');
    const call = idempotent.get(id);
    const attempts = new Set(executions.map(({ attempt }) => attempt));
    if (executions.length > (call ? attempts.size : 1)) {
      const evidence = `started ${executions.length} times, on ${workers}`;
      violations.push({ rule: 'runs once', subject: id, evidence });
    }
    for (const { attempt } of executions) {
      const evidence = unexplainedAttempt(attempt, call, executions, history);
      if (evidence) violations.push({ rule: 'retry explained', subject: id, evidence });
    }
    if (!asked.has(id)) {
      violations.push({ rule: 'runs when asked', subject: id, evidence: `ran on ${workers}` });
    }
  }
  for (const call of history.calls) violations.push(...judgeCall(call, runs, history));
  for (const left of history.leftovers) {
    violations.push({ rule: 'nothing left', subject: left, evidence: 'after the pool was closed' });
  }
  return violations;
}

/** Why nothing explains that there was such an attempt; undefined when something does. */
function unexplainedAttempt(
  attempt: number,
  call: CallRecord | undefined,
  executions: readonly Execution[],
  { faults, interruptedAt = Number.POSITIVE_INFINITY }: History,
): string | undefined {
  if (attempt === 1) return undefined;
  if (!call) return `attempt ${attempt} of a task that is tried once`;
  const { startedAt, endedAt = Number.POSITIVE_INFINITY } = call;
  if (endedAt >= interruptedAt) return undefined;
  // Where the one before has begun; it may have been lost on its way to a worker that we don't know.
  const before = executions.find((one) => one.attempt === attempt - 1)?.worker;
  const lost = faults.some(
    (fault) => fault.at <= endedAt && mayLose(fault, before ?? fault.worker),
  );
  if (lost) return undefined;
  const where = before === undefined ? 'no worker' : `worker ${before}, where it was tried before,`;
  return `attempt ${attempt}, and ${where} was lost (${Math.round(startedAt)} to ${Math.round(endedAt)} ms)`;
}

function judgeCall(
  call: CallRecord,
  runs: ReadonlyMap<string, readonly Execution[]>,
  history: History,
): Violation[] {
  const { id, outcome, expected, received, yields = [], parts = [] } = call;
  const violations: Violation[] = [];
  const violated = (rule: Rule, evidence: string) =>
    violations.push({ rule, subject: id, evidence: `${evidence} (${describe(call)})` });

  const ran = runs.has(id);
  if (call.neverRuns && ran) violated('runs when asked', 'it failed before it was sent, and ran');
  if (!isDeepStrictEqual(received, yields.slice(0, received.length))) {
    violated('right outcome', `it yielded ${show(received)} and not ${show(yields)}`);
  }
  if (outcome === undefined) {
    violated('settles', 'it has no outcome');
  } else if (outcome.type === 'result') {
    if (!('value' in expected)) {
      violated('right outcome', `a result, ${show(outcome.value)}, and not ${show(expected)}`);
    } else if (!isDeepStrictEqual(outcome.value, expected.value)) {
      violated('right outcome', `${show(outcome.value)} and not ${show(expected.value)}`);
    } else if (received.length < yields.length) {
      violated('right outcome', `it ended after ${received.length} of ${yields.length} values`);
    }
    for (const task of [id, ...parts]) {
      if (!runs.has(task)) violated('outcome of a run', `a result, and ${task} has not run`);
    }
  } else if ('error' in expected && isExpected(outcome.error, expected.error)) {
    if (!ran && !call.neverRuns) violated('outcome of a run', 'its own error, and it has not run');
  } else {
    const problem = unexplained(call, outcome.error, runs, history);
    if (problem) violated('error explained', problem);
  }
  return violations;
}

/** What a call may end with when its pool is closed, or a call that its task makes. */
const CLOSING: ReadonlySet<string> = new Set(['PoolClosed', 'TaskAborted', 'WorkerLost']);

function isExpected(
  { name, message }: Failure,
  expected: { readonly name: string; readonly message?: string },
): boolean {
  if (name !== expected.name) return false;
  return expected.message === undefined || message === expected.message;
}

/** Why nothing explains the error; undefined when something does. */
function unexplained(
  call: CallRecord,
  { name, message, isReason, phase, worker }: Failure,
  runs: ReadonlyMap<string, readonly Execution[]>,
  { faults, interruptedAt = Number.POSITIVE_INFINITY }: History,
): string | undefined {
  const { id, parts = [], timeoutMs, aborts, endedAt = Number.POSITIVE_INFINITY } = call;
  const before = faults.filter(({ at }) => at <= endedAt);
  const ranOn = [id, ...parts].flatMap((task) => (runs.get(task) ?? []).map((run) => run.worker));
  if (endedAt >= interruptedAt && CLOSING.has(name)) return undefined;
  if (isReason) return aborts ? undefined : 'aborted, and nobody did that';
  if (name === 'DispatchTimeout') {
    return timeoutMs === undefined ? 'it ran out of time, and had no limit' : undefined;
  }
  if (name === 'WorkerLost') {
    const hit = before.some((fault) => mayLose(fault, worker));
    if (!hit) return `worker ${worker} was lost, and nothing had happened to it`;
    if (parts.length > 0) return undefined;
    if (call.idempotent) return mayGiveUp(call, message) ? undefined : 'it was not tried again';
    if (phase === 'running' && ranOn.length === 0) return `lost while it ran, and it has not run`;
    const other = ranOn.find((one) => one !== worker);
    return other && `worker ${worker} was lost, and the task ran on ${other}`;
  }
  if (name === 'TaskAborted') {
    const told = ranOn.some((one) =>
      before.some((fault) => fault.worker === one && fault.kind === 'term'),
    );
    return told ? undefined : `its task was aborted, and no worker that ran it was told to end`;
  }
  return `${name}: ${message}`;
}

/** Whether a call that may be tried again may end with the loss of a worker. */
function mayGiveUp({ received }: CallRecord, message: string): boolean {
  return received.length > 0 || /It was attempt (\d+) of \1$/.test(message);
}

function describe({ kind, what, startedAt, endedAt, outcome }: CallRecord): string {
  const times = `${Math.round(startedAt)} to ${endedAt === undefined ? '?' : Math.round(endedAt)} ms`;
  const end = outcome?.type === 'error' ? `, ${outcome.error.name}: ${outcome.error.message}` : '';
  return `${kind}: ${what}, ${times}${end}`;
}

const MAX_SHOWN = 200;

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
}
