/** Calls over a transport that loses, repeats, cuts and overtakes packets. */
import { ok } from 'node:assert/strict';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createActor, fromCallback } from 'xstate';
import { Admission } from '../../src/actors/admission.ts';
import { PoolProxy } from '../../src/actors/proxy.ts';
import { Session } from '../../src/actors/session.ts';
import { roundRobin } from '../../src/balancing/policies.ts';
import { processHome } from '../../src/context/home.ts';
import { type Env, systemEnv } from '../../src/env.ts';
import { WorkerLost } from '../../src/errors.ts';
import { decode } from '../../src/routine/outcome.ts';
import type { RegisteredRoutine } from '../../src/routine/registry.ts';
import { defaultLimits } from '../../src/transport/link.ts';
import { memoryTransport } from '../../src/transport/memory.ts';
import type { Channel } from '../../src/transport/transport.ts';
import { encodeArgs } from '../../src/wire/value.ts';
import { LIMITS } from './traffic.ts';
import { fates, harmful, harmless, Weather, whole } from './weather.ts';

const MODULE = 'file:///routines.js';
/** A hundred times as fast: the pause after a lost link is short. */
const env: Env = { ...systemEnv, timer: (ms, fn) => systemEnv.timer(ms / 100, fn) };
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The channel, in this weather. */
function exposed(channel: Channel, weather: Weather): Channel {
  const fault = weather.fault();
  return {
    remote: channel.remote,
    open: (handlers) => {
      let open = true;
      channel.open({
        packet: (packet) => {
          for (const one of fault(packet)) if (open) handlers.packet(one);
        },
        drain: () => handlers.drain(),
        closed: (reason) => {
          open = false;
          handlers.closed(reason);
        },
      });
    },
    send: (packet, released) => channel.send(packet, released),
    pause: () => channel.pause(),
    resume: () => channel.resume(),
    close: (reason) => channel.close(reason),
  };
}

/** A caller and a worker. */
async function meet(weather: Weather, attempts = 1) {
  const ran = new Map<number, number>();
  const admission = new Admission();
  const root = createActor(fromCallback(() => {})).start();
  const shared = { env, limits: { ...defaultLimits, ...LIMITS } };
  const inner = memoryTransport(env);
  const count: RegisteredRoutine = {
    module: MODULE,
    name: 'count',
    generator: false,
    fn: async (which: number, size: Uint8Array) => {
      ran.set(which, (ran.get(which) ?? 0) + 1);
      await turn();
      return [which, size];
    },
    site: { module: MODULE, line: 1, column: 1 },
  };
  await inner.listen('memory://worker', {
    link: (channel) => {
      new Session(root, exposed(channel, weather), {
        ...shared,
        uid: 'worker',
        resolve: () => count,
        dispatcher: { home: processHome, strictContext: false } as never,
        admission,
        callerLostAfterMs: Number.POSITIVE_INFINITY,
        exposeStacks: true,
        takePlace: () => true,
        freePlace: () => {},
        closed: () => {},
      });
    },
    stop: async () => {},
    status: () => ({ uid: 'worker', inFlight: 0, idleMs: 0, draining: false, uptimeMs: 0 }),
  });
  const transport = {
    ...inner,
    connect: (address: string) => exposed(inner.connect(address), weather),
  };
  const options = {
    ...shared,
    transports: [transport],
    policy: roundRobin(),
    maxQueue: 1_000,
    lostAfterMs: Number.POSITIVE_INFINITY,
  };
  const proxy = new PoolProxy(root, options);
  proxy.send({ type: 'added', worker: { uid: 'worker', address: 'memory://worker', tags: [] } });
  const request = {
    routine: { module: MODULE, name: 'count', key: `${MODULE}#count` },
    generator: false,
    attempts,
    timeoutMs: undefined,
    tag: '',
    caller: '',
    signal: undefined,
  };
  const call = async (which: number, bytes: number) =>
    decode(await proxy.call(request, encodeArgs([which, new Uint8Array(bytes)]))) as unknown[];
  return { proxy, ran, call };
}

const weathers = fates(
  { weight: 30, arbitrary: whole },
  { weight: 3, arbitrary: harmless },
  { weight: 1, arbitrary: harmful },
);
// The larger ones take chunks.
const sizes = fc.array(fc.constantFrom(0, 10, 100, 1_000), {
  minLength: 1,
  maxLength: 40,
  size: 'max',
});

/** Makes a call of each size, some turns apart, and waits until all have ended. */
async function settle(
  sizes: readonly number[],
  call: (which: number, bytes: number) => Promise<unknown[]>,
  weather: Weather,
) {
  let over = false;
  const calls = Promise.allSettled(
    sizes.map(async (size, which) => {
      for (let i = 0; i < which; i += 1) await turn();
      return call(which, size);
    }),
  ).finally(() => {
    over = true;
  });
  for (let i = 0; i < sizes.length + 20; i += 1) await turn();
  weather.end();
  // What was lost last shows when something follows.
  while (!over) await call(-1, 0).catch(() => {});
  return await calls;
}

test('each call ends: its body ran once and it has the result, or it is told that it is lost', async () => {
  const count = { lost: 0, ended: 0, duplicates: 0 };
  await fc.assert(
    fc.asyncProperty(sizes, weathers, async (sizes, fates) => {
      const weather = new Weather(fates);
      const { proxy, ran, call } = await meet(weather);
      const outcomes = await settle(sizes, call, weather);
      for (const [which, outcome] of outcomes.entries()) {
        count.ended += 1;
        const times = ran.get(which) ?? 0;
        ok(times <= 1, `call ${which} ran ${times} times`);
        if (outcome.status === 'fulfilled') {
          expect(times).toBe(1);
          const [number, bytes] = outcome.value as [number, Uint8Array];
          expect([number, bytes.length]).toEqual([which, sizes[which]]);
        } else {
          expect(outcome.reason).toBeInstanceOf(WorkerLost);
          expect(weather.harmed).toBe(true);
          count.lost += 1;
        }
      }
      count.duplicates += proxy.stats.duplicateEnvelopes;
      expect(proxy.stats).toMatchObject({ waiting: 0, deadlines: 0 });
      proxy.send({ type: 'abort', error: new Error('closed') });
    }),
    { numRuns: 100 },
  );
  expect(count.lost).toBeGreaterThan(20);
  expect(count.ended - count.lost).toBeGreaterThan(200);
  expect(count.duplicates).toBeGreaterThan(20);
});

test('each call of an idempotent routine has its result in the end, on the same worker', async () => {
  let again = 0;
  await fc.assert(
    fc.asyncProperty(sizes, weathers, async (sizes, fates) => {
      const weather = new Weather(fates);
      const { proxy, ran, call } = await meet(weather, 1_000);
      const outcomes = await settle(sizes, call, weather);
      for (const [which, outcome] of outcomes.entries()) {
        expect(outcome).toMatchObject({ status: 'fulfilled', value: [which, expect.anything()] });
        again += (ran.get(which) as number) - 1;
      }
      proxy.send({ type: 'abort', error: new Error('closed') });
    }),
    { numRuns: 100 },
  );
  expect(again).toBeGreaterThan(20);
});
