/** Words of peers in logs: in one line, without what a terminal obeys, and not without an end. */
import { expect, test, vi } from 'vitest';
import { systemEnv } from '../../src/env.ts';
import type { TaskScope } from '../../src/routine/task.ts';
import { warnSerialization } from '../../src/wire/warning.ts';
import { Authorizer } from '../../src/worker/authorize.ts';

const HOSTILE = 'my-app/a\n2026-01-01 all is well\u001b[2J\u202e#run';

test('the routine of a task that is refused', () => {
  const said: string[] = [];
  const options = { env: systemEnv, warn: (message: string) => said.push(message) };
  const peer = { names: ['spiffe://a\u001b[1m'], subject: '', fingerprint: '' };
  const task = { routine: HOSTILE } as TaskScope;
  for (const hook of [
    () => false,
    () => {
      throw new Error('no');
    },
  ]) {
    expect(() => new Authorizer(hook, options).permits(peer, task)).toThrow('does not let');
  }
  expect(said).toHaveLength(2);
  for (const line of said) {
    expect(line).toContain('all is well');
    expect(line).not.toMatch(/\p{Cc}|\u202e/u);
  }
});

test('the name of a context variable, and of thousands of them', () => {
  const emit = vi.spyOn(process, 'emitWarning').mockReturnValue();
  for (let i = 0; i < 3_000; i += 1) {
    warnSerialization(`the value of the context variable ${HOSTILE} ${i} ${'x'.repeat(5_000)}`);
  }
  const warnings = emit.mock.calls.map(([message]) => String(message));
  expect(warnings.at(-1)).toContain('nothing more is said');
  expect(warnings.length).toBeLessThanOrEqual(1_001);
  for (const line of warnings) {
    expect(line).not.toMatch(/\p{Cc}|\u202e/u);
    expect(line.length).toBeLessThan(2_010);
  }
});
