import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DispatchTimeout, withDispatch } from '../../src/index.ts';
import { rejection, scratchFolder, thrown, trace, until } from './helpers.ts';
import { gate, once, seen, untilAborted } from './routines/tasks.ts';
import { echo, plus } from './routines/values.ts';
import { WorkerPool } from './runtime.ts';

const folder = scratchFolder();
let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 1 });
});
afterAll(() => pool.close());

describe('an AbortSignal', () => {
  test('that is aborted already ends the call before anything is sent', async () => {
    const file = trace(folder);
    const reason = { any: 'value' };
    const call = once.with({ signal: AbortSignal.abort(reason) })(file.path, 'never');
    expect(await rejection(call)).toBe(reason);
    await once(file.path, 'after');
    expect(file.lines).toEqual(['after']);
  });

  test('ends the call at once with its reason, and aborts the signal of the task', async () => {
    const file = trace(folder);
    const controller = new AbortController();
    const call = rejection(untilAborted.with({ signal: controller.signal })(file.path));
    await file.has('start');
    const reason = new RangeError('no longer needed');
    const { stack } = reason;
    controller.abort(reason);
    expect(await call).toBe(reason);
    // It is the caller's own object.
    expect(reason.stack).toBe(stack);
    await file.has('aborted the task was aborted: its caller gave up');
  });

  test('ends the call with an AbortError when no reason is given', async () => {
    const file = trace(folder);
    const controller = new AbortController();
    const call = rejection(untilAborted.with({ signal: controller.signal })(file.path));
    await file.has('start');
    controller.abort();
    expect(await call).toBeInstanceOf(DOMException);
    expect(await call).toMatchObject({ name: 'AbortError' });
  });

  test('ends the call at once also where the task does not listen', async () => {
    const file = trace(folder);
    const controller = new AbortController();
    const call = rejection(gate.with({ signal: controller.signal })(file.path));
    await file.has('start');
    controller.abort('gone');
    expect(await call).toBe('gone');
    expect(file.lines).toEqual(['start gate']);
    file.open();
    await file.has('end');
  });

  test('that aborts after the end does nothing', async () => {
    const controller = new AbortController();
    expect(await plus.with({ signal: controller.signal })(1, 2)).toBe(3);
    controller.abort();
    expect(await plus(1, 2)).toBe(3);
  });

  test('may serve 200 calls at once without a warning, and keeps no listener', async () => {
    const warnings: Error[] = [];
    const listen = (warning: Error) => warnings.push(warning);
    process.on('warning', listen);
    const controller = new AbortController();
    const { signal } = controller;
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = ((...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    }) as typeof add;
    signal.removeEventListener = ((...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    }) as typeof remove;
    const calls = Array.from({ length: 200 }, (_, i) => plus.with({ signal })(i, 1));
    const around = withDispatch({ signal }, () =>
      Promise.all(Array.from({ length: 200 }, (_, i) => plus(i, 1))),
    );
    expect(listeners).toBe(1);
    await Promise.all([...calls, around]);
    expect(listeners).toBe(0);
    const file = trace(folder);
    const tasks = Array.from({ length: 200 }, () =>
      rejection(untilAborted.with({ signal })(file.path)),
    );
    await file.has('start', 200);
    controller.abort('all');
    expect(await Promise.all(tasks)).toEqual(tasks.map(() => 'all'));
    await file.has('aborted', 200);
    expect(listeners).toBe(0);
    // Warnings are told in a later turn.
    await new Promise(setImmediate);
    process.off('warning', listen);
    expect(warnings).toEqual([]);
  });

  test('that is no AbortSignal is refused where it is given', () => {
    const error = thrown(() => plus.with({ signal: {} as never })) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain('signal');
    expect(thrown(() => plus.with({ tag: 1 as never }))).toBeInstanceOf(TypeError);
  });
});

describe('a timeout', () => {
  test('ends the call at once, and aborts the signal of the task', async () => {
    const file = trace(folder);
    await echo('the module is loaded');
    const error = (await rejection(
      untilAborted.with({ timeout: 500 })(file.path),
    )) as DispatchTimeout;
    expect(error).toBeInstanceOf(DispatchTimeout);
    expect(error).toMatchObject({ code: 'DISPATCH_TIMEOUT', timeoutMs: 500 });
    expect(error.message).toContain("'untilAborted' did not end within 500 ms");
    await file.has('aborted the task was aborted: its time ran out');
  });

  test('ends the call also where the worker is too busy to hear of it', async () => {
    const file = trace(folder);
    const call = rejection(gate.with({ timeout: 100 })(file.path));
    expect(await call).toBeInstanceOf(DispatchTimeout);
    file.open();
  });

  test.each([0, Number.NaN, -1, Number.NEGATIVE_INFINITY, '5', null])(
    '%s is refused with a RangeError that says what to write',
    (timeout) => {
      for (const give of [
        () => plus.with({ timeout: timeout as number }),
        () => withDispatch({ timeout: timeout as number }, () => plus(1, 2)),
      ]) {
        const error = thrown(give) as Error;
        expect(error).toBeInstanceOf(RangeError);
        expect(error.message).toContain(`not ${timeout}`);
        expect(error.message).toContain('leave it out for no limit');
      }
    },
  );

  test('of Infinity is none', async () => {
    const none = { timeout: Number.POSITIVE_INFINITY };
    expect((await seen.with(none)()).deadline).toBe(undefined);
    await withDispatch({ timeout: 100 }, async () => {
      expect((await seen.with(none)()).deadline).toBe(undefined);
      expect((await withDispatch(none, () => seen())).deadline).toBe(undefined);
    });
  });

  test('may be longer than timers of Node are', async () => {
    const { deadline, now } = await seen.with({ timeout: 2 ** 40 })();
    expect(deadline).toBeGreaterThan(now + 2 ** 40 - 10_000);
  });

  test('may be a fraction of a millisecond', async () => {
    const file = trace(folder);
    const error = await rejection(untilAborted.with({ timeout: 0.01 })(file.path));
    expect(error).toBeInstanceOf(DispatchTimeout);
  });
});

test('nothing is left behind', async () => {
  await until(() => {
    expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, deadlines: 0 });
    expect(pool.workers.map(({ inFlight }) => inFlight)).toEqual([0]);
  });
});
