/** Over NATS: the client's own request/reply, and skein. */
import { connect } from '@nats-io/transport-node';
import { WorkerPool } from 'skein';
import { natsTransport } from 'skein/nats';
import { Child } from '../ipc.ts';
import { add } from '../routines.ts';
import type { Contender } from './contender.ts';
import { type NatsContender, REQUEST, SKEIN } from './nats-names.ts';

export async function openNats(name: NatsContender, servers: string): Promise<Contender> {
  switch (name) {
    case SKEIN:
      await WorkerPool.open({ size: 1, transport: natsTransport({ servers }) });
      return { call: () => add(1, 2) };
    case 'skein, TCP':
      await WorkerPool.open({ size: 1, transport: 'tcp' });
      return { call: () => add(1, 2) };
    case REQUEST:
      return await openRequests(servers);
    default:
      throw new Error(`unknown contender: ${name satisfies never}`);
  }
}

async function openRequests(servers: string): Promise<Contender> {
  await Child.start('the responder', new URL('./nats-responder.js', import.meta.url), [servers]);
  const connection = await connect({ servers });
  const message = Buffer.alloc(16, 1);
  return { call: () => connection.request('add', message, { timeout: 30_000 }) };
}
