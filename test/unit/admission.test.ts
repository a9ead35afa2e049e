import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Admission } from '../../src/actors/admission.ts';

/** As many callers as are remembered after their links have ended, come and go. */
function passBy(admission: Admission, callers: number): void {
  for (let i = 0; i < callers; i += 1) {
    const epoch = `passing ${i}`;
    admission.open(epoch);
    admission.admit(epoch, 1);
    admission.close(epoch);
  }
}

test('a number is admitted once, and those below it no more', () => {
  const admission = new Admission();
  admission.open('a');
  admission.open('b');
  expect([1, 1, 5, 3, 5, 6].map((call) => admission.admit('a', call))).toEqual([
    true,
    false,
    true,
    false,
    false,
    true,
  ]);
  expect(admission.admit('b', 1)).toBe(true);
});

test('a caller is known when it comes again', () => {
  const admission = new Admission();
  admission.open('a');
  admission.admit('a', 7);
  admission.close('a');
  expect(admission.admit('a', 8)).toBe(false);
  admission.open('a');
  expect(admission.admit('a', 7)).toBe(false);
  expect(admission.admit('a', 8)).toBe(true);
});

test('a caller with a link is never forgotten, however many come after it', () => {
  const admission = new Admission();
  admission.open('a');
  admission.open('a');
  admission.admit('a', 7);
  passBy(admission, 5_000);
  // One of its two links has ended.
  admission.close('a');
  passBy(admission, 5_000);
  expect(admission.admit('a', 7)).toBe(false);
  // From now on it may be forgotten, after all those that left before it.
  admission.close('a');
  passBy(admission, 4_095);
  admission.open('a');
  expect(admission.admit('a', 7)).toBe(false);
});

test('callers that have left do not pile up, and those that never called leave nothing', () => {
  const admission = new Admission();
  passBy(admission, 10_000);
  expect(admission.size).toBe(4_096);
  const quiet = new Admission();
  quiet.open('a');
  quiet.close('a');
  expect(quiet.size).toBe(0);
});

const epoch = fc.constantFrom('a', 'b', 'c');
const action = fc.oneof(
  fc.record({ type: fc.constant('open' as const), epoch }),
  fc.record({ type: fc.constant('close' as const), epoch }),
  fc.record({ type: fc.constant('admit' as const), epoch, call: fc.integer({ min: 1, max: 8 }) }),
);

test('whatever is offered when, no number is admitted twice, and rising ones always are', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const admission = new Admission();
      const links = new Map<string, number>();
      const highest = new Map<string, number>();
      for (const { epoch, ...rest } of actions) {
        const open = links.get(epoch) ?? 0;
        if (rest.type === 'open') {
          admission.open(epoch);
          links.set(epoch, open + 1);
        } else if (rest.type === 'close') {
          if (open === 0) continue;
          admission.close(epoch);
          links.set(epoch, open - 1);
        } else {
          const last = highest.get(epoch) ?? 0;
          const admitted = admission.admit(epoch, rest.call);
          expect(admitted).toBe(open > 0 && rest.call > last);
          if (admitted) highest.set(epoch, rest.call);
        }
      }
      expect(admission.size).toBeLessThanOrEqual(3);
    }),
    { numRuns: 1_000 },
  );
});
