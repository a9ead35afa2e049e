/** Routines with `idempotent: true`: their calls go on when a worker is lost. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DispatchTimeout, routine, WorkerLost } from '../../src/index.ts';
import { rejection, scratchFolder, type Trace, thrown, trace, until } from './helpers.ts';
import { gated, gatedSteps, parent, poison, steps } from './routines/idempotent.ts';
import { gate, pid } from './routines/tasks.ts';
import { WorkerPool } from './runtime.ts';

const folder = scratchFolder();
let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 2, restarts: { limit: 1_000 } });
});
afterAll(() => pool.close({ grace: 0 }));

interface Attempt {
  readonly attempt: number;
  readonly id: string;
  readonly pid: number;
}

/** The attempts that a trace tells of. */
function attemptsOf(file: Trace): Attempt[] {
  return file.lines
    .filter((line) => line.startsWith('start'))
    .map((line) => {
      const [, attempt, id, pid] = line.split(' ');
      return { attempt: Number(attempt), id: id as string, pid: Number(pid) };
    });
}

/** Kills the worker that has begun the latest attempt. */
async function killAttempt(file: Trace, attempt: number): Promise<void> {
  await file.has(`start ${attempt}`);
  process.kill(attemptsOf(file)[attempt - 1]?.pid as number, 'SIGKILL');
}

function expectQuiet(): void {
  expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, deadlines: 0 });
}

