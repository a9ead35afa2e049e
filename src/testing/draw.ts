/** Makes a schedule of faults from a seed. */
import { Random } from './random.ts';
import type { Fault, FaultKind } from './scenario.ts';

/** How many faults there are, and when. */
export interface FaultDraw {
  /** How many faults strike. */
  readonly count: number;
  /** Simulated milliseconds in which they do. Default: 5,000. */
  readonly withinMs?: number;
  /** Which ones. Default: all but those that end a caller, whose program would not end. */
  readonly kinds?: readonly FaultKind[];
}

type Maker = (random: Random) => object;

const worker = (random: Random) => ({ worker: random.below(64) });
const caller = (random: Random) => ({ caller: random.below(64) });
const pair = (random: Random) => ({ ...caller(random), ...worker(random) });
const ends = (random: Random) => ({ ...pair(random), nested: random.chance(0.25) });
const ms = (random: Random, most = 3_000) => ({ ms: Math.round(most * random.next() ** 2) });
const way = (random: Random) => ({ way: random.pick(['toWorker', 'toCaller']) });
const silent = (random: Random) => ({ silent: random.chance(0.3) });

const makers: { readonly [Kind in FaultKind]: Maker } = {
  crash: (random) => ({ ...worker(random), ...ms(random), ...silent(random) }),
  callerCrash: (random) => ({ ...caller(random), ...silent(random) }),
  drain: (random) => ({ ...worker(random), ...ms(random) }),
  stop: (random) => ({ ...worker(random), ...ms(random) }),
  callerStop: (random) => ({ ...caller(random), ...ms(random) }),
  block: (random) => ({ ...worker(random), ...ms(random) }),
  callerBlock: (random) => ({ ...caller(random), ...ms(random) }),
  cut: ends,
  halfOpen: (random) => ({
    ...ends(random),
    ...ms(random),
    way: random.pick(['both', 'toWorker', 'toCaller']),
  }),
  duplicate: (random) => ({ ...ends(random), ...way(random) }),
  truncate: (random) => ({ ...ends(random), ...way(random) }),
  lose: (random) => ({ ...ends(random), ...way(random) }),
  slow: (random) => ({ ...worker(random), ...ms(random), delayMs: random.below(50) }),
  callerSlow: (random) => ({ ...caller(random), ...ms(random), delayMs: random.below(50) }),
  jump: (random) => ({ ...worker(random), byMs: Math.round(random.between(-1e7, 1e7)) }),
  flap: (random) => ({ ...pair(random), ...ms(random) }),
  ghost: (random) => ({ ...pair(random), ...ms(random), answered: random.chance(0.5) }),
};

/** The names of what a fault of a kind must have beside its time. */
export function fieldsOf(kind: FaultKind): readonly string[] {
  return Object.keys(makers[kind](new Random(0))).filter((name) => name !== 'nested');
}

export const faultKinds = Object.keys(makers) as readonly FaultKind[];

/** The same seed draws the same faults. */
export function drawFaults(seed: number, draw: FaultDraw): Fault[] {
  const {
    count,
    withinMs = 5_000,
    kinds = faultKinds.filter((kind) => kind !== 'callerCrash'),
  } = draw;
  const random = Random.of(seed, 'faults');
  const faults = Array.from({ length: count }, () => {
    const at = Math.round(random.next() * withinMs);
    const kind = random.pick(kinds);
    return { at, kind, ...makers[kind](random) } as Fault;
  });
  return faults.sort((one, other) => one.at - other.at);
}
