/** The caller's end of the gRPC calls of a worker that are not links. */
import { type ServiceError, status } from '@grpc/grpc-js';
import { WorkerUnreachable } from '../errors.ts';
import { type CallerOptions, GrpcCaller, isTrustError } from './grpc-caller.ts';
import { METHOD_PATHS } from './grpc-calls.ts';
import { connectProblem } from './grpc-client.ts';
import type { WorkerMethod } from './transport.ts';

export interface UnaryOptions extends CallerOptions {
  /** The answer must have come after so many milliseconds. Default: it may take as long as it likes. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Calls a method of the worker at an address, on a connection of its own.
 *
 * @throws TypeError when the address or the authkey is none
 * @throws AuthenticationError when the two sides do not trust each other, by authkeys or certificates
 * @throws CredentialsError when there are no credentials to connect with
 * @throws WorkerUnreachable when there is no answer; the cause is what gRPC says
 */
export async function callGrpc(
  address: string,
  method: WorkerMethod,
  request: Uint8Array,
  { timeoutMs, authkey, credentials }: UnaryOptions = {},
): Promise<Buffer> {
  using caller = new GrpcCaller(address, { authkey, credentials });
  try {
    return await caller.unary(METHOD_PATHS[method], request, timeoutMs);
  } catch (cause) {
    if (isTrustError(cause)) throw cause;
    const message = `No worker answers at ${address}: ${problem(cause as ServiceError)}.`;
    throw new WorkerUnreachable(message, { address, cause });
  }
}

function problem(error: ServiceError): string {
  if (error.code === status.UNAVAILABLE || error.code === status.UNIMPLEMENTED) {
    return connectProblem(error);
  }
  return error.details.replace(/\.$/, '');
}
