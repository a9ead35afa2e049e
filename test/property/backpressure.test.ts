/** Workers with a backpressure hook, in a simulation: what they refuse goes elsewhere, or comes again. */
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { currentTask, DispatchTimeout, type OfferedTask, routine } from '../../src/index.ts';
import { scenarioOf } from '../../src/testing/arbitraries.ts';
import { Simulation, type SimulationOptions, sleep } from '../../src/testing/index.ts';

const work = routine(
  async (ms: number) => {
    await sleep(ms);
    return currentTask()?.worker;
  },
  { name: 'work' },
);
const count = routine(
  async function* (n: number) {
    for (let i = 0; i < n; i += 1) yield i;
  },
  { name: 'count' },
);

/** What a hook does about one task. */
const answers = {
  take: () => false,
  refuse: () => true,
  takeLater: async () => {
    await sleep(3);
    return false;
  },
  refuseLater: async () => {
    await sleep(3);
    return true;
  },
  throw: () => {
    throw new RangeError('the hook is wrong');
  },
  reject: async () => {
    await sleep(1);
    throw new RangeError('the hook is wrong');
  },
} satisfies { [name: string]: () => boolean | Promise<boolean> };
type Answer = keyof typeof answers;
const takes = (answer: Answer) => answer.startsWith('take');

test('whatever hooks say, and whatever fails: no task begins where it was refused', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
  const list = fc.array(fc.constantFrom(...(Object.keys(answers) as Answer[])), {
    minLength: 20,
    maxLength: 60,
  });
  let refusals = 0;
  const property = fc.asyncProperty(fc.nat(10_000), list, async (seed, script) => {
    const scenario = scenarioOf(seed);
    const asked: { task: OfferedTask; answer: Answer }[] = [];
    const backpressure = (task: OfferedTask) => {
      const answer = script[asked.length] ?? 'take';
      asked.push({ task, answer });
      return answers[answer]();
    };
    const options = { seed, graceMs: 15_000, ...scenario, backpressure };
    const { trace, counts } = await Simulation.run(options);
    const called = new Map<string, string>();
    for (const event of trace) {
      if (event.type === 'call') called.set(event.id, event.process);
      if (event.type !== 'start' || called.get(event.id) === event.process) continue;
      const { id, attempt, process } = event;
      const last = asked.findLast(
        ({ task }) => task.id === id && task.attempt === attempt && task.worker === process,
      );
      expect(last && takes(last.answer), `attempt ${attempt} of ${id} on ${process}`).toBe(true);
    }
    refusals += counts.nacks.DECLINED ?? 0;
  });
  await fc.assert(property, { numRuns: 50 });
  expect(refusals).toBeGreaterThan(300);
});

