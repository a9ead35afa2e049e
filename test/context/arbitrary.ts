/** Random scripts. */
import fc from 'fast-check';
import {
  type Body,
  type Call,
  type GeneratorBody,
  type Op,
  type Place,
  type Step,
  VARIABLES,
} from './script.ts';

/** Tasks call tasks so deep. */
const DEPTH = 3;

/** Where operations stand: what they may do depends on it. */
interface Where {
  /** Calls that they may nest. */
  readonly depth: number;
  /** Forks, and calls that are out, that they may nest in this task. */
  readonly nesting: number;
  /** On a worker, where calls may be left behind. */
  readonly inTask?: boolean;
  /** In a function there, which may go on when it was answered. */
  readonly inFunction?: boolean;
  /** Whether they may end the task with an error. */
  readonly mayFail?: boolean;
  /** Whether something may go wrong. */
  readonly faults: boolean;
}

const variable = fc.constantFrom(...VARIABLES);
/** Mostly new ones. */
const place: fc.Arbitrary<Place> = fc.oneof(
  { arbitrary: fc.constant(0), weight: 3 },
  { arbitrary: fc.constant(1), weight: 2 },
  { arbitrary: fc.integer({ min: 2, max: 5 }), weight: 1 },
);
const places = fc.oneof(
  { arbitrary: fc.constant<Place[]>([]), weight: 1 },
  { arbitrary: fc.array(place, { minLength: 1, maxLength: 3 }), weight: 2 },
);

const sometimes = fc.constantFrom(false, false, false, true);

const mostlyOwn = fc.oneof(
  { arbitrary: fc.constant(undefined), weight: 8 },
  { arbitrary: variable, weight: 1 },
);

const strike: fc.Arbitrary<Op> = fc.record({
  op: fc.constant('strike' as const),
  kind: fc.constantFrom('crash' as const, 'cut' as const),
  worker: fc.nat(3),
  nested: fc.boolean(),
});

type Choice = { readonly arbitrary: fc.Arbitrary<Op>; readonly weight: number };

function choice<K extends Op['op']>(
  weight: number,
  op: K,
  fields: {
    [F in Exclude<keyof Extract<Op, { op: K }>, 'op'>]: fc.Arbitrary<Extract<Op, { op: K }>[F]>;
  },
): Choice {
  const arbitrary = fc.record({ op: fc.constant(op), ...fields }) as unknown as fc.Arbitrary<Op>;
  return { arbitrary, weight };
}

function simple({ faults }: Where): Choice[] {
  if (faults) {
    return [
      choice(4, 'set', { v: variable, hold: places }),
      choice(4, 'spend', {}),
      choice(1, 'get', { v: variable, fallback: fc.constant(false) }),
      { arbitrary: strike, weight: 2 },
    ];
  }
  return [
    choice(1, 'spend', {}),
    choice(4, 'get', { v: variable, fallback: fc.boolean() }),
    choice(10, 'set', { v: variable, hold: places }),
    choice(8, 'reset', { v: mostlyOwn, token: place }),
    choice(1, 'old', { token: place }),
    choice(1, 'chain', {}),
  ];
}

const generator = fc.constantFrom(0, 0, 0, 1);
const step: fc.Arbitrary<Step> = fc.record({ generator, pass: places });

const memo = new Map<string, fc.Arbitrary<Op[]>>();

/** Mostly one operation; a generator comes with steps of it. */
function operationsAtOnce(where: Where): fc.Arbitrary<Op[]> {
  const key = JSON.stringify(where);
  const known = memo.get(key);
  if (known) return known;
  const single = fc.oneof(...simple(where), ...compound(where)).map((op) => [op]);
  const choices = [{ arbitrary: single, weight: 12 }];
  if (where.depth > 0) choices.push({ arbitrary: consumption(where), weight: 1 });
  const made = fc.oneof({ withCrossShrink: true }, ...choices);
  memo.set(key, made);
  return made;
}

