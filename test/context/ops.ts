/** Operations of scripts, for those that are written by hand. */
import type { Body, Call, GeneratorBody, Op, Place, Step, Variable } from './script.ts';

/** Reads a variable. */
export const get = (v: Variable): Op => ({ op: 'get', v });
export const getOr = (v: Variable): Op => ({ op: 'get', v, fallback: true });
export const set = (v: Variable, ...hold: Place[]): Op => ({ op: 'set', v, hold });
/** With the newest token by default. */
export const reset = (v: Variable, token: Place = 0): Op => ({ op: 'reset', v, token });
export const old = (token: Place = 0): Op => ({ op: 'old', token });
export const chain: Op = { op: 'chain' };
export const fork = (...ops: Op[]): Op => ({ op: 'fork', ops });
export const fail = (...give: Place[]): Op => ({ op: 'fail', give });

export interface Passing {
  readonly pass?: readonly Place[];
  readonly give?: readonly Place[];
}

export const body = (ops: readonly Op[], give: readonly Place[] = []): Body => ({ ops, give });

/** The call of a function that does `ops`; tokens go with it and come back. */
export const to = (ops: readonly Op[], { pass = [], give = [] }: Passing = {}): Call => ({
  body: body(ops, give),
  pass,
});
export const call = (ops: readonly Op[], passing?: Passing): Op => ({
  op: 'call',
  call: to(ops, passing),
});
export const all = (...calls: Call[]): Op => ({ op: 'all', calls });
/** `ops` run while the call is out. */
export const during = (out: Call, ...ops: Op[]): Op => ({ op: 'during', call: out, ops });
/** The call is cancelled after `ops`. */
export const cancelled = (out: Call, ...ops: Op[]): Op => ({
  op: 'during',
  call: out,
  ops,
  cancel: true,
});
/** A call that nobody awaits. */
export const leave = (out: Call): Op => ({ op: 'leave', call: out });

/** What the task does when it was answered, and `wake` says so. */
export const detach = (...ops: Op[]): Op => ({ op: 'detach', ops });
export const wake: Op = { op: 'wake' };

/** A generator that yields after each part but the last. */
export const generate = (
  parts: readonly Body[],
  { pass = [], ...more }: Partial<Omit<GeneratorBody, 'parts'>> & { pass?: readonly Place[] } = {},
): Op => ({
  op: 'generate',
  pass,
  body: { parts, catches: false, cleanup: body([]), ...more },
});
const step = (pass: readonly Place[]): Step => ({ generator: 0, pass });
/** A step of the newest generator, with tokens. */
export const next = (...pass: Place[]): Op => ({ op: 'next', steps: 1, step: step(pass) });
/** So many steps at once. */
export const queue = (steps: number): Op => ({ op: 'next', steps, step: step([]) });
export const nextDuring = (...ops: Op[]): Op => ({ op: 'nextDuring', step: step([]), ops });
export const end: Op = { op: 'return', generator: 0 };
export const throwInto = (...pass: Place[]): Op => ({ op: 'throw', generator: 0, pass });
