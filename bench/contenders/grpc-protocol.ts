/** The service that the bare grpc-js contenders speak. */
import type { ChannelOptions, ServiceDefinition } from '@grpc/grpc-js';
import { PbfReader, PbfWriter } from 'pbf';

/** message Pair { int32 x = 1; int32 y = 2; } */
export interface Pair {
  x: number;
  y: number;
}

function encodePair({ x, y }: Pair): Buffer {
  const writer = new PbfWriter();
  writer.writeVarintField(1, x);
  writer.writeVarintField(2, y);
  return asBuffer(writer.finish());
}

function decodePair(bytes: Buffer): Pair {
  return new PbfReader(bytes).readFields(
    (tag, pair: Pair, reader) => {
      if (tag === 1) pair.x = reader.readVarint();
      else if (tag === 2) pair.y = reader.readVarint();
    },
    { x: 0, y: 0 },
  );
}

/** message Sum { int32 value = 1; } */
function encodeSum(value: number): Buffer {
  const writer = new PbfWriter();
  writer.writeVarintField(1, value);
  return asBuffer(writer.finish());
}

function decodeSum(bytes: Buffer): number {
  const sum = { value: 0 };
  new PbfReader(bytes).readFields((tag, into: typeof sum, reader) => {
    if (tag === 1) into.value = reader.readVarint();
  }, sum);
  return sum.value;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const same = (bytes: Buffer): Buffer => bytes;

const stream = {
  requestStream: true,
  responseStream: true,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
} as const;

export const service = {
  /** One call, one stream. */
  add: {
    path: '/bench.Bench/Add',
    requestStream: false,
    responseStream: false,
    requestSerialize: encodePair,
    requestDeserialize: decodePair,
    responseSerialize: encodeSum,
    responseDeserialize: decodeSum,
  },
  /** Each message comes back as it is. */
  echo: { path: '/bench.Bench/Echo', ...stream },
  /** A message of zero bytes comes back when as many bytes have arrived as `largeBytes` says. */
  swallow: { path: '/bench.Bench/Swallow', ...stream },
} satisfies ServiceDefinition;

export const MiB = 1 << 20;
/** The large value, and the messages that the bare stream cuts it into. */
export const largeBytes = 64 * MiB;
export const pieceBytes = 256 * 1024;

/** Options of a connection: grpc-js as it comes, or as skein's transport sets it up, on both sides. */
export type Tuning = 'defaults' | 'tuned';

export function channelOptions(tuning: Tuning): ChannelOptions {
  if (tuning === 'defaults') return {};
  return { 'grpc-node.flow_control_window': MiB, 'grpc.enable_channelz': 0 };
}
