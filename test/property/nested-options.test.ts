/** The options of a `withDispatch`, on their way with a task to the calls that it makes. */
import { deepStrictEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { termsOf, withDispatch } from '../../src/routine/gate.ts';
import { fromDispatch, toDispatch } from '../../src/routine/nested-options.ts';
import { currentScope, newScope, type Scope } from '../../src/routine/task.ts';
import { decodeEnvelope, EnvelopeWriter } from '../../src/wire/frame.ts';

const timeout = fc.double({ min: 0, minExcluded: true, noNaN: true });
const tag = fc.string();
const options = fc.record({ timeout, tag }, { requiredKeys: [] });

/** The scope of a task whose call was made in `caller`. */
function scopeOfTask(caller: Scope | undefined): Scope {
  const { around } = termsOf(undefined, caller);
  const dispatch = around && toDispatch(around);
  const writer = new EnvelopeWriter();
  writer.add({ call: 1, task: { routine: 1, ...(dispatch && { dispatch }) } });
  const [frame] = decodeEnvelope(writer.finish(1)).frames;
  ok(frame?.body === 'task');
  ok(dispatch !== undefined || frame.task.dispatch === undefined, 'nothing is said of nothing');
  return newScope({ options: frame.task.dispatch && fromDispatch(frame.task.dispatch) });
}

test('calls of a task have the terms that calls beside its own would have', () => {
  fc.assert(
    fc.property(fc.array(options, { maxLength: 3 }), options, (around, own) => {
      const nested = around.reduce<() => Scope | undefined>(
        (inside, one) => () => withDispatch(one, inside),
        currentScope,
      );
      const caller = nested();
      const task = scopeOfTask(caller);
      for (const some of [undefined, own]) {
        const { around: _, ...there } = termsOf(some, task);
        const { around: __, ...here } = termsOf(some, caller);
        deepStrictEqual(there, here);
      }
      // And so on, from task to task.
      deepStrictEqual(scopeOfTask(task), task);
    }),
  );
});

test('what is no time is no limit', () => {
  fc.assert(
    fc.property(fc.double(), tag, (timeout_ms, tag) => {
      const scope = newScope({ options: fromDispatch({ timeout_ms, tag }) });
      const { timeoutMs, tag: given } = termsOf(undefined, scope);
      const isTime = timeout_ms > 0 && timeout_ms < Number.POSITIVE_INFINITY;
      deepStrictEqual(timeoutMs, isTime ? timeout_ms : undefined);
      deepStrictEqual(given, tag);
    }),
    {
      examples: [
        [Number.NaN, ''],
        [-1, 'a'],
        [0, ''],
        [Number.POSITIVE_INFINITY, 'b'],
        [1e300, ''],
      ],
    },
  );
});
