/** Large byte arrays whose memory goes elsewhere while they are on their way. */
import { match, ok, strictEqual } from 'node:assert/strict';
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest';
import { SerializationError } from '../../src/index.ts';
import { rejection } from './helpers.ts';
import {
  giveGrown,
  giveMoved,
  neighbour,
  pid,
  size,
  takeSteps,
  yieldMoved,
} from './routines/detached.ts';
import { WorkerPool } from './runtime.ts';

/** More than goes out at once. */
const LARGE = 20_000_000;

function move(bytes: Uint8Array<ArrayBuffer>): void {
  structuredClone(bytes, { transfer: [bytes.buffer] });
}

async function checkLost(call: Promise<unknown>): Promise<void> {
  const error = await rejection(call);
  ok(error instanceof SerializationError, String(error));
  match(error.message, /transferred elsewhere.*before its bytes were sent/);
}

let pool: WorkerPool;
let worker: number;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 1 });
  worker = await pid();
});
afterAll(() => pool.close());

/** The link and the worker are as before, also for values that take as long. */
afterEach(async () => {
  strictEqual(await size(new Uint8Array(LARGE)), LARGE);
  strictEqual(await pid(), worker);
  strictEqual(pool.stats.calls, 0);
});

describe('an argument whose memory goes elsewhere', () => {
  test.each([70_000, LARGE])(
    'in the turn of the call fails that call (%i bytes)',
    async (length) => {
      const bytes = new Uint8Array(length);
      const call = size(bytes);
      const other = size(new Uint8Array(length));
      move(bytes);
      await checkLost(call);
      strictEqual(await other, length);
    },
  );

  test('while it is sent fails that call', async () => {
    const bytes = new Uint8Array(5 * LARGE);
    const call = size(bytes);
    setImmediate(() => setImmediate(() => move(bytes)));
    await checkLost(call);
  });

  test('while it is read fails that call', async () => {
    const bytes = new Uint8Array(LARGE);
    const moving = {
      get now() {
        move(bytes);
        return 1;
      },
    };
    await checkLost(size([bytes, moving] as never));
  });

  test('before the link is there fails that call, and the pool closes', async () => {
    const own = await WorkerPool.open({ size: 1 });
    const bytes = new Uint8Array(70_000);
    const call = own.run(() => size(bytes));
    move(bytes);
    await checkLost(call);
    strictEqual(await own.run(() => size(new Uint8Array(70_000))), 70_000);
    await own.close();
  });

  test('fails a step of a generator', async () => {
    const steps = takeSteps();
    await steps.next();
    const bytes = new Uint8Array(LARGE);
    const step = steps.next(bytes);
    move(bytes);
    await checkLost(step);
  });
});

describe('a result whose memory goes elsewhere before it is sent', () => {
  test('fails its call, and no other', async () => {
    const beside = neighbour();
    strictEqual((await beside.next()).value, 'began');
    await checkLost(giveMoved(5 * LARGE));
    strictEqual((await beside.next()).value, 'went on');
    await beside.return();
  });

  test('or is of WebAssembly memory that grows', () => checkLost(giveGrown(1_600)));

  test('fails a step of a generator', () => checkLost(yieldMoved(5 * LARGE).next()));
});
