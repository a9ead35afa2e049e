/**
 * The checkers can fail: the runtime is broken in memory, each time in another place, and simulations
 * must show it. The name of each test says how; the table at the end says how many schedules it took.
 */
import { afterAll, expect, test } from 'vitest';
import { Admission } from '../../src/actors/admission.ts';
import { callChart } from '../../src/actors/call.ts';
import { Deadlines } from '../../src/actors/deadlines.ts';
import { executionChart } from '../../src/actors/execution.ts';
import { Session, sessionChart } from '../../src/actors/session.ts';
import { scenarioOf } from '../../src/testing/arbitraries.ts';
import { checkers } from '../../src/testing/checkers.ts';
import { End } from '../../src/testing/connection.ts';
import { SimulationFailure } from '../../src/testing/failure.ts';
import type { SimulationOptions } from '../../src/testing/options.ts';
import { SimulatedProcess, sleep } from '../../src/testing/process.ts';
import type { TaskPlan } from '../../src/testing/scenario.ts';
import { Simulation } from '../../src/testing/simulation.ts';
import { Link } from '../../src/transport/link.ts';
import type { OutFrame } from '../../src/wire/frame.ts';

/** More schedules than any mutant needs. */
const MOST_SCHEDULES = 200;

type Change = (
  change: <T extends object, K extends keyof T>(of: T, name: K, to: T[K]) => void,
) => void;

/** Runs `action` on the changed runtime. What a getter is changed to is another getter. */
async function mutated<T>(mutate: Change, action: () => Promise<T>): Promise<T> {
  const restores: (() => void)[] = [];
  mutate((of, name, to) => {
    const was = Object.getOwnPropertyDescriptor(of, name) as PropertyDescriptor;
    restores.push(() => Object.defineProperty(of, name, was));
    const now = was.get ? { get: to as () => unknown } : { value: to };
    Object.defineProperty(of, name, { ...now, configurable: true });
  });
  try {
    return await action();
  } finally {
    for (const restore of restores.reverse()) restore();
  }
}

/** The checkers that find something in what the seed stands for. */
async function foundBy(seed: number): Promise<string[]> {
  try {
    await Simulation.run({ seed, limitMs: 60_000, graceMs: 15_000, ...scenarioOf(seed) });
    return [];
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error;
    return [...new Set(error.violations.map(({ checker }) => checker))];
  }
}

const schedules = new Map<string, { readonly checker: string; readonly count: number }>();

/** A test that the checker catches the mutant, and that it is the mutant which it catches. */
function mutant(name: string, checker: string, mutate: Change): void {
  test(`${name}: caught by ${checker}`, async () => {
    const seed = await mutated(mutate, () => firstFound(checker));
    expect(await foundBy(seed)).toEqual([]);
    schedules.set(name, { checker, count: seed });
  });
}

async function firstFound(checker: string): Promise<number> {
  for (let seed = 1; seed <= MOST_SCHEDULES; seed += 1) {
    if ((await foundBy(seed)).includes(checker)) return seed;
  }
  throw new Error(`${checker} found nothing in ${MOST_SCHEDULES} schedules`);
}

// The charts say of themselves that nobody changes them.
type Writable = {
  states: Record<string, { entry?: string[]; on: Record<string, unknown> }>;
};
const states = (chart: unknown) => (chart as Writable).states;
const on = (chart: unknown, state: string) => states(chart)[state]!.on;

/** What a link sends goes through `instead`. */
function sending(instead: (link: Link, frame: OutFrame, send: (frame: OutFrame) => void) => void) {
  const { send } = Link.prototype;
  return function (this: Link, frame: OutFrame) {
    instead(this, frame, (one) => send.call(this, one));
  };
}

afterAll(() => {
  const rows = [...schedules].map(([name, { checker, count }]) => [name, checker, count] as const);
  const lines = rows.map(
    ([name, checker, count]) =>
      `  ${name.padEnd(52)} ${checker.padEnd(18)} ${count === 1 ? '1 schedule' : `${count} schedules`}`,
  );
  console.log(`mutants, and what caught them:\n${lines.join('\n')}`);
});

