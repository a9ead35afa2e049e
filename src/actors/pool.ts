/**
 * The life of a pool: starts its workers, replaces those that die, and ends. Charted in
 * docs/statecharts.md.
 */
import { defineChart, type EventOf } from './statechart.ts';

export type PoolEvent =
  /** A worker that the pool spawned is up. */
  | { type: 'started'; slot: number }
  /** A worker that the pool spawned is gone, or did not come up. */
  | { type: 'exited'; slot: number; at: number; why: string }
  /** A worker that was told to end takes no more tasks, and ends when those that it has are over. */
  | { type: 'leaving'; slot: number }
  /** Discovery has answered: the workers that it names are known, or will be. */
  | { type: 'found' }
  /** Discovery has failed before it could answer. */
  | { type: 'unfindable'; error: unknown }
  /** The user closes the pool; undefined waits for all calls. */
  | { type: 'close'; graceMs: number | undefined }
  /** The last call has ended. */
  | { type: 'drained' }
  /** The grace time is over. */
  | { type: 'expired' }
  /** All workers have ended. */
  | { type: 'stopped' };

export interface PoolInput {
  /** Workers that it spawns. */
  readonly size: number;
  /** Whether it looks for others by discovery. */
  readonly looking: boolean;
  /** How many deaths of workers are made good within `windowMs`. */
  readonly maxRestarts: number;
  readonly windowMs: number;
}

export interface PoolContext extends PoolInput {
  /** Workers that are up. */
  readonly up: number;
  /** When the last deaths were, in milliseconds. */
  readonly deaths: readonly number[];
  /** Slots of the workers that are about to end, and were replaced. */
  readonly leaving: readonly number[];
  /** Why the pool failed. */
  readonly why: string;
  readonly graceMs: number | undefined;
}

const recent = ({ deaths, windowMs }: PoolContext, at: number) =>
  deaths.filter((death) => death > at - windowMs);

export const poolChart = defineChart<PoolContext, PoolEvent, PoolInput>({
  id: 'pool',
  initial: 'starting',
  context: (input) => ({ ...input, up: 0, deaths: [], leaving: [], why: '', graceMs: undefined }),
  assigns: {
    up: ({ up }) => ({ up: up + 1 }),
    found: () => ({ looking: false }),
    down: ({ up }) => ({ up: up - 1 }),
    death: (context, event) => {
      const { at } = event as EventOf<PoolEvent, 'exited'>;
      return { up: context.up - 1, deaths: [...recent(context, at), at] };
    },
    leaving: ({ leaving }, event) => ({
      leaving: [...leaving, (event as EventOf<PoolEvent, 'leaving'>).slot],
    }),
    left: ({ up, leaving }, event) => {
      const { slot } = event as EventOf<PoolEvent, 'exited'>;
      return { up: up - 1, leaving: leaving.filter((other) => other !== slot) };
    },
    failure: (_context, event) => ({
      why: (event as EventOf<PoolEvent, 'exited'>).why,
      graceMs: 0,
    }),
    unfindable: () => ({ graceMs: 0 }),
    grace: (_context, event) => ({ graceMs: (event as EventOf<PoolEvent, 'close'>).graceMs }),
  },
  guards: {
    all: ({ up, size, looking }) => up + 1 === size && !looking,
    allUp: ({ up, size }) => up === size,
    left: ({ leaving }, event) => leaving.includes((event as EventOf<PoolEvent, 'exited'>).slot),
    atOnce: (_context, event) => (event as EventOf<PoolEvent, 'close'>).graceMs === 0,
    replaceable: (context, event) =>
      recent(context, (event as EventOf<PoolEvent, 'exited'>).at).length < context.maxRestarts,
  },
  states: {
    starting: {
      description: 'the workers come up, and discovery is asked for others',
      entry: ['spawnAll'],
      on: {
        started: [
          { target: 'open', guard: 'all', assign: 'up', effects: ['use', 'opened'] },
          { assign: 'up', effects: ['use'] },
        ],
        found: [
          { target: 'open', guard: 'allUp', assign: 'found', effects: ['opened'] },
          { assign: 'found' },
        ],
        unfindable: { target: 'stopping', assign: 'unfindable', effects: ['fail'] },
        exited: { target: 'stopping', assign: 'failure', effects: ['drop', 'abort'] },
        close: { target: 'stopping', assign: 'grace', effects: ['abort'] },
      },
    },
    open: {
      description: 'workers that die or leave are replaced',
      on: {
        started: { assign: 'up', effects: ['use'] },
        leaving: { assign: 'leaving', effects: ['respawn'] },
        exited: [
          { guard: 'left', assign: 'left', effects: ['drop'] },
          { guard: 'replaceable', assign: 'death', effects: ['report', 'drop', 'respawn'] },
          { assign: 'down', effects: ['drop', 'giveUp'] },
        ],
        close: [
          { target: 'stopping', guard: 'atOnce', assign: 'grace', effects: ['abort'] },
          { target: 'draining', assign: 'grace' },
        ],
      },
    },
    draining: {
      description: 'no new calls; those in flight go on for the grace time',
      entry: ['drain'],
      on: {
        started: { assign: 'up', effects: ['use'] },
        exited: { assign: 'down', effects: ['drop'] },
        close: { target: 'stopping', guard: 'atOnce', effects: ['abort'] },
        drained: { target: 'stopping' },
        expired: { target: 'stopping', effects: ['abort'] },
      },
    },
    stopping: {
      description: 'the workers end',
      entry: ['stopAll'],
      on: {
        exited: { effects: ['drop'] },
        stopped: { target: 'closed' },
      },
    },
    closed: { final: true, entry: ['closed'], description: 'nothing is left' },
  },
});
