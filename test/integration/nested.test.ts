import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DispatchTimeout, withDispatch } from '../../src/index.ts';
import { rejection, scratchFolder, trace, until } from './helpers.ts';
import {
  childDeadlines,
  family,
  fib,
  type Generation,
  generations,
  generationsOf,
  generationsWith,
  grandparent,
  leaveBehind,
  parentOfUntilAborted,
  seen,
  viaSettled,
} from './routines/tasks.ts';
import { WorkerPool } from './runtime.ts';

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

describe('the options of a withDispatch around a call', () => {
  /** What the generations see, the first one first. */
  function listOf(first: Generation): Generation[] {
    return first.below ? [first, ...listOf(first.below)] : [first];
  }
  const tagsOf = (first: Generation) => listOf(first).map(({ tag }) => tag);

  test('hold for the calls of its task, and for theirs, on whichever worker', async () => {
    const options = { tag: 'nightly', timeout: 600_000 };
    const first = await withDispatch(options, () => generations(4));
    expect(tagsOf(first)).toEqual(['nightly', 'nightly', 'nightly', 'nightly']);
    for (const { left } of listOf(first)) {
      expect(left).toBeGreaterThan(500_000);
      expect(left).toBeLessThan(600_050);
    }
  });

  test('hold for generators', async () => {
    const seen: Generation[] = [];
    await withDispatch({ tag: 'nightly', timeout: 600_000 }, async () => {
      for await (const one of generationsOf(3)) seen.push(one);
    });
    expect(seen.map(({ tag }) => tag)).toEqual(['nightly', 'nightly', 'nightly']);
    for (const { left } of seen) expect(left).toBeGreaterThan(500_000);
  });

  test('hold for a generator that was made inside another one', async () => {
    const all = await withDispatch({ tag: 'outer', timeout: 600_000 }, async () => {
      const values = withDispatch({ tag: 'inner' }, () => generationsOf(2));
      // Where it was made counts, and not where it is consumed.
      const first = await withDispatch({ tag: 'next' }, () => values.next());
      const second = await values.next();
      await values.return(undefined);
      return [first.value, second.value];
    });
    expect(all.map(({ tag }) => tag)).toEqual(['inner', 'inner']);
    expect(all[1]?.left).toBeGreaterThan(500_000);
  });

  test('are not those of one call, which its task does not pass on', async () => {
    const first = await generations.with({ tag: 'own', timeout: 600_000 })(3);
    expect(tagsOf(first)).toEqual(['own', undefined, undefined]);
    // The deadline goes on by itself.
    expect(first.below?.left).toBeLessThan(600_050);
  });

  test('come after those of one call for that call alone', async () => {
    const first = await withDispatch({ tag: 'around', timeout: 300_000 }, () =>
      generations.with({ tag: 'own', timeout: 600_000 })(3),
    );
    expect(tagsOf(first)).toEqual(['own', 'around', 'around']);
    const [own, nested] = listOf(first).map(({ left = 0 }) => left) as [number, number];
    expect(own).toBeGreaterThan(500_000);
    expect(nested).toBeLessThan(300_050);
  });

  test('never go beyond the deadline of the task', async () => {
    const first = await withDispatch({ timeout: 600_000 }, () =>
      generations.with({ timeout: 100_000 })(3),
    );
    for (const { left } of listOf(first)) expect(left).toBeLessThan(100_050);
  });

  test('come after what the task says itself, around its calls or for one of them', async () => {
    const options = { tag: 'outer', timeout: 600_000 };
    const around = await withDispatch(options, () => generationsWith('around', { tag: 'inner' }));
    expect(tagsOf(around)).toEqual(['outer', 'inner', 'inner']);
    expect(around.below?.below?.left).toBeGreaterThan(500_000);
    const own = await withDispatch(options, () => generationsWith('own', { tag: 'inner' }));
    expect(tagsOf(own)).toEqual(['outer', 'inner', 'outer']);
    const shorter = await withDispatch(options, () =>
      generationsWith('around', { timeout: 100_000 }),
    );
    expect(tagsOf(shorter)).toEqual(['outer', 'outer', 'outer']);
    const [first, ...others] = listOf(shorter).map(({ left = 0 }) => left) as [number];
    expect(first).toBeGreaterThan(500_000);
    for (const left of others) expect(left).toBeLessThan(100_050);
  });

  test('leave no trace when they say nothing', async () => {
    const { signal } = new AbortController();
    const none = { timeout: Number.POSITIVE_INFINITY, signal };
    const first = await withDispatch(none, () => generations(2));
    expect(listOf(first)).toMatchObject([
      { tag: undefined, left: undefined },
      { tag: undefined, left: undefined },
    ]);
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
