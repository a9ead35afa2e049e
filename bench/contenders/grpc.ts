/** grpc-js without a runtime on top: what gRPC in Node can do. */
import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { Child } from '../ipc.ts';
import type { Contender, Socket } from './contender.ts';
import {
  channelOptions,
  largeBytes,
  type Pair,
  pieceBytes,
  service,
  type Tuning,
} from './grpc-protocol.ts';

async function connect(socket: Socket, tuning: Tuning): Promise<Client> {
  type Server = { address(): string };
  const server = await Child.start<Server>(
    `the grpc server (${socket})`,
    new URL('./grpc-server.js', import.meta.url),
    [socket, tuning],
  );
  const address = await server.call('address', []);
  return new Client(address, credentials.createInsecure(), channelOptions(tuning));
}

/** One call, one unary RPC, with protobuf messages. */
export async function openUnary(socket: Socket): Promise<Contender> {
  const client = await connect(socket, 'tuned');
  const { path, requestSerialize, responseDeserialize } = service.add;
  const add = (pair: Pair): Promise<number> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, pair, (error, sum) =>
        error ? reject(error) : resolve(sum!),
      );
    });
  return { call: () => add({ x: 1, y: 2 }) };
}

type Bytes = ClientDuplexStream<Buffer, Buffer>;

function open(
  client: Client,
  { path, requestSerialize, responseDeserialize }: typeof service.echo | typeof service.swallow,
): Bytes {
  return client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
}

/** Messages on one stream, which come back in order; each is a message of its own. */
function pingPong(stream: Bytes): () => Promise<unknown> {
  const message = Buffer.alloc(16, 1);
  // A queue without Array.shift, which costs at thousands in flight.
  let arriving: ((message: Buffer) => void)[] = [];
  let taken = 0;
  stream.on('data', (reply: Buffer) => {
    arriving[taken++]!(reply);
    if (taken > 8192) {
      arriving = arriving.slice(taken);
      taken = 0;
    }
  });
  return () =>
    new Promise((resolve) => {
      arriving.push(resolve);
      stream.write(message);
    });
}

export async function openStream(socket: Socket): Promise<Contender> {
  const client = await connect(socket, 'tuned');
  return { call: pingPong(open(client, service.echo)) };
}

/** Sends the large value in pieces, one message each, and waits until all have arrived. */
async function sendLarge(stream: Bytes, value: Buffer): Promise<void> {
  const arrived = new Promise((resolve) => stream.once('data', resolve));
  for (let at = 0; at < largeBytes; at += pieceBytes) {
    if (!stream.write(value.subarray(at, at + pieceBytes))) {
      await new Promise((resolve) => stream.once('drain', resolve));
    }
  }
  await arrived;
}

/** Large values on one stream, small messages on another, on one connection. */
export async function openLarge(
  socket: Socket,
  tuning: Tuning,
): Promise<{ small(): Promise<unknown>; large(): Promise<unknown> }> {
  const client = await connect(socket, tuning);
  const stream = open(client, service.swallow);
  const value = Buffer.alloc(largeBytes, 7);
  return {
    small: pingPong(open(client, service.echo)),
    large: () => sendLarge(stream, value),
  };
}
