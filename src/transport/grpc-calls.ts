/** The gRPC calls of a worker that are not links: Stop, Status, and the standard health check. */
import { type Server, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { hidePaths } from '../security/paths.ts';
import { plain } from '../wire/plain.ts';
import { answerCall } from './answers.ts';
import { identity, small } from './grpc-channel.ts';
import { registerHealth } from './grpc-health.ts';
import type { ListenerService, WorkerMethod } from './transport.ts';

const WORKER = 'skein.v1.Worker';
/** Characters: HTTP/2 has no room for many more. */
const MAX_DETAILS = 1_000;

export const METHOD_PATHS: Readonly<Record<WorkerMethod, string>> = {
  stop: `/${WORKER}/Stop`,
  status: `/${WORKER}/Status`,
};

export function registerCalls(server: Server, service: ListenerService): void {
  const register = (method: WorkerMethod, failure: string) => {
    const handler = (
      { request }: ServerUnaryCall<{ bytes: Buffer }, Buffer>,
      reply: sendUnaryData<Buffer>,
    ) => {
      answerCall(service, method, request.bytes).then(
        (answer) => reply(null, Buffer.from(answer)),
        (error: unknown) => {
          if (error instanceof RangeError) {
            reply({ code: status.INVALID_ARGUMENT, details: error.message });
          } else
            reply({
              code: status.INTERNAL,
              details: plain(hidePaths(`${failure}: ${error}`), MAX_DETAILS),
            });
        },
      );
    };
    // Requests are objects: grpc-js takes one that is falsy for none.
    const read = (bytes: Buffer) => ({ bytes: small(bytes) });
    server.register(METHOD_PATHS[method], handler, identity, read, 'unary');
  };
  register('stop', 'The stop failed');
  register('status', 'The status is not known');
  registerHealth(server, WORKER, () => !service.status().draining);
}
