/** What the memory transport promises beyond the cases of test/integration/transport.test.ts. */
import { expect, test } from 'vitest';
import { type Env, systemEnv } from '../../src/env.ts';
import { memoryTransport } from '../../src/transport/memory.ts';
import type { Channel, ListenerService } from '../../src/transport/transport.ts';

interface ManualEnv extends Env {
  readonly timers: { ms: number; fn: () => void }[];
  /** Runs all turns, those too that come up meanwhile. */
  run(): void;
}

/** An Env whose turns and timers come when the test says so. */
function manualEnv(): ManualEnv {
  const timers: ManualEnv['timers'] = [];
  const turns: (() => void)[] = [];
  return {
    ...systemEnv,
    timers,
    timer: (ms, fn) => {
      const timer = { ms, fn };
      timers.push(timer);
      return { cancel: () => timers.splice(timers.indexOf(timer), 1) };
    },
    soon: (fn) => turns.push(fn),
    turn: (fn) => turns.push(fn),
    run: () => {
      while (turns.length > 0) for (const fn of turns.splice(0)) fn();
    },
  };
}

function record(channel: Channel, log: string[], name: string): Channel {
  channel.open({
    packet: (bytes) => log.push(`${name} got ${bytes}`),
    drain: () => log.push(`${name} may send`),
    closed: ({ code }) => log.push(`${name} ${code}`),
  });
  return channel;
}

function serviceOf(link: (channel: Channel) => void): ListenerService {
  const status = () => ({ uid: 'w', inFlight: 0, idleMs: 0, draining: false, uptimeMs: 0 });
  return { link, stop: async () => {}, status };
}

test('nothing happens but on a turn of the Env', async () => {
  const env = manualEnv();
  const log: string[] = [];
  const transport = memoryTransport(env);
  const service = serviceOf((channel) => record(channel, log, 'worker').send(Buffer.from('hi')));
  await transport.listen('memory://w', service);
  const caller = record(transport.connect('memory://w'), log, 'caller');
  caller.send(Buffer.from('a'));
  caller.send(Buffer.from('b'));
  expect(log).toEqual([]);
  env.run();
  expect(log.sort()).toEqual(['caller got hi', 'worker got a', 'worker got b']);
  log.length = 0;

  caller.send(Buffer.from('c'));
  caller.close({ code: 'closed', message: 'done' });
  expect(log).toEqual([]);
  env.run();
  expect(log).toEqual(['worker got c', 'worker closed', 'caller closed']);
  expect(env.timers).toEqual([]);
});

test('a closing side waits for the other only so long', async () => {
  const env = manualEnv();
  const log: string[] = [];
  const transport = memoryTransport(env);
  await transport.listen(
    'memory://w',
    serviceOf((channel) => record(channel, log, 'worker').pause()),
  );
  const caller = record(transport.connect('memory://w'), log, 'caller');
  caller.send(Buffer.from('a'));
  caller.close({ code: 'closed', message: 'done' });
  env.run();
  expect(log).toEqual([]);
  expect(env.timers.map(({ ms }) => ms)).toEqual([2000]);
  env.timers[0]?.fn();
  expect(log).toEqual(['caller closed', 'worker lost']);
});

test('each transport is a network of its own', async () => {
  const env = manualEnv();
  const log: string[] = [];
  await memoryTransport(env).listen(
    'memory://w',
    serviceOf(() => log.push('reached')),
  );
  record(memoryTransport(env).connect('memory://w'), log, 'caller');
  env.run();
  expect(log).toEqual(['caller unreachable']);
});