test('the hook sees the task, and that is frozen', async () => {
  const seen: OfferedTask[] = [];
  const options: SimulationOptions = {
    seed: 1,
    cluster: { workers: 1 },
    backpressure: (task) => {
      seen.push(task);
      return false;
    },
  };
  await Simulation.run(options, async () => {
    await Promise.all([work.with({ tag: 'a', timeout: 1_000 })(5), work(5)]);
  });
  const [first, second] = seen;
  expect(first).toMatchObject({ id: 'caller-1-1', worker: 'worker-1.1', tag: 'a', attempt: 1 });
  expect(first).toMatchObject({ caller: undefined, inFlight: 0 });
  expect(first?.routine).toMatch(/backpressure\.test\.ts#work$/);
  expect(first?.deadline).toBeGreaterThan(0);
  expect(second).toMatchObject({ tag: undefined, deadline: undefined, inFlight: 1 });
  expect(seen.every((task) => Object.isFrozen(task))).toBe(true);
});

describe('a task that one worker refuses', () => {
  test('goes to another one at once, a generator too', async () => {
    const backpressure = ({ worker }: OfferedTask) => worker.startsWith('worker-1');
    await Simulation.run({ seed: 1, cluster: { workers: 2 }, backpressure }, async (caller) => {
      await work(0);
      const start = caller.now;
      const places = await Promise.all(Array.from({ length: 10 }, () => work(0)));
      expect(new Set(places)).toEqual(new Set(['worker-2.1']));
      const values: number[] = [];
      for await (const value of count(3)) values.push(value);
      expect(values).toEqual([0, 1, 2]);
      expect(caller.now - start).toBeLessThan(40);
    });
  });

  test('waits in line for one that is full', async () => {
    const backpressure = ({ worker }: OfferedTask) => worker.startsWith('worker-1');
    const cluster = { workers: 2, concurrency: 1 };
    await Simulation.run({ seed: 1, cluster, backpressure }, async (caller) => {
      await work(0);
      const start = caller.now;
      const ends: number[] = [];
      const calls = Array.from({ length: 10 }, async (_, i) => {
        await work(100);
        ends.push(i);
      });
      await Promise.all(calls);
      // One after the other, in order, and no time is lost in pauses.
      expect(ends).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(caller.now - start).toBeLessThan(10 * 100 + 100);
    });
  });
});

describe('a task that all workers refuse', () => {
  test('comes again after a pause, and runs when one takes it', async () => {
    let asked = 0;
    let open = false;
    const backpressure = () => {
      asked += 1;
      return !open;
    };
    await Simulation.run({ seed: 1, cluster: { workers: 2 }, backpressure }, async (caller) => {
      const call = work(0);
      await sleep(10_000);
      // Each of them about once a second.
      expect(asked).toBeGreaterThan(15);
      expect(asked).toBeLessThan(50);
      open = true;
      const start = caller.now;
      await call;
      expect(caller.now - start).toBeLessThan(1_050);
    });
  });

  test('soon, the first times', async () => {
    let asked = 0;
    const backpressure = () => {
      asked += 1;
      return asked < 3;
    };
    await Simulation.run({ seed: 1, cluster: { workers: 1 }, backpressure }, async (caller) => {
      await sleep(50);
      const start = caller.now;
      await work(0);
      expect(caller.now - start).toBeLessThan(50 + 100 + 20);
    });
  });

  test('fails at its timeout, or when its caller gives up, and is asked for no more', async () => {
    let asked = 0;
    const backpressure = () => {
      asked += 1;
      return true;
    };
    await Simulation.run({ seed: 1, backpressure }, async (caller) => {
      const start = caller.now;
      await expect(work.with({ timeout: 500 })(0)).rejects.toBeInstanceOf(DispatchTimeout);
      expect(caller.now - start).toBeLessThan(510);
      const controller = new AbortController();
      const call = work.with({ signal: controller.signal })(0);
      await sleep(200);
      controller.abort(new Error('enough'));
      await expect(call).rejects.toThrow('enough');
      await sleep(5);
      const before = asked;
      await sleep(5_000);
      expect(asked).toBe(before);
    });
  });

  test('is offered to a worker that comes, and to one that comes back', async () => {
    const backpressure = ({ worker }: OfferedTask) => worker === 'worker-1.1';
    await Simulation.run({ seed: 1, cluster: { workers: 1 }, backpressure }, async (caller) => {
      const call = work(0);
      await sleep(5_000);
      caller.strike({ kind: 'crash', worker: 0, ms: 10, silent: false });
      expect(await call).toBe('worker-1.2');
    });
    let open = false;
    await Simulation.run(
      { seed: 1, cluster: { workers: 1 }, backpressure: () => !open },
      async (caller) => {
        const call = work(0);
        await sleep(5_000);
        caller.strike({ kind: 'cut', caller: 0, worker: 0 });
        open = true;
        expect(await call).toBe('worker-1.1');
      },
    );
  });
});

describe('tasks that are refused hold up no others', () => {
  const backpressure = ({ tag }: OfferedTask) => tag === 'noisy';

  test.each([undefined, 3])('with a limit of concurrency of %s', async (concurrency) => {
    // On a fast network: an offer takes one of the worker's places until it is answered.
    const cluster = { workers: 2, concurrency, delayMs: [0.05, 0.2] } as const;
    const runs = [false, true].map(async (noisy) => {
      let asked = 0;
      const hook = (task: OfferedTask) => {
        if (task.tag === 'noisy') asked += 1;
        return backpressure(task);
      };
      let took = 0;
      await Simulation.run({ seed: 3, cluster, backpressure: hook }, async (caller) => {
        await work(0);
        const calls = Array.from({ length: noisy ? 200 : 0 }, () =>
          work
            .with({ tag: 'noisy', timeout: 8_000 })(5)
            .catch((error: Error) => error.name),
        );
        await sleep(20);
        const start = caller.now;
        // Four at a time, which with a limit of three fill no worker.
        const quiet = Array.from({ length: 4 }, async () => {
          for (let i = 0; i < 100; i += 1) await work(5);
        });
        await Promise.all(quiet);
        took = caller.now - start;
        for (const end of await Promise.all(calls)) expect(end).toBe('DispatchTimeout');
        // About ten times each in eight seconds, on each worker.
        expect(asked).toBeLessThan(200 * 2 * 15);
      });
      return took;
    });
    const [alone, beside] = (await Promise.all(runs)) as [number, number];
    expect(beside).toBeLessThan(alone * 1.2);
  });

  test('when the worker was full, and is no more', async () => {
    const cluster = { workers: 1, callers: 2, concurrency: 3, delayMs: [0.05, 0.2] } as const;
    await Simulation.run({ seed: 1, cluster, backpressure }, async (caller) => {
      await work(0);
      if (caller.index === 1) {
        // So many that the other caller is told that it is full.
        await Promise.all(Array.from({ length: 3 }, () => work(500)));
        return;
      }
      await sleep(50);
      const options = { tag: 'noisy', timeout: 3_000 };
      const noisy = Array.from({ length: 5 }, () =>
        work
          .with(options)(5)
          .catch(() => 0),
      );
      await work(0);
      const start = caller.now;
      await Promise.all(Array.from({ length: 12 }, () => work(10)));
      // Three at a time.
      expect(caller.now - start).toBeLessThan(60);
      await Promise.all(noisy);
    });
  });

  test('a place that the hook took its time about goes to the next call in line', async () => {
    const hook = async (task: OfferedTask) => {
      await sleep(20);
      return backpressure(task);
    };
    const options = { seed: 1, cluster: { workers: 1, concurrency: 1 }, backpressure: hook };
    await Simulation.run(options, async (caller) => {
      await work(0);
      const start = caller.now;
      const noisy = work.with({ tag: 'noisy', timeout: 5_000 })(0);
      const quiet = work(0);
      await quiet;
      expect(caller.now - start).toBeLessThan(60);
      await expect(noisy).rejects.toBeInstanceOf(DispatchTimeout);
    });
  });
});

describe('a hook that takes its time', () => {
  test('holds a place of its worker, and is given up with its call', async () => {
    const never = () => new Promise<boolean>(() => {});
    const backpressure = ({ tag }: OfferedTask) => (tag === 'never' ? never() : false);
    const cluster = { workers: 1, concurrency: 1 };
    await Simulation.run({ seed: 1, cluster, backpressure }, async (caller) => {
      const call = work.with({ tag: 'never', timeout: 300 })(0);
      const next = work(0);
      await expect(call).rejects.toBeInstanceOf(DispatchTimeout);
      await next;
      expect(caller.now).toBeGreaterThan(300);
      expect(caller.now).toBeLessThan(400);
    });
  });

  test('runs as a part of the task, which ends it', async () => {
    const seen: unknown[] = [];
    const backpressure = async (task: OfferedTask) => {
      const { id, signal } = currentTask() ?? {};
      seen.push(id === task.id);
      await sleep(60_000, signal ? { signal } : {}).catch((error: Error) => seen.push(error.name));
      return false;
    };
    const cluster = { workers: 1 };
    await Simulation.run({ seed: 1, cluster, backpressure }, async () => {
      await expect(work.with({ timeout: 300 })(0)).rejects.toBeInstanceOf(DispatchTimeout);
      await sleep(10);
      expect(seen).toEqual([true, 'TaskAborted']);
    });
  });
});

test('a worker takes what its own tasks ask of it, unasked', async () => {
  const backpressure = ({ inFlight }: OfferedTask) => inFlight > 0;
  await Simulation.run({ seed: 1, cluster: { workers: 1 }, backpressure }, async () => {
    expect(await deep(5)).toBe('end');
  });
});

const deep = routine(async (n: number): Promise<string> => (n > 0 ? await deep(n - 1) : 'end'), {
  name: 'deep',
});

test('failures of the hook are printed, each second one at most', async () => {
  const print = vi.spyOn(console, 'error').mockImplementation(() => {});
  const backpressure = () => {
    throw new RangeError('the hook is wrong');
  };
  await Simulation.run({ seed: 1, cluster: { workers: 1 }, backpressure }, async () => {
    const calls = Array.from({ length: 50 }, () =>
      work
        .with({ timeout: 2_500 })(0)
        .catch(() => 0),
    );
    await Promise.all(calls);
  });
  expect(print.mock.calls.length).toBeGreaterThan(1);
  expect(print.mock.calls.length).toBeLessThan(5);
  const [first, second] = print.mock.calls as [string, Error][];
  expect(first?.[0]).toMatch(
    /^The backpressure hook failed, so that a task of .*#work was refused:$/,
  );
  expect(first?.[1].message).toBe('the hook is wrong');
  expect(second?.[0]).toMatch(/was refused \(as \d+ times since the last line\):$/);
});
