/**
 * Both directions full at once. A session of HTTP/2 in Node reads nothing while a write of its own
 * waits for the socket: two such sessions would wait for each other for ever.
 */
import { describe, expect, test } from 'vitest';
import { echo, make, next } from './routines/flow.ts';
import { transports, WorkerPool } from './runtime.ts';

const MIB = 1024 * 1024;

describe.each(transports)('over %s', (name, transport) => {
  test('very many calls in flight all end', async () => {
    await using pool = await WorkerPool.open({ size: 1, ...transport });
    const count = name === 'tcp' ? 60_000 : 20_000;
    const results = await pool.run(() =>
      Promise.all(Array.from({ length: count }, (_, i) => next(i))),
    );
    expect(results.every((result, i) => result === i + 1)).toBe(true);
    expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, droppedFrames: 0 });
  });

  test('small calls pass a large result', async () => {
    await using pool = await WorkerPool.open({ size: 1, ...transport });
    await pool.run(async () => {
      let arrived = false;
      const large = Promise.all([make(48 * MIB), make(48 * MIB)]).then(() => {
        arrived = true;
      });
      let passed = 0;
      while (!arrived) passed += (await next(0)) as number;
      await large;
      expect(passed).toBeGreaterThan(20);
    });
  });

  test('large values both ways at once, with many small calls between them, all arrive', async () => {
    await using pool = await WorkerPool.open({ size: 1, ...transport });
    const value = new Uint8Array(4 * MIB).map((_, i) => i % 251);
    let busy = true;
    let small = 0;
    const count = async () => {
      while (busy) small = Math.max(small, await next(small));
    };
    await pool.run(async () => {
      const counting = Promise.all(Array.from({ length: 100 }, count));
      const large = Array.from({ length: 4 }, async () => {
        for (let i = 0; i < 3; i += 1) {
          expect(Buffer.compare(await echo(value), value)).toBe(0);
        }
      });
      await Promise.all(large);
      busy = false;
      await counting;
    });
    expect(small).toBeGreaterThan(0);
    expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, droppedFrames: 0 });
  });
});
