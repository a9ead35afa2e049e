/** Links over gRPC, on TCP (`tcp://host:port`) and on Unix sockets (`unix:///path`). */
import { type ChannelCredentials, credentials, ServerCredentials } from '@grpc/grpc-js';
import { ClientChannel } from './grpc-client.ts';
import { serveGrpc } from './grpc-server.ts';
import type { Transport } from './transport.ts';

/** How the two ends show who they are. */
export interface GrpcCredentials {
  readonly client: ChannelCredentials;
  readonly server: ServerCredentials;
}

export interface GrpcOptions {
  /**
   * Largest packet that is taken from a peer, in bytes. One that is larger closes the channel.
   *
   * @default 8 MiB: far more than the envelopes of a link
   */
  readonly maxPacketBytes?: number;
  /**
   * Bytes that may wait to be written before a channel says that it is full.
   *
   * @default 1 MiB: as much as may be on the way to the peer
   */
  readonly maxUnsentBytes?: number;
  /**
   * How long a channel that closes may make no progress before it is cut off, in milliseconds.
   *
   * @default 2000
   */
  readonly closeTimeoutMs?: number;
  /** @default plain text, and whoever reaches the address is let in */
  readonly credentials?: GrpcCredentials;
}

const MiB = 1024 * 1024;

export function grpcTransport(options: GrpcOptions = {}): Transport {
  const limits = {
    maxPacketBytes: options.maxPacketBytes ?? 8 * MiB,
    maxUnsentBytes: options.maxUnsentBytes ?? MiB,
    closeTimeoutMs: options.closeTimeoutMs ?? 2000,
  };
  const common = {
    'grpc.max_send_message_length': -1,
    // Bounds what an endless message can make this side hold. grpc-js tells the server's end nothing
    // of a breach, so the limit that gives the reason is the channel's own, and this one is above it.
    'grpc.max_receive_message_length': 2 * limits.maxPacketBytes,
    'grpc-node.flow_control_window': MiB,
    'grpc.enable_channelz': 0,
  };
  const client = {
    limits,
    credentials: options.credentials?.client ?? credentials.createInsecure(),
    options: {
      ...common,
      // A channel's connection is its own: it shares no fate and no backoff with another's.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.service_config_disable_resolution': 1,
      'grpc.enable_http_proxy': 0,
    },
  };
  const server = {
    limits,
    credentials: options.credentials?.server ?? ServerCredentials.createInsecure(),
    options: common,
  };
  return {
    schemes: ['tcp', 'unix'],
    connect: (address) => new ClientChannel(address, client),
    listen: (address, service) => serveGrpc(address, service, server),
  };
}
