/** The calls of a run: what is drawn, how it is made, and what it must give. */
import { createHash } from 'node:crypto';
import type { Routine } from '../src/index.ts';
import type { Random } from '../src/testing/random.ts';
import type { CallRecord, Expected } from './history.ts';
import {
  add,
  blocks,
  breaking,
  doubles,
  fail,
  flip,
  flipped,
  type Mark,
  nap,
  napAgain,
  nested,
  part,
  pattern,
  spin,
  squares,
  squaresAgain,
} from './routines.ts';

/** A call that was drawn. */
export interface Plan
  extends Pick<
    CallRecord,
    'what' | 'expected' | 'parts' | 'timeoutMs' | 'idempotent' | 'neverRuns'
  > {
  readonly yields?: readonly unknown[];
  /** Milliseconds after which its signal is aborted; 0 before it is made. */
  readonly abortMs?: number;
  /** Makes the call. What a generator yields goes into `received`. */
  run(options: { signal?: AbortSignal; timeout?: number }, received: unknown[]): Promise<unknown>;
}

type Draw = (random: Random, mark: Mark) => Plan;

/** How often each kind of call is made. */
const WEIGHTS = {
  add: 30,
  nap: 16,
  spin: 4,
  fail: 6,
  large: 4,
  stream: 8,
  'broken off': 6,
  blocks: 2,
  dialogue: 4,
  'throwing stream': 4,
  nested: 8,
  idempotent: 8,
  'idempotent stream': 5,
  cancelled: 6,
  'cancelled stream': 3,
  'timed out': 6,
  'never sent': 3,
} as const;

export type Kind = keyof typeof WEIGHTS;

export const KINDS = Object.keys(WEIGHTS) as readonly Kind[];

export function drawCall(random: Random, mark: Mark): Plan & { readonly kind: Kind } {
  const kind = random.weighted(WEIGHTS);
  return { kind, ...DRAWS[kind](random, mark) };
}

/** What stands for bytes in a history. */
export function digest(bytes: Uint8Array): string {
  return `${bytes.length} bytes ${createHash('sha1').update(bytes).digest('hex')}`;
}

const squaresTo = (count: number) => Array.from({ length: count }, (_, i) => i * i);

async function consume<T>(
  values: AsyncIterable<T>,
  received: unknown[],
  show: (value: T) => unknown = (value) => value,
  most = Number.POSITIVE_INFINITY,
): Promise<string> {
  for await (const value of values) {
    received.push(show(value));
    if (received.length >= most) return 'broken off';
  }
  return 'consumed';
}

const MiB = 1024 * 1024;

