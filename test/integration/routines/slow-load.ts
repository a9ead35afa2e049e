/** Takes its time to load, and says when it begins. */
import { appendFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isWorker, routine } from '../../../src/index.ts';

export const late = routine(() => process.pid);

const { SKEIN_TEST_TRACE } = process.env;
if (isWorker && SKEIN_TEST_TRACE) {
  appendFileSync(SKEIN_TEST_TRACE, `loading ${process.pid}\n`);
  await delay(300);
}
