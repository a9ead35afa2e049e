/** Scripts in simulations: without faults as the oracle says, with faults no token is used twice. */
import fc from 'fast-check';
import { fork } from '../../src/index.ts';
import { faults } from '../../src/testing/arbitraries.ts';
import type { Counts } from '../../src/testing/counts.ts';
import type { Fault, FaultKind } from '../../src/testing/scenario.ts';
import {
  type SimulatedCaller,
  type Strike as SimulatedStrike,
  Simulation,
} from '../../src/testing/simulation.ts';
import { faultyScripts, scripts } from './arbitrary.ts';
import { runScript } from './model.ts';
import { SPEND_ALL, traceOf } from './run.ts';
import { RuntimeWorld } from './runtime.ts';
import type { Op, Strike } from './script.ts';
import { Surroundings } from './surroundings.ts';

/** Simulated milliseconds in which everything comes to rest. */
const GRACE_MS = 15_000;

let runs = 0;

function newRun(): string {
  runs += 1;
  return `simulated-${runs}`;
}

/** A script of one caller. */
export interface SimulatedScript {
  readonly seed: number;
  readonly workers: number;
  readonly script: readonly Op[];
}

const seed = fc.integer({ min: 0 });

export const simulatedScripts: fc.Arbitrary<SimulatedScript> = fc.record({
  seed,
  workers: fc.integer({ min: 1, max: 3 }),
  script: scripts,
});

/** @throws SimulationFailure that tells what differs from what the oracle says */
export async function simulate({ seed, workers, script }: SimulatedScript): Promise<Counts> {
  const run = newRun();
  const options = { seed, graceMs: GRACE_MS, cluster: { workers } };
  try {
    const { counts } = await Simulation.run(options, () => runScript(script, run));
    return counts;
  } finally {
    new Surroundings(run).forget();
  }
}

/** Scripts of several callers, and what goes wrong meanwhile. */
export interface FaultyRun {
  readonly seed: number;
  readonly workers: number;
  readonly scripts: readonly (readonly Op[])[];
  readonly faults: readonly Fault[];
}

/** What parts a worker from what it was given, or gives it to another one. */
const KINDS: readonly FaultKind[] = [
  'cut',
  'crash',
  'lose',
  'halfOpen',
  'duplicate',
  'truncate',
  'stop',
  'drain',
  'callerCrash',
];

export const faultyRuns: fc.Arbitrary<FaultyRun> = fc.record({
  seed,
  workers: fc.integer({ min: 1, max: 4 }),
  scripts: fc.array(faultyScripts, { minLength: 1, maxLength: 2 }),
  faults: faults({ kinds: KINDS, maxMs: 100, maxFaults: 3 }),
});

export class AcceptedTwice extends Error {
  override name = 'AcceptedTwice';
}

function faultOf({ kind, worker, nested }: Strike, caller: number): SimulatedStrike {
  return kind === 'crash'
    ? { kind, worker, ms: 5, silent: false }
    : { kind, caller: nested ? worker + 1 : caller, worker, nested };
}

/** What came of scripts with faults. */
export interface FaultyResult {
  readonly counts: Counts;
  /** Tokens that were used. */
  readonly accepted: number;
}

/**
 * @throws AcceptedTwice when a token was used twice
 * @throws SimulationFailure when the runtime breaks another promise
 */
export async function simulateFaults(given: FaultyRun): Promise<FaultyResult> {
  const { seed, workers, scripts, faults } = given;
  const runs = scripts.map(newRun);
  const surroundings = runs.map((run) => new Surroundings(run));
  const cluster = { workers, callers: scripts.length };
  const program = async (caller: SimulatedCaller) => {
    const { index } = caller;
    const run = runs[index] as string;
    const script = scripts[index] as readonly Op[];
    const ended = fork(() => traceOf([...script, ...SPEND_ALL], new RuntimeWorld(run), run));
    const strike = (one: Strike) => caller.strike(faultOf(one, index));
    await new Surroundings(run).watch(ended, strike);
    await ended;
  };
  try {
    const options = { seed, graceMs: GRACE_MS, cluster, faults };
    const { counts } = await Simulation.run(options, program);
    const accepted = surroundings.flatMap((one) => one.accepted);
    const twice = accepted.filter((uid, i) => accepted.indexOf(uid) !== i);
    if (twice.length > 0) {
      throw new AcceptedTwice(`tokens were used twice: ${twice}\n${JSON.stringify(given)}`);
    }
    return { counts, accepted: accepted.length };
  } finally {
    for (const one of surroundings) one.forget();
  }
}
