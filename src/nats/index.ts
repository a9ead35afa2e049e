/** `skein/nats`: the runtime over a NATS server or cluster. docs/nats.md tells how. */
export { NatsDiscovery } from './discovery.ts';
export type { NatsOptions, NatsTls } from './options.ts';
export { type NatsTransport, natsTransport } from './transport.ts';
