/** What is promised of the bodies of tasks. */
import { type Finding, type Rule, time } from './checker.ts';
import type { TraceEventOf } from './trace.ts';
import type { CallHistory, Run, TraceIndex } from './trace-index.ts';

/**
 * What is sent so much later, in milliseconds, goes with a later packet: packets arrive in order, so who
 * got that one has got all before it.
 */
export const TURN_MS = 1;
/** The reason of a Nack. */
const DUPLICATE = 'DUPLICATE';
/** So long after the faults have ended, in milliseconds, everybody knows who is gone. */
const NOTICE_MS = 3_000;

const atMostOnce: Rule = {
  name: 'at-most-once',
  promise: 'the body of a task runs at most once; that of an idempotent call once for each attempt',
  *find({ calls }) {
    for (const history of calls.values()) {
      const starts = history.all('start');
      const [first] = starts;
      if (first === undefined) continue;
      const { call, id } = history;
      if (call === undefined) {
        yield { message: `the body of ${id} started, and nobody had called it`, events: [first] };
        continue;
      }
      if (starts.length === 1) continue;
      for (const same of groups(starts, ({ attempt }) => (call.idempotent ? attempt : 0))) {
        if (same.length === 1) continue;
        const where = same.map(({ process, at }) => `on ${process} at ${time(at)}`).join(', ');
        const what = call.idempotent ? `attempt ${same[0]?.attempt} of ${id}` : `the body of ${id}`;
        yield {
          message: `${what} started ${same.length} times: ${where}`,
          events: [call, ...same],
        };
      }
    }
  },
};

const sentAgain: Rule = {
  name: 'sent-again',
  promise: 'a task whose body has started is sent to no other worker, unless it is idempotent',
  *find({ calls }) {
    for (const { id, call, events } of calls.values()) {
      if (call?.idempotent !== false) continue;
      let started: TraceEventOf<'start'> | undefined;
      for (const event of events) {
        if (event.type === 'start') started ??= event;
        if (event.type !== 'task' || event.way !== 'sent' || started === undefined) continue;
        const message = `${id} was sent again, though its body had started at ${time(started.at)}`;
        yield { message, events: [call, started, event] };
        break;
      }
    }
  },
};

const trueDuplicate: Rule = {
  name: 'true-duplicate',
  promise: 'a task is refused as a duplicate only when it arrived twice',
  *find({ calls }) {
    for (const { id, events } of calls.values()) {
      let arrivals = 0;
      for (const event of events) {
        if (event.type === 'task' && event.way === 'arrived') arrivals += 1;
        if (event.type !== 'nack' || event.reason !== DUPLICATE || arrivals > 1) continue;
        const message = `${id} was refused as a duplicate, and had arrived once`;
        yield { message, events: [...events.filter(({ type }) => type === 'task'), event] };
        break;
      }
    }
  },
};

const cancelArrives: Rule = {
  name: 'cancel-arrives',
  promise: 'a task whose caller gave it up is told to stop',
  *find(index) {
    for (const history of index.calls.values()) {
      const gaveUp = history.all('state').find(({ state }) => state === 'cancelled');
      if (gaveUp === undefined) continue;
      for (const run of history.runs) {
        const finding = untold(index, history, run, gaveUp);
        if (finding) yield finding;
      }
    }
  },
};

function untold(
  index: TraceIndex,
  { id }: CallHistory,
  { start, link, abort, end, ended }: Run,
  gaveUp: TraceEventOf<'state'>,
): Finding | undefined {
  if (abort !== undefined || ended <= gaveUp.at) return undefined;
  const { process } = start;
  if (index.goneAt(process) < Number.POSITIVE_INFINITY && end === undefined) return undefined;
  const given = `${id} was given up at ${time(gaveUp.at)}`;
  if (end === undefined) {
    return { message: `${given}, and its body was never told`, events: [start, gaveUp] };
  }
  const later = link && index.firstPacket(link, gaveUp.process, gaveUp.at + TURN_MS);
  if (!later || later.at >= ended) return undefined;
  const message = `${given}, and its body ended at ${time(ended)} without being told, though ${process} had later news of the caller`;
  return { message, events: [start, gaveUp, later, end] };
}

const orphans: Rule = {
  name: 'orphans',
  promise: 'no task goes on, or starts, when the link to its caller is lost, or its caller is gone',
  *find(index) {
    for (const history of index.calls.values()) {
      if (history.call === undefined) continue;
      for (const run of history.runs) {
        yield* withoutLink(index, history.id, run);
        yield* withoutCaller(index, history.id, history.call, run);
      }
    }
  },
};

function* withoutLink(index: TraceIndex, id: string, run: Run): Generator<Finding> {
  const { start, link, over } = run;
  const down = link === undefined ? undefined : index.down(link, start.process);
  if (down === undefined) return;
  if (start.at > down.at) {
    const message = `the body of ${id} started after the end of the link that had brought it`;
    yield { message, events: [down, start] };
  } else if (over > down.at + TURN_MS && index.goneAt(start.process) > down.at + TURN_MS) {
    const message = `the link that had brought ${id} ended at ${time(down.at)}, and its body went on`;
    yield { message, events: [start, down] };
  }
}

function* withoutCaller(
  index: TraceIndex,
  id: string,
  call: TraceEventOf<'call'>,
  { start, over }: Run,
): Generator<Finding> {
  const gone = index.process(call.process).gone;
  if (gone === undefined) return;
  const known = Math.max(gone.at, index.healed?.at ?? Number.POSITIVE_INFINITY) + NOTICE_MS;
  if (start.at > known) {
    const message = `the body of ${id} started ${time(start.at - gone.at)} after ${call.process} was gone, which had called it`;
    yield { message, events: [call, gone, start] };
  } else if (over === Number.POSITIVE_INFINITY && index.goneAt(start.process) === over) {
    const message = `${call.process} is gone, and the body of ${id}, which it had called, was never told`;
    yield { message, events: [call, start, gone] };
  }
}

function groups<T, K>(list: readonly T[], key: (item: T) => K): Iterable<T[]> {
  const map = new Map<K, T[]>();
  for (const item of list) {
    const same = map.get(key(item));
    if (same) same.push(item);
    else map.set(key(item), [item]);
  }
  return map.values();
}

export const taskRules: readonly Rule[] = [
  atMostOnce,
  sentAgain,
  trueDuplicate,
  cancelArrives,
  orphans,
];
