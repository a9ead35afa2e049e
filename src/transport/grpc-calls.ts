/** The gRPC calls of a worker that are not links: Stop, Status, and the standard health check. */
import { type Server, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { PbfReader, PbfWriter } from 'pbf';
import { readStopRequest, writeStatusReply } from '../wire/generated/worker.js';
import { toAbout } from './about.ts';
import { identity } from './grpc-channel.ts';
import { registerHealth } from './grpc-health.ts';
import type { ListenerService } from './transport.ts';

const WORKER = 'skein.v1.Worker';
const EMPTY = Buffer.alloc(0);

type Unary<Request> = (
  call: ServerUnaryCall<Request, Buffer>,
  reply: sendUnaryData<Buffer>,
) => void;

export function registerCalls(server: Server, service: ListenerService): void {
  // Requests are objects: grpc-js takes one that is falsy for none.
  const register = <Request extends object>(
    path: string,
    read: (bytes: Buffer) => Request,
    handler: Unary<Request>,
  ) => server.register(path, handler, identity, read, 'unary');

  register(`/${WORKER}/Stop`, readStop, ({ request }, reply) => {
    if (request.graceMs !== undefined && !(request.graceMs >= 0)) {
      reply({ code: status.INVALID_ARGUMENT, details: 'grace_ms must not be negative.' });
      return;
    }
    service.stop(request.graceMs).then(
      () => reply(null, EMPTY),
      (error: unknown) => reply({ code: status.INTERNAL, details: `The stop failed: ${error}` }),
    );
  });

  register(
    `/${WORKER}/Status`,
    () => ({}),
    (_call, reply) => reply(null, statusReply(service)),
  );

  registerHealth(server, WORKER, () => !service.status().draining);
}

function readStop(bytes: Buffer): { graceMs: number | undefined } {
  const request = readStopRequest(new PbfReader(bytes));
  return { graceMs: request._grace_ms === undefined ? undefined : request.grace_ms };
}

function statusReply(service: ListenerService): Buffer {
  const { uid, inFlight, idleMs, draining, uptimeMs, about } = service.status();
  const writer = new PbfWriter();
  const reply = {
    uid,
    in_flight: inFlight,
    idle_ms: idleMs,
    draining,
    about: about && toAbout(about),
    uptime_ms: uptimeMs,
  };
  writeStatusReply(reply, writer);
  return Buffer.from(writer.finish());
}
