/** What is promised to the caller. */
import type { Finding, Rule } from './checker.ts';
import { TURN_MS } from './task-checkers.ts';
import type { TraceEventOf } from './trace.ts';
import type { CallHistory, TraceIndex } from './trace-index.ts';

type Settled = TraceEventOf<'settle'>;

const settlesOnce: Rule = {
  name: 'settles-once',
  promise: 'every call settles exactly once; at most once when its caller crashed',
  *find(index) {
    for (const history of index.calls.values()) {
      const { call, id } = history;
      const settles = history.all('settle');
      if (call === undefined) {
        if (settles.length > 0)
          yield { message: `${id} settled, and was no call`, events: settles };
      } else if (settles.length > 1) {
        yield { message: `${id} settled ${settles.length} times`, events: [call, ...settles] };
      } else if (settles.length === 0) {
        const gone = index.process(call.process).gone;
        if (gone?.crashed) continue;
        const last = history.all('state').at(-1);
        const state = last ? `; its last state is '${last.state}'` : '';
        yield { message: `${id} never settled${state}`, events: last ? [call, last] : [call] };
      }
    }
  },
};

const trueOutcome: Rule = {
  name: 'true-outcome',
  promise:
    'a result is one that an execution of the task gave; an error too, or one that the runtime had a reason for',
  *find({ calls }) {
    for (const history of calls.values()) {
      const settle = history.first('settle');
      if (settle === undefined || produced(history, settle)) continue;
      const why = settle.outcome === 'result' ? 'no execution gave' : unfounded(history, settle);
      if (why === undefined) continue;
      const what = settle.outcome === 'result' ? `the result ${settle.digest}` : `${settle.code}`;
      const message = `${history.id} settled with ${what}, which ${why}`;
      yield { message, events: [...history.all('end'), settle] };
    }
  },
};

/** Whether an execution ended so. */
function produced({ events }: CallHistory, { outcome, digest, at }: Settled): boolean {
  return events.some(
    (event) =>
      event.type === 'end' &&
      event.outcome === outcome &&
      event.digest === digest &&
      event.at <= at,
  );
}

/** What an error of the runtime presupposes. */
const reasons: Readonly<Record<string, (history: CallHistory, settle: Settled) => boolean>> = {
  // See `loss-was-sent` and `true-phase`.
  WORKER_LOST: () => true,
  DISPATCH_TIMEOUT: wasCancelled,
  POOL_CLOSED: (history) => wasCancelled(history) || !wasSent(history),
  TASK_ABORTED: (history) => wasCancelled(history) || wasSent(history),
  NO_WORKERS_AVAILABLE: wasUnavailable,
  WORKER_START: wasUnavailable,
  LOAD_BALANCER: wasUnavailable,
  ROUTINE_NOT_FOUND: wasSent,
  INLINE_NOT_ALLOWED: wasSent,
  SERIALIZATION: () => true,
  VALUE_TOO_LARGE: () => true,
  PROTOCOL: wasSent,
};

function unfounded(history: CallHistory, settle: Settled): string | undefined {
  const code = settle.code ?? '';
  if (Object.hasOwn(reasons, code)) {
    return reasons[code]?.(history, settle) ? undefined : 'nothing before it explains';
  }
  return wasCancelled(history) ? undefined : 'no execution threw, and its caller did not give up';
}

/** A call that its caller gives up before it begins has no states at all. */
function wasCancelled(history: CallHistory): boolean {
  const last = history.all('state').at(-1);
  return last === undefined || last.state === 'cancelled';
}

function wasSent({ events }: CallHistory): boolean {
  return events.some((event) => event.type === 'task');
}

function wasUnavailable(history: CallHistory): boolean {
  const [last, before] = history.all('state').reverse();
  return last?.state !== 'failed' || before === undefined || before.state === 'routing';
}

/** The loss of its own worker; that of a nested call is an error like any other that a body throws. */
function lossOf(history: CallHistory): Settled | undefined {
  const settle = history.first('settle');
  if (settle?.code !== 'WORKER_LOST' || produced(history, settle)) return undefined;
  return settle;
}

const lossWasSent: Rule = {
  name: 'loss-was-sent',
  promise: 'no call ends with WorkerLost that was not offered to a worker, and sent',
  *find({ calls }) {
    for (const history of calls.values()) {
      const loss = lossOf(history);
      if (loss === undefined) continue;
      const offered = history.all('state').some(({ state }) => state === 'offered');
      const sent = history.all('task').some(({ way }) => way === 'sent');
      if (offered && sent) continue;
      const missing = offered ? 'was never sent' : 'was never offered to a worker';
      const message = `${history.id} ended with WorkerLost, and ${missing}`;
      yield { message, events: history.call ? [history.call, loss] : [loss] };
    }
  },
};

