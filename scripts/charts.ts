/**
 * Draws `docs/statecharts.md` from the charts. What is said of each chart is the comment at the head
 * of its module.
 *
 *     node --import tsx scripts/charts.ts [--check]
 *
 * `--check` writes nothing and fails when the committed page is not what the charts give.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { balancerChart } from '../src/actors/balancer.ts';
import { callChart } from '../src/actors/call.ts';
import { executionChart } from '../src/actors/execution.ts';
import { peerChart } from '../src/actors/peer.ts';
import { poolChart } from '../src/actors/pool.ts';
import { proxyChart } from '../src/actors/proxy.ts';
import { sessionChart } from '../src/actors/session.ts';
import { type Chart, transitionsOf } from '../src/actors/statechart.ts';
import { watchChart } from '../src/actors/watch.ts';
import { workerChart } from '../src/worker/core.ts';

/** What is drawn of a chart; its functions play no part. */
type ChartShape = Pick<
  Chart<unknown, { type: string }, never, unknown>,
  'id' | 'initial' | 'states'
>;
type StateShape = ChartShape['states'][string];

const charts: readonly [file: string, chart: ChartShape][] = [
  ['src/actors/call.ts', callChart],
  ['src/actors/execution.ts', executionChart],
  ['src/actors/peer.ts', peerChart],
  ['src/actors/watch.ts', watchChart],
  ['src/actors/session.ts', sessionChart],
  ['src/actors/balancer.ts', balancerChart],
  ['src/actors/proxy.ts', proxyChart],
  ['src/actors/pool.ts', poolChart],
  ['src/worker/core.ts', workerChart],
];

const INTRODUCTION = `# Statecharts

Each part of the runtime that lives for a while is an actor, and what it does on which event is a
chart: a flat table of states and transitions. The same table runs and is drawn here; see
[statechart.ts](../src/actors/statechart.ts).

An arrow says \`event [guard] / effects\`. The first transition of an event whose guard holds is taken;
\`else\` stands for "none of those before". An arrow from a state to itself neither leaves nor enters
it, unless it says \`reenter\`. Events that a state does not name are ignored there. On a change of
state the effects come in this order: those on leaving, those of the transition, those on entering.
What a transition changes in the actor's context is not drawn.

This page is generated: \`npm run charts\`.
`;

const root = join(import.meta.dirname, '..');
const page = join(root, 'docs/statecharts.md');
const text = [INTRODUCTION, ...charts.map(([file, chart]) => section(file, chart))].join('\n');

if (!process.argv.includes('--check')) writeFileSync(page, text);
else if (!existsSync(page) || readFileSync(page, 'utf8') !== text) {
  console.error('docs/statecharts.md is not what the charts give. Run: npm run charts');
  process.exitCode = 1;
}

function section(file: string, chart: ChartShape): string {
  return [
    `## ${chart.id}\n`,
    `${summary(file)} ([source](../${file}))\n`,
    '```mermaid',
    ...diagram(chart),
    '```\n',
    ...table(chart),
    '',
  ].join('\n');
}

/** The comment at the head of a module, without the sentence that points here. */
function summary(file: string): string {
  const [, comment] = /^\/\*\*([\s\S]*?)\*\//.exec(readFileSync(join(root, file), 'utf8')) ?? [];
  if (!comment) throw new Error(`${file} does not begin with a comment that tells what it is`);
  return comment
    .replaceAll(/^ *\*/gm, '')
    .replace(/Charted in\s+docs\/statecharts\.md\./, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

function diagram({ initial, states }: ChartShape): string[] {
  const lines = ['stateDiagram-v2', `  [*] --> ${initial}`];
  for (const [name, state] of Object.entries(states)) {
    for (const [target, labels] of arrows(name, state)) {
      lines.push(`  ${name} --> ${target}: ${labels.join('<br/>')}`);
    }
    if (state.final) lines.push(`  ${name} --> [*]`);
  }
  return lines;
}

/** What a state's arrows say, by target. Events that do the same share a line. */
function arrows(name: string, state: StateShape): Map<string, string[]> {
  const events = new Map<string, string[]>();
  for (const { event, target, rest } of transitions(name, state)) {
    const key = JSON.stringify([target, rest]);
    events.set(key, [...(events.get(key) ?? []), event]);
  }
  const byTarget = new Map<string, string[]>();
  for (const [key, names] of events) {
    const [target, rest] = JSON.parse(key) as [string, string];
    byTarget.set(target, [...(byTarget.get(target) ?? []), names.join(', ') + rest]);
  }
  return byTarget;
}

function transitions(name: string, state: StateShape) {
  const seen = new Set<string>();
  return transitionsOf(state).map(([event, transition]) => {
    const { target = name, guard, effects = [], reenter } = transition;
    const condition = [seen.has(event) ? 'else' : '', guard ?? ''].filter(Boolean).join(' ');
    seen.add(event);
    const rest = [
      condition && ` [${condition}]`,
      effects.length > 0 ? ` / ${effects.join(', ')}` : '',
      reenter && target === name ? ' (reenter)' : '',
    ];
    return { event, target, rest: rest.join('') };
  });
}

function table({ states }: ChartShape): string[] {
  const all = Object.entries(states);
  const leaves = all.some(([, { exit }]) => exit && exit.length > 0);
  const rows = all.map(([name, { description = '', entry = [], exit = [] }]) => [
    name,
    description,
    entry.join(', '),
    ...(leaves ? [exit.join(', ')] : []),
  ]);
  const head = ['state', 'means', 'on entering', ...(leaves ? ['on leaving'] : [])];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}
