/** The caller's end of the gRPC calls of a worker that are not links. */
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { WorkerUnreachable } from '../errors.ts';
import { type Address, parseAddress } from './address.ts';
import { identity } from './grpc-channel.ts';
import { connectProblem, grpcTarget } from './grpc-client.ts';

export interface UnaryOptions {
  /** The answer must have come after so many milliseconds. Default: it may take as long as it likes. */
  readonly timeoutMs?: number | undefined;
}

/** Node's timers fire at once beyond that. */
const LONGEST_TIMER_MS = 0x7fffffff;

/**
 * Calls a method of the worker at an address, on a connection of its own.
 *
 * @throws TypeError when the address is none
 * @throws WorkerUnreachable when there is no answer; the cause is what gRPC says
 */
export async function callWorker(
  text: string,
  path: string,
  request: Buffer,
  { timeoutMs = Number.POSITIVE_INFINITY }: UnaryOptions = {},
): Promise<Buffer> {
  const address: Address = parseAddress(text);
  const client = new Client(grpcTarget(address), credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_http_proxy': 0,
  });
  let late = false;
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      const call = client.makeUnaryRequest(path, identity, identity, request, (error, reply) => {
        if (error === null) return resolve(reply as Buffer);
        const why = late ? `it gave no answer within ${timeoutMs} ms` : problem(error);
        const message = `No worker answers at ${text}: ${why}.`;
        reject(new WorkerUnreachable(message, { address: text, cause: error }));
      });
      if (timeoutMs > LONGEST_TIMER_MS) return;
      timer = setTimeout(() => {
        late = true;
        call.cancel();
      }, timeoutMs);
    });
  } finally {
    clearTimeout(timer);
    client.close();
  }
}

function problem(error: ServiceError): string {
  if (error.code === status.UNAVAILABLE || error.code === status.UNIMPLEMENTED) {
    return connectProblem(error);
  }
  return error.details.replace(/\.$/, '');
}
