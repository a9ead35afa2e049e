/** Links over gRPC, on TCP (`tcp://host:port`) and on Unix sockets (`unix:///path`). */
import { Authkey, type AuthkeyGiven } from '../security/authkey.ts';
import { defaultPeerLimits, type PeerLimits } from '../security/limits.ts';
import type { CredentialSource } from '../security/source.ts';
import { CLIENT_OPTIONS, ClientChannel } from './grpc-client.ts';
import { serveGrpc } from './grpc-server.ts';
import { callGrpc } from './grpc-unary.ts';
import type { Transport } from './transport.ts';

export interface GrpcOptions {
  /**
   * Largest packet that is taken from a peer, in bytes. One that is larger closes the channel.
   *
   * @default as `limits` says, or 8 MiB: far more than the envelopes of a link
   */
  readonly maxPacketBytes?: number;
  /**
   * What peers may ask for: sizes of packets, links, and connections of strangers. `maxPacketBytes` holds, where it is
   * given.
   *
   * @default the defaults of all limits
   */
  readonly limits?: PeerLimits | undefined;
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
  /**
   * With them all connections are by TLS, as caller and as worker, each made with what they are at its time.
   *
   * @default plain text, and whoever reaches the address is let in
   */
  readonly credentials?: CredentialSource | undefined;
  /** Takes what people should know of a worker's connections: handshakes that fail. Default: nobody does. */
  readonly warn?: ((message: string) => void) | undefined;
  /**
   * A secret that both ends have. Each shows to the other that it does before anything else passes, and
   * it crosses no wire. A link whose other end has another one, or none, closes with `refused`.
   *
   * @default whoever reaches the address is let in
   */
  readonly authkey?: AuthkeyGiven | undefined;
}

const MiB = 1024 * 1024;
/** An envelope that is larger than the limit by no more than this comes to its link, which says Goodbye. */
const BEYOND_BYTES = 64 * 1024;

/** @throws TypeError when the authkey is empty, or no key */
export function grpcTransport(options: GrpcOptions = {}): Transport {
  const authkey = options.authkey === undefined ? undefined : new Authkey(options.authkey);
  const { limits: peerLimits = defaultPeerLimits } = options;
  const most = options.limits ? options.limits.maxEnvelopeBytes + BEYOND_BYTES : 8 * MiB;
  const limits = {
    maxPacketBytes: options.maxPacketBytes ?? most,
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
  const { credentials, warn } = options;
  const client = {
    limits,
    authkey,
    credentials,
    options: { ...common, ...CLIENT_OPTIONS },
  };
  const server = {
    limits,
    authkey,
    credentials,
    warn,
    peerLimits,
    options: {
      ...common,
      // One on which nothing is asked.
      'grpc.max_connection_idle_ms': 2 * peerLimits.strangerMs,
    },
  };
  return {
    schemes: ['tcp', 'unix'],
    anywhere: 'tcp://127.0.0.1:0',
    connect: (address) => new ClientChannel(address, client),
    call: (address, method, request, { timeoutMs } = {}) =>
      callGrpc(address, method, request, { timeoutMs, authkey: options.authkey, credentials }),
    listen: (address, service) => serveGrpc(address, service, server),
    guarded: (authkey) => grpcTransport({ ...options, authkey }),
  };
}
