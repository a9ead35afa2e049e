/** The events of traces that people wrote. */
import type { Outcome, Trace, TraceBody, TraceEvent } from '../../../src/testing/trace.ts';

export const at = (time: number, process: string, body: TraceBody): TraceEvent => ({
  at: time,
  process,
  ...body,
});

const ID = 'caller-1:1';
export const CALLER = 'caller-1';
export const WORKER = 'worker-1.1';
export const OTHER = 'worker-2.1';

export const up = (process: string, role: 'caller' | 'worker') =>
  at(0, process, { type: 'up', role, uid: process, epoch: process });
export const call = (time: number, more: Partial<Extract<TraceBody, { type: 'call' }>> = {}) =>
  at(time, CALLER, {
    type: 'call',
    id: ID,
    routine: 'work',
    generator: false,
    idempotent: false,
    parent: '',
    ...more,
  });
export const state = (time: number, name: string, worker = '') =>
  at(time, CALLER, { type: 'state', id: ID, state: name, worker });
export const sent = (time: number, link = 'link-1') =>
  at(time, CALLER, { type: 'task', id: ID, link, way: 'sent' });
export const arrived = (time: number, link = 'link-1', process = WORKER) =>
  at(time, process, { type: 'task', id: ID, link, way: 'arrived' });
export const start = (time: number, process = WORKER, attempt = 1) =>
  at(time, process, { type: 'start', id: ID, attempt, routine: 'work' });
export const yields = (time: number, digest: string, attempt = 1) =>
  at(time, WORKER, { type: 'yield', id: ID, attempt, digest });
export const value = (time: number, digest: string) =>
  at(time, CALLER, { type: 'value', id: ID, digest });
export const abort = (time: number) => at(time, WORKER, { type: 'abort', id: ID, attempt: 1 });
export const result = (digest: string): Outcome => ({ outcome: 'result', digest });
export const error = (code: string, phase?: string): Outcome => ({
  outcome: 'error',
  digest: `${code}/1`,
  code,
  ...(phase === undefined ? {} : { phase }),
});
export const end = (time: number, outcome: Outcome = result('r'), process = WORKER, attempt = 1) =>
  at(time, process, { type: 'end', id: ID, attempt, ...outcome });
export const settle = (time: number, outcome: Outcome = result('r')) =>
  at(time, CALLER, { type: 'settle', id: ID, ...outcome });
export const packet = (time: number, from: string, sentAt: number, link = 'link-1') =>
  at(time, from === CALLER ? WORKER : CALLER, {
    type: 'packet',
    link,
    from,
    sent: sentAt,
    frames: '',
  });
export const nack = (time: number, reason = 'BUSY') =>
  at(time, CALLER, { type: 'nack', id: ID, reason });
export const gone = (time: number, process: string, crashed = true) =>
  at(time, process, { type: 'gone', crashed });
export const down = (time: number, process: string, link = 'link-1') =>
  at(time, process, { type: 'link', link, state: 'down', reason: 'lost' });
export const healed = (time: number) => at(time, 'world', { type: 'healed' });
export const held = (time: number, process: string, what: Record<string, number>) =>
  at(time, process, { type: 'held', what });

export const processes = [up(CALLER, 'caller'), up(WORKER, 'worker'), up(OTHER, 'worker')];

/** A call from its start to its worker; what becomes of it is added. */
export function given(...rest: readonly TraceEvent[]): Trace {
  return offered(arrived(3), start(3), ...rest);
}

/** A call that was sent to a worker. */
export function offered(...rest: readonly TraceEvent[]): Trace {
  return [...processes, call(1), ...routed, ...rest];
}

export const routed = [state(1, 'routing'), state(1, 'offered', WORKER), sent(1)];

/** A generator that runs, with more events. */
export function generating(...rest: readonly TraceEvent[]): Trace {
  return [...processes, call(1, { generator: true }), ...routed, arrived(3), start(3), ...rest];
}

export const finished = [end(5), state(7, 'done'), settle(7)];
