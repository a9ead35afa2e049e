/** The oracle of context variables keeps the rules: each is a row, which is also an example of it. */
import { expect, test } from 'vitest';
import { ChainNames } from '../../context/compare.ts';
import { oracle } from '../../context/oracle.ts';
import { ROWS } from '../../context/rows.ts';
import { traceOf } from '../../context/run.ts';

test.each(ROWS)('$what', async ({ script, trace }) => {
  const names = new ChainNames();
  const lines = (await traceOf(script, oracle())).map((line) => names.in(line));
  const expected = trace.split('\n').slice(1);
  expect(lines).toEqual(expected.map((line) => line.slice('      '.length)));
});
