/** What stands between callers and workers in `npm run chaos`. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Relay } from '../../chaos/relay.ts';
import { until } from './helpers.ts';

test('a connection that is being ended and is reset then leaves no socket', async () => {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const relay = await Relay.open(1);
  const address = relay.reach(`tcp://127.0.0.1:${port}`);
  const caller = connect(Number(new URL(address).port), '127.0.0.1').on('error', () => {});
  const [worker] = await once(server, 'connection');
  worker.on('error', () => {});
  onTestFinished(() => {
    relay.close();
    caller.destroy();
    worker.destroy();
    server.close();
  });
  caller.write('x');
  // It is through: both sides are connected.
  await once(worker, 'data');
  relay.at(address)?.cut('end');
  // Asked of the operating system, and not answered.
  for (let turns = 0; turns < 2; turns += 1) await new Promise(process.nextTick);
  relay.at(address)?.cut('reset');
  await until(() => expect(relay.sockets).toEqual([]));
});
