import { setTimeout as delay } from 'node:timers/promises';
import { routine } from '../../../src/index.ts';

export const early = routine(() => value);

await delay(100);

// Not to be seen before.
const value = 'loaded';
