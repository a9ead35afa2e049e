/** A backpressure hook that scripts must not notice. */
import { setTimeout as delay } from 'node:timers/promises';
import { routine } from '../../src/index.ts';
import { variables } from './runtime.ts';

let asked = 0;

/** Refuses each third task, at once or later, and changes the variables that it sees. */
export const eachThird = routine(
  () => {
    asked += 1;
    const refuses = asked % 3 === 0;
    for (const variable of variables) variable.set({ name: 'hook', held: [] });
    return asked % 2 === 0 ? refuses : delay(1).then(() => refuses);
  },
  { name: 'eachThird' },
);
