import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DispatchTimeout, WorkerPool } from '../../src/index.ts';
import { rejection, scratchFolder, trace, until } from './helpers.ts';
import {
  childDeadlines,
  family,
  fib,
  grandparent,
  leaveBehind,
  parentOfUntilAborted,
  seen,
  viaSettled,
} from './routines/tasks.ts';

const folder = scratchFolder();
let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 2 });
});
afterAll(() => pool.close());

describe('the calls of a task', () => {
  test('go to its own worker and to its peers', async () => {
    const { pid, children } = await family(10);
    const pids = new Set(children.map((child) => child.pid));
    expect(pids).toEqual(new Set(pool.workers.map((worker) => worker.pid)));
    expect(pids).toContain(pid);
  });

  test('name their task as the caller, over several generations', async () => {
    const { id, parent } = await grandparent();
    expect(parent.children[0]?.caller).toBe(parent.id);
    expect(parent.id).not.toBe(id);
    expect((await seen()).caller).toBe(undefined);
    const { id: own, children } = await family(4);
    expect(children.map(({ caller }) => caller)).toEqual([own, own, own, own]);
    expect(new Set(children.map((child) => child.id)).size).toBe(4);
  });

  test('may recurse', async () => {
    expect(await fib(12)).toBe(144);
  });

  test('may be many at once, from many tasks', async () => {
    const families = await Promise.all(Array.from({ length: 50 }, () => family(20)));
    for (const { id, children } of families) {
      expect(new Set(children.map(({ caller }) => caller))).toEqual(new Set([id]));
    }
  });
});

describe('the deadline of a task', () => {
  test('holds for its calls, whatever timeout these have', async () => {
    const { own, plain, longer, none, shorter } = await childDeadlines.with({ timeout: 20_000 })();
    const least = Date.now() - 1;
    for (const deadline of [plain, longer, none]) {
      expect(deadline).toBeGreaterThan(least);
      // The clocks are read at different moments, each to the millisecond.
      expect(deadline).toBeLessThan((own ?? 0) + 50);
    }
    expect(shorter).toBeLessThan((own ?? 0) - 10_000);
  });

  test('leaves its calls without one when it has none', async () => {
    const deadlines = await childDeadlines();
    expect(deadlines).toMatchObject({ own: undefined, plain: undefined, none: undefined });
    expect(deadlines.longer).toBeGreaterThan(Date.now() + 500_000);
  });

  test('ends the calls of the task when it ends the task', async () => {
    const file = trace(folder);
    const error = await rejection(parentOfUntilAborted.with({ timeout: 1_000 })(file.path));
    expect(error).toBeInstanceOf(DispatchTimeout);
    await file.has('aborted');
  });

  test('ends the calls that a task left behind, too', async () => {
    const file = trace(folder);
    await leaveBehind.with({ timeout: 1_000 })(file.path);
    expect(file.lines.some((line) => line.startsWith('aborted'))).toBe(false);
    await file.has('aborted');
    await file.has('child DispatchTimeout');
  });
});

describe('cancelling a task', () => {
  test('cancels its calls, on whichever worker they run', async () => {
    const traces = Array.from({ length: 4 }, () => trace(folder));
    const controller = new AbortController();
    const calls = traces.map((file) =>
      rejection(parentOfUntilAborted.with({ signal: controller.signal })(file.path)),
    );
    await Promise.all(traces.map((file) => file.has('start')));
    const pids = traces.map(({ lines }) => lines.find((line) => line.startsWith('start')));
    expect(new Set(pids).size).toBe(2);
    controller.abort(new Error('enough'));
    for (const error of await Promise.all(calls))
      expect(error).toMatchObject({ message: 'enough' });
    await Promise.all(traces.map((file) => file.has('aborted')));
  });

  test('rejects the calls inside it with a TaskAborted; the task may go on to tidy up', async () => {
    const file = trace(folder);
    const controller = new AbortController();
    const call = rejection(viaSettled.with({ signal: controller.signal })(file.path));
    await file.has('start');
    controller.abort();
    expect(await call).toMatchObject({ name: 'AbortError' });
    await file.has('child TaskAborted');
    await file.has('parent went on');
  });

  test('leaves nothing behind', async () => {
    await until(() => {
      expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, deadlines: 0 });
      expect(pool.workers.map(({ inFlight }) => inFlight)).toEqual([0, 0]);
    });
  });
});