function compound(where: Where): Choice[] {
  const { depth, nesting, inTask = false, inFunction = false, mayFail = false, faults } = where;
  const choices: Choice[] = [];
  const often = faults ? 3 : 1;
  if (mayFail) choices.push(choice(1, 'fail', { give: places }));
  const inner = operations({ ...where, nesting: nesting - 1 }, 3);
  if (nesting > 0) choices.push(choice(2, 'fork', { ops: inner }));
  if (nesting > 0 && inFunction) choices.push(choice(often, 'detach', { ops: inner }));
  if (depth === 0) return choices;
  const called = call(depth - 1, faults);
  choices.push(
    choice(7, 'call', { call: called }),
    choice(1, 'all', { calls: fc.array(called, { minLength: 2, maxLength: 3 }) }),
  );
  choices.push(choice(often, 'wake', {}));
  if (inTask) choices.push(choice(often, 'leave', { call: called }));
  if (nesting === 0) return choices;
  choices.push(choice(5, 'during', { call: called, ops: inner, cancel: sometimes }));
  return choices;
}

/** Makes a generator and takes steps, with other operations in between. */
function consumption(where: Where): fc.Arbitrary<Op[]> {
  const { depth, nesting, faults } = where;
  const inner = operations({ ...where, nesting: nesting - 1 }, 3);
  const make = choice(1, 'generate', {
    body: generatorBody(depth - 1, faults),
    pass: places,
    idempotent: sometimes,
  });
  const choices = [
    ...simple(where).map(({ arbitrary }) => ({ arbitrary, weight: 1 })),
    choice(8, 'next', { steps: fc.constantFrom(1, 1, 1, 1, 2), step }),
    choice(1, 'throw', { generator, pass: places }),
    choice(1, 'return', { generator }),
  ];
  const nextInFork = fc
    .tuple(inner, step)
    .map(([ops, one]): Op => ({ op: 'fork', ops: [...ops, { op: 'next', steps: 1, step: one }] }));
  if (nesting > 0) {
    choices.push(choice(4, 'nextDuring', { step, ops: inner }));
    choices.push({ arbitrary: nextInFork, weight: 2 });
  }
  const use = fc.array(fc.oneof(...choices), { minLength: 1, maxLength: 5 });
  return fc.tuple(make.arbitrary, use).map(([made, used]) => [made, ...used]);
}

function operations(where: Where, maxLength: number): fc.Arbitrary<Op[]> {
  if (where.nesting < 0) return fc.constant([]);
  return fc.array(operationsAtOnce(where), { maxLength }).map((lists) => lists.flat());
}

function body(where: Where, maxLength: number): fc.Arbitrary<Body> {
  return fc.record({ ops: operations(where, maxLength), give: places });
}

function call(depth: number, faults: boolean): fc.Arbitrary<Call> {
  const where = { depth, nesting: 1, inTask: true, inFunction: true, mayFail: true, faults };
  return fc.record({
    body: body(where, 3 + (depth > 0 ? 1 : 0)),
    pass: places,
    idempotent: sometimes,
  });
}

function generatorBody(depth: number, faults: boolean): fc.Arbitrary<GeneratorBody> {
  const where = { depth, nesting: 1, inTask: true, faults };
  return fc.record({
    parts: fc.array(body({ ...where, mayFail: true }, 2), { minLength: 2, maxLength: 4 }),
    catches: fc.boolean(),
    cleanup: body(where, 2),
  });
}

const root = { depth: DEPTH, nesting: 2, faults: false };

/** What a caller does in one go, with all that it calls. */
export const rootOperations: fc.Arbitrary<Op[]> = operationsAtOnce(root);

export const scripts: fc.Arbitrary<Op[]> = operations(root, 8);

/** Scripts in which workers die, and links break. */
export const faultyScripts: fc.Arbitrary<Op[]> = operations({ ...root, faults: true }, 8);