mutant('routes again after a loss', 'sent-again', (change) => {
  change(on(callChart, 'offered'), 'lost', { target: 'routing', assign: 'refusal' });
  change(on(callChart, 'running'), 'lost', { target: 'routing', assign: 'refusal' });
});

mutant('routes again after a loss, to a worker that has it', 'at-most-once', (change) => {
  change(on(callChart, 'offered'), 'lost', { target: 'routing' });
});

/** A caller that says everything twice, some time later. */
const offerTwice = sending((_link, frame, send) => {
  send(frame);
  if ('task' in frame) void sleep(50).then(() => send(frame));
});

test('a caller that offers each task twice has none run twice', async () => {
  await mutated(
    (change) => change(Link.prototype, 'send', offerTwice),
    async () => {
      for (let seed = 1; seed <= 20; seed += 1) {
        expect(await foundBy(seed)).not.toContain('at-most-once');
      }
    },
  );
});

mutant('forgets which numbers it has seen', 'at-most-once', (change) => {
  change(Admission.prototype, 'admit', () => true);
  change(Link.prototype, 'send', offerTwice);
});

mutant('acknowledges when the body has ended', 'true-phase', (change) => {
  const { loading, running, stepping } = states(executionChart);
  const { loaded, ...rest } = loading!.on;
  const later = (loaded as { effects: string[] }[]).map((one) => ({
    ...one,
    effects: one.effects.filter((effect) => effect !== 'accept'),
  }));
  change(loading!, 'on', { ...rest, loaded: later });
  for (const state of [running!, stepping!]) {
    const { returned } = state.on as { returned: { effects: string[] } };
    change(state.on, 'returned', { ...returned, effects: ['accept', ...returned.effects] });
  }
});

mutant('acknowledges before it looks for the body', 'true-phase', (change) => {
  const { loading } = states(executionChart);
  change(loading!, 'entry', ['accept']);
});

mutant('takes every loss for one of a task that had begun', 'true-phase', (change) => {
  change(on(callChart, 'offered'), 'lost', { target: 'failed', effects: ['rejectRunning'] });
});

mutant('loses what was never sent', 'loss-was-sent', (change) => {
  change(on(callChart, 'offered'), 'refused', { target: 'failed', effects: ['rejectOffered'] });
});

mutant('does not tell the worker of a cancel', 'cancel-arrives', (change) => {
  change(
    Link.prototype,
    'send',
    sending((_link, frame, send) => {
      if (!('cancel' in frame)) send(frame);
    }),
  );
});

mutant('does not abort when it is told of a cancel', 'cancel-arrives', (change) => {
  change(on(executionChart, 'running'), 'cancel', { target: 'aborting' });
});

mutant('lets tasks go on when their link is lost', 'orphans', (change) => {
  change(on(sessionChart, 'open'), 'down', { target: 'closed' });
});

mutant('gives up a call and keeps it', 'settles-once', (change) => {
  change(on(callChart, 'running'), 'cancel', { effects: ['reject'] });
});

mutant('never tells of a loss', 'settles-once', (change) => {
  change(on(callChart, 'running'), 'lost', { target: 'failed' });
});

mutant('mixes up what arrives', 'true-outcome', (change) => {
  const { received } = Link.prototype;
  let last: ReturnType<typeof received>;
  change(Link.prototype, 'received', function (this: Link, value) {
    const before = last;
    last = received.call(this, value);
    return before ?? last;
  });
});

mutant('answers each step of a generator as the first one', 'generator-prefix', (change) => {
  const answers = new WeakMap<object, Map<number, OutFrame>>();
  change(
    Link.prototype,
    'send',
    sending((link, frame, send) => {
      if (!('result' in frame) || frame.result.done === true) return send(frame);
      const calls = answers.get(link) ?? new Map<number, OutFrame>();
      answers.set(link, calls);
      const first = calls.get(frame.call) ?? frame;
      calls.set(frame.call, first);
      send(first);
    }),
  );
});