const DRAWS: Readonly<Record<Kind, Draw>> = {
  add: (random, mark) => {
    const [x, y] = [random.whole(-1000, 1000), random.whole(-1000, 1000)];
    return {
      what: `add(${x}, ${y})`,
      expected: { value: x + y },
      run: (options) => add.with(options)(mark, x, y),
    };
  },
  nap: (random, mark) => napPlan(mark, random.whole(1, 250)),
  spin: (random, mark) => {
    const ms = random.whole(1, 60);
    return {
      what: `spin(${ms})`,
      expected: { value: ms },
      run: (options) => spin.with(options)(mark, ms),
    };
  },
  fail: (random, mark) => {
    const ms = random.pick([0, random.whole(1, 100)]);
    return {
      what: `fail(${ms})`,
      expected: { error: { name: 'RangeError', message: `no good: ${mark.id}` } },
      run: (options) => fail.with(options)(mark, ms),
    };
  },
  large: (random, mark) => {
    const bytes = pattern(random.whole(MiB / 4, MiB), random.whole(1, 255));
    return {
      what: `flip(${bytes.length} bytes)`,
      expected: { value: digest(flipped(bytes)) },
      run: async (options) => digest(await flip.with(options)(mark, bytes)),
    };
  },
  stream: (random, mark) => {
    const [count, ms] = [random.whole(0, 30), random.pick([0, 0, random.whole(1, 20)])];
    return {
      what: `squares(${count}, ${ms})`,
      expected: { value: 'consumed' },
      yields: squaresTo(count),
      run: (options, received) => consume(squares.with(options)(mark, count, ms), received),
    };
  },
  'broken off': (random, mark) => {
    const most = random.whole(1, 8);
    return {
      what: `squares(1000, 1), broken off after ${most}`,
      expected: { value: 'broken off' },
      yields: squaresTo(most),
      run: (options, received) =>
        consume(squares.with(options)(mark, 1000, 1), received, (value) => value, most),
    };
  },
  blocks: (random, mark) => {
    const [count, size] = [random.whole(1, 3), random.whole(MiB / 4, MiB / 2)];
    return {
      what: `blocks(${count}, ${size})`,
      expected: { value: 'consumed' },
      yields: Array.from({ length: count }, (_, i) => digest(pattern(size, i))),
      run: (options, received) =>
        consume(blocks.with(options)(mark, count, size), received, digest),
    };
  },
  dialogue: (random, mark) => {
    const sent = Array.from({ length: random.whole(0, 6) }, () => random.whole(0, 99));
    return {
      what: `doubles(), sent ${sent}`,
      expected: { value: 'enough' },
      yields: [0, ...sent.map((value) => value * 2)],
      run: async (options, received) => {
        const steps = doubles.with(options)(mark);
        received.push((await steps.next()).value);
        for (const value of sent) received.push((await steps.next(value)).value);
        return (await steps.next(100)).value;
      },
    };
  },
  'throwing stream': (random, mark) => {
    const count = random.whole(0, 6);
    return {
      what: `breaking(${count})`,
      expected: { error: { name: 'TypeError', message: `broken: ${mark.id}` } },
      yields: squaresTo(count),
      run: (options, received) => consume(breaking.with(options)(mark, count), received),
    };
  },
  nested: (random, mark) => {
    const [x, ms] = [random.whole(0, 1000), random.whole(1, 100)];
    return {
      what: `nested(${x}, ${ms})`,
      expected: { value: x + 1 + ms + 0 + 1 + 4 + 9 },
      parts: [1, 2, 3].map((number) => part(mark, number).id),
      run: (options) => nested.with(options)(mark, x, ms),
    };
  },
  idempotent: (random, mark) => {
    const ms = random.whole(1, 400);
    return {
      what: `napAgain(${ms})`,
      expected: { value: ms },
      idempotent: true,
      run: (options) => napAgain.with(options)(mark, ms),
    };
  },
  'idempotent stream': (random, mark) => {
    const [count, ms] = [random.whole(0, 6), random.whole(1, 150)];
    return {
      what: `squaresAgain(${count}, ${ms})`,
      expected: { value: 'consumed' },
      yields: squaresTo(count),
      idempotent: true,
      run: (options, received) => consume(squaresAgain.with(options)(mark, count, ms), received),
    };
  },
  cancelled: (random, mark) => ({ ...napPlan(mark, 100), abortMs: random.whole(1, 400) }),
  'cancelled stream': (random, mark) => ({
    what: 'squares(40, 2)',
    expected: { value: 'consumed' },
    yields: squaresTo(40),
    abortMs: random.whole(1, 800),
    run: (options, received) => consume(squares.with(options)(mark, 40, 2), received),
  }),
  'timed out': (random, mark) => ({ ...napPlan(mark, 100), timeoutMs: random.whole(10, 400) }),
  'never sent': (random, mark) =>
    random.pick([
      { ...napPlan(mark, 100), abortMs: 0, neverRuns: true },
      {
        what: 'add(<a symbol>, 1)',
        expected: { error: { name: 'SerializationError' } },
        neverRuns: true,
        run: (options) =>
          (add as unknown as Routine<(...args: unknown[]) => unknown>).with(options)(
            mark,
            Symbol('unfit'),
            1,
          ),
      },
    ] satisfies Plan[]),
};

function napPlan(mark: Mark, ms: number): Plan & { readonly expected: Expected } {
  return {
    what: `nap(${ms})`,
    expected: { value: ms },
    run: (options) => nap.with(options)(mark, ms),
  };
}
