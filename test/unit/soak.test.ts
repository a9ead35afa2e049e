/** What `npm run soak` prints. */
import { expect, test } from 'vitest';
import { replayLine, replayTrial } from '../../scripts/soak/report.ts';

test.for([
  ['all faults', undefined, 'npm run soak -- --seed 7 --schedules 1'],
  ['some faults', ['crash', 'cut'], 'npm run soak -- --seed 7 --schedules 1 --faults crash,cut'],
  ['no faults', [], 'npm run soak -- --seed 7 --schedules 1 --faults none'],
] as const)('the line that replays a seed with %s', ([, kinds, line]) => {
  expect(replayLine(7, kinds)).toBe(line);
});

test.for(['mutations', 'scripts'] as const)('the line that replays %s', (kind) => {
  expect(replayTrial({ kind, seed: 12, count: 1 })).toBe(`npm run soak -- --seed 12 --${kind} 1`);
});
