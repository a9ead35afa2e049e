/** `Simulation.run` as a program's own tests use it. */
import { describe, expect, test } from 'vitest';
import { currentTask, routine, serializable, WorkerLost } from '../../../src/index.ts';
import { Simulation, SimulationFailure, sleep } from '../../../src/testing/index.ts';

const double = routine(
  async (x: number) => {
    await sleep(5);
    return x * 2;
  },
  { name: 'double' },
);
const factor = 3;
const where = routine(() => currentTask()?.worker, { name: 'where' });
const viaDouble = routine(async (x: number) => (await double(x)) + 1, { name: 'viaDouble' });
const fails = routine(
  async () => {
    throw new RangeError('far below');
  },
  { name: 'fails' },
);
const viaFails = routine(async () => await fails(), { name: 'viaFails' });
const steps = routine(
  async function* (n: number) {
    for (let i = 0; i < n; i += 1) {
      await sleep(1);
      yield i;
    }
  },
  { name: 'steps' },
);

@serializable
class Account {
  balance: number;

  constructor(balance: number) {
    this.balance = balance;
  }

  @routine
  async after(deposit: number) {
    await sleep(5);
    return new Account(await double(this.balance + deposit));
  }

  @routine
  static async *open(n: number) {
    for (let i = 0; i < n; i += 1) yield new this(i);
  }
}

async function failure(run: Promise<unknown>): Promise<SimulationFailure> {
  const error = await run.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SimulationFailure);
  return error as SimulationFailure;
}

