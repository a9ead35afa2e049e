/** The oracle of context variables by itself, on the random scripts that it is asked about. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { scripts } from '../context/arbitrary.ts';
import { oracle } from '../context/oracle.ts';
import { traceOf } from '../context/run.ts';

/** Parts of lines that must be met often: what there is to know about a rule. */
const MET = [
  ': ok',
  ': TypeError',
  ': TokenUsedError',
  ': TokenVariableError',
  ': TokenChainError',
  ': ChainContention',
  ' failed',
  ' yielded',
  'ended with AbortError',
  'ended early',
  'caught',
];

test('scripts end, with the same trace each time, and meet all outcomes', async () => {
  const met = new Map(MET.map((part) => [part, 0]));
  const property = fc.asyncProperty(scripts, async (script) => {
    const once = await traceOf(script, oracle());
    const again = await traceOf(script, oracle());
    const unnamed = (line: string) => line.replace(/<.*>/, '<>');
    expect(again.map(unnamed)).toEqual(once.map(unnamed));
    for (const [part, count] of met) {
      if (once.some((line) => line.includes(part))) met.set(part, count + 1);
    }
  });
  await fc.assert(property, { numRuns: 2_000 });
  for (const [part, count] of met) expect(count, part).toBeGreaterThan(10);
});

test('no script uses a token twice', async () => {
  const property = fc.asyncProperty(scripts, async (script) => {
    const world = oracle();
    await traceOf(script, world);
    expect(new Set(world.accepted).size).toBe(world.accepted.length);
  });
  await fc.assert(property, { numRuns: 1_000 });
});