describe('a worker that is killed', () => {
  test('while it runs an idempotent task: the call gives the result of the second attempt', async () => {
    const file = trace(folder);
    const call = gated(file.path);
    await killAttempt(file, 1);
    await file.has('start 2');
    file.open();
    const [first, second, ...more] = attemptsOf(file);
    expect(more).toEqual([]);
    expect(await call).toEqual({ attempt: 2, id: first?.id });
    expect(second).toMatchObject({ attempt: 2, id: first?.id });
    expect(second?.pid).not.toBe(first?.pid);
    expectQuiet();
  });

  test('again and again: up to four losses make no difference', async () => {
    const file = trace(folder);
    const call = gated(file.path);
    for (let attempt = 1; attempt < 5; attempt += 1) await killAttempt(file, attempt);
    await file.has('start 5');
    file.open();
    expect(await call).toMatchObject({ attempt: 5 });
  });

  test('and had got its arguments in chunks: they are sent again', async () => {
    const file = trace(folder);
    const call = gated(file.path, new Uint8Array(1_000_000));
    await killAttempt(file, 1);
    await file.has('start 2');
    file.open();
    expect(await call).toMatchObject({ attempt: 2 });
  });

  test('while it runs a task of another routine: the call fails as ever', async () => {
    const file = trace(folder);
    const call = rejection(gate(file.path));
    const runner = await until(() => {
      const busy = pool.workers.find(({ inFlight }) => inFlight > 0);
      if (!busy || file.lines.length === 0) throw new Error('not yet');
      return busy;
    });
    process.kill(runner.pid as number, 'SIGKILL');
    const error = await call;
    expect(error).toBeInstanceOf(WorkerLost);
    expect((error as Error).message).toMatch(/begun, so it was not sent to another worker$/);
    expect(file.lines).toHaveLength(1);
  });

  test('by the task itself: after all attempts it fails with WorkerLost, and the pool goes on', async () => {
    const file = trace(folder);
    const error = await rejection(poison(file.path));
    expect(error).toBeInstanceOf(WorkerLost);
    expect((error as Error).message).toMatch(/poison.*It was attempt 3 of 3/);
    expect(attemptsOf(file).map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(new Set(attemptsOf(file).map(({ id }) => id)).size).toBe(1);
    expect(await pid()).toBeGreaterThan(0);
    expectQuiet();
  });

  test('and is the only one: the call waits for the one that replaces it', async () => {
    await using one = await WorkerPool.open({ size: 1 });
    const file = trace(folder);
    const call = gated.on(one)(file.path);
    await killAttempt(file, 1);
    await file.has('start 2');
    file.open();
    expect(await call).toMatchObject({ attempt: 2 });
  });
});

describe('a generator that is idempotent', () => {
  test('starts again while no value of it has come', async () => {
    const file = trace(folder);
    const generator = gatedSteps(file.path);
    const first = generator.next();
    await killAttempt(file, 1);
    await file.has('start 2');
    file.open();
    expect(await first).toMatchObject({ value: { attempt: 2 }, done: false });
    expect(await generator.next()).toEqual({ value: 'done', done: true });
    expectQuiet();
  });

  test('fails once it has given a value: its consumer would get it twice', async () => {
    const file = trace(folder);
    const generator = steps(file.path);
    expect(await generator.next()).toMatchObject({ value: { attempt: 1 } });
    const second = rejection(generator.next());
    await file.has('given');
    await killAttempt(file, 1);
    const error = await second;
    expect(error).toMatchObject({ code: 'WORKER_LOST', phase: 'running' });
    expect((error as Error).message).toContain('It had given values');
    expect(await generator.next()).toEqual({ value: undefined, done: true });
    expect(attemptsOf(file)).toHaveLength(1);
  });
});

describe('all attempts of a call', () => {
  test('have one deadline together', async () => {
    const file = trace(folder);
    await until(() => expect(pool.workers).toHaveLength(2));
    const started = performance.now();
    const call = rejection(gated.with({ timeout: 3_000 })(file.path));
    await until(() => expect(performance.now() - started).toBeGreaterThan(1_500));
    await killAttempt(file, 1);
    await file.has('start 2');
    expect(await call).toBeInstanceOf(DispatchTimeout);
    expect(performance.now() - started).toBeLessThan(4_500);
    file.open();
    await until(expectQuiet);
  });

  test('end when the caller gives up', async () => {
    const file = trace(folder);
    const controller = new AbortController();
    const call = rejection(gated.with({ signal: controller.signal })(file.path));
    await killAttempt(file, 1);
    await file.has('start 2');
    controller.abort(new Error('enough'));
    expect(await call).toMatchObject({ message: 'enough' });
    file.open();
    expectQuiet();
  });
});

test('a nested call is sent again by the worker that made it', async () => {
  await using three = await WorkerPool.open({ size: 3, restarts: { limit: 1_000 } });
  // The child must run on another worker than its parent, which would be lost with it.
  for (let tries = 0; ; tries += 1) {
    const file = trace(folder);
    const call = parent.on(three)(file.path);
    await file.has('start 1');
    const running = three.workers.filter(({ inFlight }) => inFlight > 0).map(({ pid }) => pid);
    const [child] = attemptsOf(file);
    if (running.includes(child?.pid) && tries < 20) {
      file.open();
      await call;
      continue;
    }
    await killAttempt(file, 1);
    await file.has('start 2');
    file.open();
    expect((await call).child).toEqual({ attempt: 2, id: child?.id });
    return;
  }
});

test('outside of any failure the attempt is the first', async () => {
  const file = trace(folder);
  file.open();
  expect(await gated(file.path)).toMatchObject({ attempt: 1 });
});

describe('the options of a routine', () => {
  const fn = async () => {};
  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3'])(
    'refuse %s attempts',
    (attempts) => {
      const error = thrown(() => routine(fn, { idempotent: true, attempts: attempts as number }));
      expect(error).toBeInstanceOf(RangeError);
      expect((error as Error).message).toBe(
        `attempts must be a whole number from 1 on, not ${String(attempts)}`,
      );
    },
  );

  test('refuse attempts without idempotent', () => {
    const error = thrown(() => routine(fn, { attempts: 3 }));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toContain('only for routines with idempotent: true');
  });

  test('refuse another value for idempotent', () => {
    const error = thrown(() => routine(fn, { idempotent: 'yes' as never }));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toBe('idempotent must be true or false, not yes');
  });
});
