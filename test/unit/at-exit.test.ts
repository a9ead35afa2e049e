import { expect, test } from 'vitest';
import { atExit } from '../../src/worker/at-exit.ts';

test('many duties at the end of the process are one listener, and none when they are over', () => {
  const before = process.listenerCount('exit');
  const done: number[] = [];
  const undo = Array.from({ length: 20 }, (_, i) => atExit(() => done.push(i)));
  expect(process.listenerCount('exit')).toBe(before + 1);
  const listener = process.listeners('exit').at(-1) as () => void;
  undo[3]?.();
  listener();
  expect(done).toEqual([...Array(20).keys()].filter((i) => i !== 3));
  for (const each of undo) each();
  expect(process.listenerCount('exit')).toBe(before);
});
