/** Walks the runtime along the paths of a chart, and keeps the score of what was walked. */

import { transitionNames } from '../statecharts.ts';
import { expect } from './expect.ts';
import type { Inspected, Inspector } from './inspector.ts';
import { type AnyChart, describeTransition, type Path, type Step } from './paths.ts';
import type { World } from './world.ts';

/** A part of the runtime that can be made to take the transitions of its chart. */
export interface Rig {
  readonly world: World;
  /** The actor that takes the path; there when `start` is over. */
  readonly subject: Inspected;
  start(): void;
  /**
   * Makes the step's event happen, from outside. Before it may come events that leave the state as
   * it is.
   *
   * @param rest the steps after this one
   * @throws Impossible when what went before on this path does not let it happen
   */
  act(step: Step, rest: Path): void;
  /** Holds the promises of the state that it is in. */
  check(state: string): void;
  /** Lets everything end that may go on, and holds that nothing is left. */
  finish(): Promise<void>;
}

/** A path can't be gone on with. */
export class Impossible extends Error {}

/** How often each transition of some charts was taken. */
export class Score {
  readonly #charts: readonly AnyChart[];
  readonly #counts = new Map<string, number>();

  constructor(charts: readonly AnyChart[]) {
    this.#charts = charts;
  }

  add({ id }: AnyChart, transition: string): void {
    const key = `${id} ${transition}`;
    this.#counts.set(key, this.of(id, transition) + 1);
  }

  of(id: string, transition: string): number {
    return this.#counts.get(`${id} ${transition}`) ?? 0;
  }

  /** The transitions that were never taken. */
  missing(chart: AnyChart): string[] {
    return transitionNames(chart).filter((name) => this.of(chart.id, name) === 0);
  }

  /** One line for each state: how often it was left by which transition. */
  get table(): string {
    const lines: string[] = [];
    for (const chart of this.#charts) {
      const names = transitionNames(chart);
      const walked = names.length - this.missing(chart).length;
      const states = Object.keys(chart.states);
      const reached = states.filter(
        (state) => state === chart.initial || this.#enters(chart, state),
      );
      lines.push(
        `${chart.id}: ${reached.length} of ${states.length} states, ${walked} of ${names.length} transitions`,
      );
      for (const state of states) {
        const own = names.filter((name) => name.startsWith(`${state} `));
        const list = own.map(
          (name) => `${describeTransition(chart, name)} ×${this.of(chart.id, name)}`,
        );
        lines.push(`  ${state.padEnd(10)} ${list.join(', ') || '(the end)'}`);
      }
    }
    return lines.join('\n');
  }

  #enters(chart: AnyChart, state: string): boolean {
    return transitionNames(chart).some(
      (name) =>
        this.of(chart.id, name) > 0 && describeTransition(chart, name).endsWith(`-> ${state}`),
    );
  }
}

/** Walks one path. Its steps are counted when they were taken, and not when it is over. */
export async function walkPath(
  rig: Rig,
  path: Path,
  inspector: Inspector,
  score: Score,
): Promise<void> {
  const { world } = rig;
  rig.start();
  await world.settle();
  const { chart, taken } = rig.subject;
  rig.check(chart.initial);
  let at = taken.length;
  for (const [index, step] of path.entries()) {
    // It may have come by itself, right after the one before.
    if (at === taken.length) {
      if (!attempt(rig, step, path.slice(index + 1))) break;
      await world.settle();
    }
    for (let found = false; !found; at += 1) {
      const one = taken[at];
      const where = `'${step.event.type}' in '${step.from}'`;
      if (one === undefined) {
        const seen = taken.map(({ event }) => event.type).join(', ');
        throw new Error(`${where} did not happen; what did: ${seen}`);
      }
      found = one.name === step.name;
      if (found) {
        if (one.to !== step.to) throw new Error(`${where} led to '${one.to}'`);
      } else if (one.to !== step.from) {
        throw new Error(`'${one.event.type}' came, and led to '${one.to}', in place of ${where}`);
      }
    }
    score.add(chart, step.name);
    // What else came of it leaves the state as it is, or is the next step.
    const nextName = path[index + 1]?.name;
    const further = taken.slice(at);
    const moved = further.find(({ from, to }) => from !== to);
    if (moved === undefined) {
      at = taken.length;
      rig.check(step.to);
    } else if (moved.name !== nextName) {
      if (nextName !== undefined) {
        throw new Error(`after '${step.event.type}' came '${moved.event.type}' by itself`);
      }
    } else at += further.indexOf(moved);
  }
  await rig.finish();
  expect(inspector.differences).toEqual([]);
}

function attempt(rig: Rig, step: Step, rest: Path): boolean {
  try {
    rig.act(step, rest);
    return true;
  } catch (error) {
    if (error instanceof Impossible) return false;
    throw error;
  }
}

/** As one line: `up, drain, idle, down`. */
export function describePath(path: Path): string {
  return path.map(({ name, from }) => name.slice(from.length + 1)).join(', ');
}
