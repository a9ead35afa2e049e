/**
 * The rooms of the runtime are walked along their charts. The paths come from XState's model of each
 * chart; what takes them is the room itself, driven from outside.
 */
import { afterAll, describe, expect, test } from 'vitest';
import type { AnyEventObject } from 'xstate';
import { balancerChart } from '../../src/actors/balancer.ts';
import { type Call, type CallContext, callChart } from '../../src/actors/call.ts';
import { executionChart } from '../../src/actors/execution.ts';
import { type PeerContext, peerChart } from '../../src/actors/peer.ts';
import { type PoolInput, poolChart } from '../../src/actors/pool.ts';
import { proxyChart } from '../../src/actors/proxy.ts';
import { sessionChart } from '../../src/actors/session.ts';
import { type WatchContext, watchChart } from '../../src/actors/watch.ts';
import { workerChart } from '../../src/worker/core.ts';
import { CallRig } from './models/call-rig.ts';
import { ExecutionRig, type TaskKind } from './models/execution-rig.ts';
import { Inspector } from './models/inspector.ts';
import { LogicRig } from './models/logic-rig.ts';
import { type AnyChart, describeTransition, type Path, pathsOf } from './models/paths.ts';
import { PeerRig } from './models/peer-rig.ts';
import { SessionRig } from './models/session-rig.ts';
import { describePath, type Rig, Score, walkPath } from './models/walk.ts';
import { WatchRig } from './models/watch-rig.ts';
import { eventTypes } from './statecharts.ts';

const walked = [callChart, peerChart, watchChart, sessionChart, executionChart];
const alone = [balancerChart, proxyChart, poolChart, workerChart];
const score = new Score([...walked, ...alone]);
const inspector = new Inspector([...walked, ...alone]);

/** Transitions that nothing from outside leads to, and why. */
const unreachable: { readonly [transition: string]: string } = {};

/** How the runtime is made to walk a chart. */
interface Walkable {
  readonly chart: AnyChart;
  /** The events that the model knows: one for each outcome of a guard. */
  readonly events: readonly AnyEventObject[];
  /** What the actor may begin with. */
  readonly inputs?: readonly unknown[];
  readonly distinguish?: (context: never) => unknown;
  /** Default: 0 to 2. */
  readonly variants?: readonly number[];
  /** @param variant says which of several ways an event is made to happen */
  rig(variant: number, input: never, path: Path): Rig;
}

const types = (chart: AnyChart, ...special: AnyEventObject[]): AnyEventObject[] => {
  const named = new Set(special.map(({ type }) => type));
  const others = eventTypes(chart).filter((type) => !named.has(type));
  return [...others.map((type) => ({ type })), ...special];
};

const VARIANTS = [0, 1, 2];

const rooms: readonly Walkable[] = [
  {
    chart: callChart,
    events: types(callChart, { type: 'result', done: true }, { type: 'result', done: false }),
    // Those that are sent again are so as often as a path goes.
    inputs: [{ request: { attempts: 1 } }, { args: [], attempt: 1, request: { attempts: 1_000 } }],
    // The second worker is not the first.
    distinguish: ({ refused }: CallContext) => refused.length,
    rig: (variant, { request }: Call, path) =>
      new CallRig(inspector, variant, path, request.attempts),
  },
  {
    chart: sessionChart,
    events: types(sessionChart),
    rig: (variant) => new SessionRig(inspector, variant),
  },
  {
    chart: executionChart,
    events: types(executionChart, { type: 'stop', leaving: true }, { type: 'stop' }),
    inputs: [
      { generator: false },
      { generator: true },
      { generator: true, step: {} },
    ] satisfies TaskKind[],
    rig: (variant, kind) => new ExecutionRig(inspector, variant, kind),
  },
  {
    chart: peerChart,
    events: types(
      peerChart,
      { type: 'down', reason: { code: 'refused', message: '' } },
      { type: 'down', reason: { code: 'lost', message: '' } },
      { type: 'down', reason: { code: 'closed', message: '', idle: true } },
      { type: 'unlisted', free: true },
      { type: 'unlisted', free: false },
    ),
    // A link after one that failed is another one.
    distinguish: ({ failures }: PeerContext) => Math.min(failures, 1),
    rig: (variant) => new PeerRig(inspector, variant),
  },
  {
    chart: watchChart,
    events: types(watchChart),
    inputs: [{ limit: 4 }],
    distinguish: ({ silent, turned }: WatchContext) => `${silent} ${turned}`,
    variants: [0, 1],
    rig: (variant) => new WatchRig(inspector, variant),
  },
];

/** Those whose rooms are walked elsewhere, or only with processes; here their charts are. */
const compiled: readonly Walkable[] = [
  { chart: balancerChart, events: types(balancerChart) },
  { chart: proxyChart, events: types(proxyChart) },
  {
    chart: poolChart,
    events: [
      ...types(poolChart, { type: 'close', graceMs: 0 }, { type: 'close', graceMs: 100 }),
      ...[0, 1].map((slot) => ({ type: 'exited', slot, at: 0, why: 'killed' })),
      { type: 'leaving', slot: 0 },
    ],
    inputs: [
      { size: 1, looking: false, maxRestarts: 1, windowMs: 1_000 },
      { size: 1, looking: true, maxRestarts: 1, windowMs: 1_000 },
      { size: 1, looking: false, maxRestarts: 0, windowMs: 1_000 },
      { size: 2, looking: false, maxRestarts: 1, windowMs: 1_000 },
    ] satisfies PoolInput[],
  },
  {
    chart: workerChart,
    events: types(workerChart),
  },
].map((model) => ({
  ...model,
  rig: (_variant, input) => new LogicRig(inspector, model.chart, input),
}));

describe.each([...rooms, ...compiled])(
  '$chart.id',
  ({ chart, inputs = [undefined], variants = VARIANTS, rig, ...model }) => {
    test('goes each way that its chart shows, and keeps what each state promises', async () => {
      for (const input of inputs) {
        for (const path of pathsOf(chart, { ...model, input })) {
          for (const variant of variants) {
            inspector.clear();
            try {
              await walkPath(rig(variant, input as never, path), path, inspector, score);
            } catch (cause) {
              const kind = input === undefined ? '' : ` ${JSON.stringify(input)}`;
              const where = `${chart.id}${kind}, variant ${variant}: ${describePath(path)}`;
              throw new Error(`on the path of ${where}\n${(cause as Error).message}`, { cause });
            }
          }
        }
      }
    });

    test('has no transition that was not walked', () => {
      const missing = score
        .missing(chart)
        .map((name) => `${name.split(' ')[0]}: ${describeTransition(chart, name)}`)
        .filter((name) => !(`${chart.id} ${name}` in unreachable));
      expect(missing, 'transitions of the chart that no path of these tests takes').toEqual([]);
    });
  },
);

afterAll(() => {
  const only = alone.map(({ id }) => id).join(', ');
  console.log(`${score.table}\nof ${only} the compiled chart alone, without its room`);
});