describe('a program in a simulation', () => {
  test('calls functions, generators and what they call, and is given what they give', async () => {
    const { results } = await Simulation.run({ seed: 1 }, async () => {
      const values: number[] = [];
      for await (const value of steps(3)) values.push(value);
      return [await double(2), await viaDouble(3), values];
    });
    expect(results).toEqual([[4, 7, [0, 1, 2]]]);
  });

  test('calls methods, on copies of their instance', async () => {
    const { results } = await Simulation.run({ seed: 1 }, async () => {
      const accounts: Account[] = [];
      for await (const account of Account.open(3)) accounts.push(await account.after(10));
      return accounts;
    });
    expect(results).toEqual([[20, 22, 24].map((balance) => new Account(balance))]);
    expect(results[0]?.[0]).toBeInstanceOf(Account);
  });

  test('runs for each caller, on simulated time', async () => {
    const began = performance.now();
    const { results, elapsedMs } = await Simulation.run(
      { seed: 1, cluster: { callers: 2 } },
      async (caller) => {
        await sleep(200_000 * (caller.index + 1));
        return caller.now;
      },
    );
    expect(results).toEqual([200_000, 400_000]);
    expect(elapsedMs).toBeGreaterThan(400_000);
    expect(performance.now() - began).toBeLessThan(100_000);
  });

  test('sees its frames in the stack of an error, and the tasks’ that it went through', async () => {
    const { results } = await Simulation.run(
      { seed: 1, cluster: { workers: 1 } },
      async function program() {
        return (await viaFails().catch((error: Error) => error.stack)) as string;
      },
    );
    const lines = results[0]?.split('\n').map((line) => line.replace(/\(.*\//, '('));
    expect(lines?.slice(0, 6)).toEqual([
      'RangeError: far below',
      expect.stringMatching(/simulation\.test\.ts/),
      '    at fails (worker worker-1.1)',
      expect.stringMatching(/simulation\.test\.ts/),
      '    at viaFails (worker worker-1.1)',
      expect.stringMatching(/program .*simulation\.test\.ts/),
    ]);
  });

  test('sends functions by value where the cluster allows it', async () => {
    const scale = routine.inline((x: number) => x * factor, { captures: { factor: 3 } });
    const run = (allowInline: boolean) =>
      Simulation.run({ seed: 1, cluster: { allowInline } }, () =>
        scale(14).catch((error: Error) => error.name),
      );
    expect((await run(true)).results).toEqual([42]);
    expect((await run(false)).results).toEqual(['InlineNotAllowed']);
  });

  test('has its calls shared out among the workers', async () => {
    const { results } = await Simulation.run({ seed: 1, cluster: { workers: 2 } }, async () => {
      await sleep(100);
      return new Set(await Promise.all([where(), where(), where(), where()]));
    });
    expect(results[0]?.size).toBe(2);
  });

  test('may make things go wrong itself', async () => {
    const { results, text } = await Simulation.run(
      { seed: 1, cluster: { workers: 1 } },
      async (caller) => {
        await double(1);
        const lost = double(2).catch((error: unknown) => error);
        await sleep(4);
        caller.note('now');
        caller.strike({ kind: 'crash', worker: 0, ms: 100, silent: false });
        return [await lost, await double(3)];
      },
    );
    expect(results[0]).toEqual([expect.any(WorkerLost), 6]);
    expect(text).toContain('note text=now');
  });
});

test('simulated time stands still while a program waits for something real, and nothing else', async () => {
  const run = async () => {
    const { text } = await Simulation.run({ seed: 1 }, async () => {
      await double(1);
      await import('node:zlib');
      await new Promise((resolve) => setTimeout(resolve, 20));
      await double(2);
    });
    return text;
  };
  expect(await run()).toBe(await run());
});

test('what a program strikes with lasts as long as it says, and is over at the end', async () => {
  const { results } = await Simulation.run(
    { seed: 1, cluster: { workers: 1 }, faults: [{ at: 2_000, kind: 'jump', worker: 0, byMs: 1 }] },
    async (caller) => {
      caller.strike({ kind: 'crash', worker: 0, ms: 3_000, silent: false });
      await double(1);
      const back = caller.now;
      caller.strike({ kind: 'stop', worker: 0, ms: 5_000 });
      return back;
    },
  );
  expect(results[0]).toBeGreaterThan(3_000);
});

test('a slow process reads one packet after the other', async () => {
  const timeOf = async (delayMs: number) => {
    const { results } = await Simulation.run(
      { seed: 1, cluster: { workers: 1 } },
      async (caller) => {
        await double(1);
        const before = caller.now;
        if (delayMs > 0) caller.strike({ kind: 'slow', worker: 0, ms: 60_000, delayMs });
        for (let i = 0; i < 10; i += 1) await double(i);
        return caller.now - before;
      },
    );
    return results[0] as number;
  };
  expect((await timeOf(50)) - (await timeOf(0))).toBeGreaterThan(8 * 50);
});

test('values of any size are within the bounds', async () => {
  const big = routine((n: number) => new Uint8Array(n), { name: 'big' });
  await Simulation.run({ seed: 3 }, async () => {
    for (const size of [10_000, 270_000, 900_000]) await big(size);
    await Promise.all(Array.from({ length: 20 }, () => big(100_000)));
  });
});

describe('a failure names the seed, and what happened:', () => {
  test('a program that throws', async () => {
    const cause = new Error('not as it should be');
    const program = async () => {
      await double(1);
      throw cause;
    };
    const error = await failure(Simulation.run({ seed: 42 }, program));
    expect(error.message).toMatch(
      /the program of caller 0 failed after [\d.]+ simulated ms: Error: not as it should be/,
    );
    expect(error.message).toContain('seed 42');
    expect(error).toMatchObject({ seed: 42, cause });
    expect(error.trace.length).toBeGreaterThan(5);
  });

  test('a program that waits for what is not simulated', async () => {
    const program = () => new Promise<void>(() => {});
    const error = await failure(Simulation.run({ seed: 7, limitMs: 10_000 }, program));
    expect(error.message).toMatch(/waits for ever, or for something that is not simulated/);
    expect(error.message).toContain('use sleep of skein/testing');
  });

  test('a task that never ends', async () => {
    const program = async () => {
      await sleep(1);
      await double.with({ timeout: 1e9 })(1);
      await sleep(1e9);
    };
    const error = await failure(Simulation.run({ seed: 7, limitMs: 10_000 }, program));
    expect(error.message).toMatch(/has not ended after \d+ simulated ms \(see limitMs\)/);
  });
});

describe('wrong options are refused:', () => {
  test.for([
    [{}, 'seed must be a whole number, not undefined'],
    [{ seed: 1.5 }, 'seed must be a whole number, not 1.5'],
    [{ seed: 1, sead: 2 }, "has no option 'sead'"],
    [{ seed: 1, cluster: { workers: 0 } }, 'cluster.workers must be a whole number, 1 or more'],
    [{ seed: 1, cluster: { nodes: 2 } }, "cluster has no option 'nodes'"],
    [{ seed: 1, cluster: { delayMs: [3, 1] } }, 'cluster.delayMs must be [least, most]'],
    [{ seed: 1, faults: { cont: 3 } }, "faults has no option 'cont'"],
    [{ seed: 1, faults: {} }, 'faults.count is missing'],
    [{ seed: 1, faults: { count: 1, kinds: ['quake'] } }, "there is no fault 'quake'"],
    [{ seed: 1, faults: [{ kind: 'cut', worker: 0, caller: 0 }] }, 'faults[0].at must be'],
    [{ seed: 1, faults: [{ at: 1, kind: 'cut', worker: -1, caller: 0 }] }, 'faults[0].worker must'],
    [{ seed: 1, faults: [{ at: 1, kind: 'drain', worker: 0 }] }, "and has no 'ms'"],
    [{ seed: 1, graceMs: -1 }, 'graceMs must be a number of milliseconds'],
    [{ seed: 1, workload: [{}] }, 'workload must be a list of calls for each caller'],
  ] as const)('%j', async ([options, message]) => {
    await expect(Simulation.run(options as never)).rejects.toThrow(message);
  });
});
