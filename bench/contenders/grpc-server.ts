/** The other end of the bare grpc-js contenders: a process of its own. Arguments: socket, tuning. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
} from '@grpc/grpc-js';
import { serve } from '../ipc.ts';
import type { Socket } from './contender.ts';
import { channelOptions, largeBytes, type Pair, service, type Tuning } from './grpc-protocol.ts';

const add: handleUnaryCall<Pair, number> = ({ request }, reply) => {
  reply(null, request.x + request.y);
};

const echo: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  call.on('data', (message: Buffer) => call.write(message));
  call.on('end', () => call.end());
};

const swallow: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  let left = largeBytes;
  call.on('data', (message: Buffer) => {
    left -= message.byteLength;
    if (left > 0) return;
    left = largeBytes;
    call.write(Buffer.alloc(0));
  });
  call.on('end', () => call.end());
};

function listen(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}

function unixAddress(): string {
  const folder = mkdtempSync(join(tmpdir(), 'skein-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return `unix:${join(folder, 'grpc')}`;
}

serve(async ([socket, tuning]) => {
  const server = new Server(channelOptions(tuning as Tuning));
  server.addService(service, { add, echo, swallow });
  let address: string;
  if ((socket as Socket) === 'unix') {
    address = unixAddress();
    await listen(server, address);
  } else {
    address = `127.0.0.1:${await listen(server, '127.0.0.1:0')}`;
  }
  return { address: () => address };
});
