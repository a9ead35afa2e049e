/** The caller's end of the calls of a worker that are not links, whichever transport carries them. */
import { WorkerUnreachable } from '../errors.ts';
import type { AuthkeyGiven } from '../security/authkey.ts';
import { secretOf } from '../security/own-workers.ts';
import type { CredentialSource } from '../security/source.ts';
import { grpcTransport } from './grpc.ts';
import { noTransport, schemeOf, type Transport, type WorkerMethod } from './transport.ts';

export interface CallWorkerOptions {
  /** The answer must have come after so many milliseconds. Default: it may take as long as it likes. */
  readonly timeoutMs?: number | undefined;
  /** Default: none, or the secret of the pool of this process that has spawned the worker. */
  readonly authkey?: AuthkeyGiven | undefined;
  /** What connections over gRPC are made with. Default: they are not by TLS. */
  readonly credentials?: CredentialSource | undefined;
  /** Serves the address, if gRPC does not. Default: none. */
  readonly transport?: Transport | undefined;
}

/**
 * Calls a method of the worker at an address, on a connection of its own.
 *
 * @throws TypeError when the address or the authkey is none, or no transport serves it
 * @throws AuthenticationError when the two sides do not trust each other, by authkeys or certificates
 * @throws CredentialsError when there are no credentials to connect with
 * @throws WorkerUnreachable when there is no answer; the cause is what the transport says
 */
export async function callWorker(
  address: string,
  method: WorkerMethod,
  request: Uint8Array,
  { timeoutMs, authkey = secretOf(address), credentials, transport }: CallWorkerOptions = {},
): Promise<Uint8Array> {
  const chosen = transportFor(address, transport, credentials);
  const guarded = authkey === undefined ? chosen : chosen.guarded(authkey);
  if (guarded.call === undefined) {
    const message = `The worker at ${address} can't be asked: its transport has no calls.`;
    throw new WorkerUnreachable(message, { address, cause: undefined });
  }
  return await guarded.call(address, method, request, { timeoutMs });
}

/** @throws TypeError when neither serves the address */
function transportFor(
  address: string,
  given: Transport | undefined,
  credentials: CredentialSource | undefined,
): Transport {
  const scheme = schemeOf(address);
  const grpc = grpcTransport({ credentials });
  for (const transport of [given, grpc]) {
    if (transport?.schemes.includes(scheme)) return transport;
  }
  // What gRPC says of an address that is none is clear.
  if (given === undefined && scheme !== 'nats') return grpc;
  throw new TypeError(noTransport(address));
}