const truePhase: Rule = {
  name: 'true-phase',
  promise:
    "a loss in phase 'running' had begun; of one in phase 'offered' nothing that its worker sent after its start had come",
  *find(index) {
    for (const history of index.calls.values()) {
      const loss = lossOf(history);
      if (loss === undefined) continue;
      const finding =
        loss.phase === 'running' ? neverBegan(history, loss) : wasTold(index, history, loss);
      if (finding) yield finding;
    }
  },
};

/** A generator whose task was taken has begun, though its first step may come later. */
function neverBegan(history: CallHistory, loss: Settled): Finding | undefined {
  const began = history.call?.generator
    ? history.all('task').find(({ way }) => way === 'arrived')
    : history.first('start');
  if (began !== undefined && began.at <= loss.at) return undefined;
  const message = `${history.id} ended with WorkerLost in phase 'running', and its body had not started`;
  return { message, events: began ? [loss, began] : [loss] };
}

function wasTold(index: TraceIndex, history: CallHistory, loss: Settled): Finding | undefined {
  const offer = history.all('task').findLast(({ way }) => way === 'sent');
  if (offer === undefined) return undefined;
  const run = history.runs.findLast(
    ({ link, start }) => link === offer.link && start.at >= offer.at,
  );
  if (run === undefined) return undefined;
  const { start } = run;
  const lost = history.all('state').findLast(({ state }) => state === 'failed') ?? loss;
  const later = index.firstPacket(offer.link, start.process, start.at + TURN_MS);
  if (later === undefined || later.at >= lost.at) return undefined;
  const message = `${history.id} ended with WorkerLost in phase '${loss.phase}', though its worker had told of the start of its body`;
  return { message, events: [start, later, loss] };
}

const generatorPrefix: Rule = {
  name: 'generator-prefix',
  promise: "a consumer is given what the generator's body yielded, in its order, nothing twice",
  *find({ calls }) {
    for (const history of calls.values()) {
      if (history.call?.generator !== true) continue;
      const values = history.all('value');
      const settle = history.first('settle');
      const late = settle && values.find(({ at }) => at > settle.at);
      if (late) {
        yield { message: `${history.id} gave a value after its end`, events: [settle, late] };
      }
      const finding = strayValue(history, values) ?? lostValue(history, values, settle);
      if (finding) yield finding;
    }
  },
};

type Value = TraceEventOf<'value'>;
type Yield = TraceEventOf<'yield'>;

/** Compares with the attempt that explains the most. */
function strayValue(history: CallHistory, values: readonly Value[]): Finding | undefined {
  if (values.length === 0) return undefined;
  let best: { readonly position: number; readonly yields: readonly Yield[] } | undefined;
  for (const { yields } of history.runs) {
    const position = firstDifference(values, yields);
    if (position === values.length) return undefined;
    if (best === undefined || position > best.position) best = { position, yields };
  }
  const { position = 0, yields = [] } = best ?? {};
  const value = values[position] as Value;
  const was = yields[position];
  const instead = was ? `not ${was.digest}` : 'which its body had not yielded';
  const message = `${history.id} gave ${value.digest} as value ${position + 1}, ${instead}`;
  return { message, events: was ? [was, value] : [value] };
}

/** Where they part, or where a value came before it was yielded. */
function firstDifference(values: readonly Value[], yields: readonly Yield[]): number {
  const position = values.findIndex((value, i) => {
    const one = yields[i];
    return one === undefined || one.digest !== value.digest || one.at > value.at;
  });
  return position < 0 ? values.length : position;
}

function lostValue(
  history: CallHistory,
  values: readonly Value[],
  settle: Settled | undefined,
): Finding | undefined {
  if (settle?.outcome !== 'result') return undefined;
  const { runs } = history;
  if (runs.length === 0 || runs.some(({ yields }) => yields.length === values.length)) {
    return undefined;
  }
  const [run] = runs;
  const missing = run?.yields[values.length];
  const message = `${history.id} ended well with ${values.length} values, and its body had yielded ${run?.yields.length}`;
  return { message, events: missing ? [missing, settle] : [settle] };
}

export const callRules: readonly Rule[] = [
  settlesOnce,
  trueOutcome,
  lossWasSent,
  truePhase,
  generatorPrefix,
];
