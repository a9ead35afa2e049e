/** A process to be killed: one end of a channel, for transport.test.ts. */
import { natsTransport } from '../../src/nats/transport.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import type { ChannelHandlers } from '../../src/transport/transport.ts';

const [role, address, servers] = process.argv.slice(2) as ['listen' | 'connect', string, string];
const transport = address.startsWith('nats:') ? natsTransport({ servers }) : grpcTransport();
const tell = (message: string) => process.send?.(message);

const handlers = (greet: () => void): ChannelHandlers => ({
  packet: greet,
  drain: () => {},
  closed: ({ code }) => tell(`closed ${code}`),
});

if (role === 'listen') {
  const listener = await transport.listen(address, {
    link: (channel) => channel.open(handlers(() => channel.send(Buffer.from('hello')))),
    stop: async () => {},
    status: () => ({ uid: 'child', inFlight: 0, idleMs: 0, draining: false, uptimeMs: 0 }),
  });
  tell(listener.address);
} else {
  const channel = transport.connect(address);
  channel.open(handlers(() => {}));
  channel.send(Buffer.from('hello'));
}
process.on('disconnect', () => process.exit());