mutant('leaks sessions', 'nothing-left', (change) => {
  change(states(sessionChart).closed!, 'entry', []);
});

mutant('leaks calls', 'nothing-left', (change) => {
  change(states(callChart).cancelled!, 'entry', []);
});

mutant('throws where nobody catches', 'nothing-uncaught', (change) => {
  const { add } = Deadlines.prototype;
  change(Deadlines.prototype, 'add', function (this: Deadlines, ms, fire) {
    return add.call(this, ms, () => {
      fire();
      throw new Error('a bug');
    });
  });
});

/** Many calls of a caller that reads slowly. */
function unread(calls: number, bytes: number, workMs = 1): SimulationOptions {
  const task: TaskPlan = {
    kind: 'function',
    workMs,
    yields: 0,
    outcome: 'return',
    deaf: false,
    bytes,
    nested: [],
  };
  const plan = { task, idempotent: false, pauseMs: 0, retries: 0 };
  return {
    seed: 1,
    cluster: { workers: 1, callers: 1 },
    workload: [Array.from({ length: calls }, (_, i) => ({ ...plan, at: 100 + 5 * i }))],
    faults: [{ at: 50, kind: 'callerSlow', caller: 0, ms: 5_000, delayMs: 50 }],
  };
}

/** As `mutant`, in one simulation that is made for it. */
function mutantIn(name: string, checker: string, options: SimulationOptions, mutate: Change): void {
  test(`${name}: caught by ${checker}`, async () => {
    const run = async () => (await Simulation.run({ ...options, check: false })).violations;
    const found = await mutated(mutate, run);
    expect(found.map((violation) => violation.checker)).toContain(checker);
    expect(await run()).toEqual([]);
    schedules.set(name, { checker, count: 1 });
  });
}

mutantIn('sends on when a connection is full', 'within-bounds', unread(300, 1_500), (change) => {
  const { send } = End.prototype;
  change(End.prototype, 'send', function (this: End, bytes, released) {
    send.call(this, bytes, released);
    return true;
  });
});

mutantIn('takes tasks whatever is left unread', 'within-bounds', unread(100, 20_000), (change) => {
  const getter = (of: object, name: string) => Object.getOwnPropertyDescriptor(of, name)?.get;
  const backlog = getter(Link.prototype, 'backlog');
  const heldBytes = getter(Session.prototype, 'heldBytes');
  let looked = false;
  change(Link.prototype, 'backlog', function (this: Link) {
    return looked ? backlog?.call(this) : 0;
  } as never);
  // The simulation still sees it.
  change(Session.prototype, 'heldBytes', function (this: Session) {
    looked = true;
    const bytes = heldBytes?.call(this);
    looked = false;
    return bytes;
  } as never);
});

const crashing: SimulationOptions = {
  ...unread(20, 10, 100),
  faults: [{ at: 150, kind: 'crash', worker: 0, ms: 100, silent: true }],
};

mutantIn('lets the dead go on', 'dead-are-silent', crashing, (change) => {
  change(SimulatedProcess.prototype, 'enter', function (this: SimulatedProcess, fn) {
    if (this.state === 'dead' || this.state === 'running') this.within(fn);
  });
});

const refusing: SimulationOptions = {
  ...unread(20, 10),
  cluster: { workers: 2 },
  faults: [],
  backpressure: ({ worker }) => worker.startsWith('worker-1'),
};

mutantIn('runs what its hook has refused', 'at-most-once', refusing, (change) => {
  change(on(executionChart, 'loading'), 'declined', {
    target: 'running',
    effects: ['decline', 'run'],
  });
});

test('each checker has caught a mutant, but one that a duplicate must get through to', () => {
  const caught = new Set([...schedules.values()].map(({ checker }) => checker));
  const rest = checkers.map(({ name }) => name).filter((name) => !caught.has(name));
  expect(rest).toEqual(['true-duplicate']);
});
