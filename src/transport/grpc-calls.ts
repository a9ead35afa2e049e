/** The gRPC calls of a worker that are not links: Stop, Status, and the standard health check. */
import { type Server, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { PbfReader, PbfWriter } from 'pbf';
import { readStopRequest, writeStatusReply } from '../wire/generated/worker.js';
import { toAbout } from './about.ts';
import { identity } from './grpc-channel.ts';
import { HEALTH_PATH } from './grpc-guard.ts';
import type { ListenerService } from './transport.ts';

const WORKER = 'skein.v1.Worker';
const EMPTY = Buffer.alloc(0);

/** `grpc.health.v1.HealthCheckResponse`: its field 1 is the status, 1 for SERVING, 2 for NOT_SERVING. */
const SERVING = Buffer.of(0x08, 1);
const NOT_SERVING = Buffer.of(0x08, 2);

type Unary<Request> = (
  call: ServerUnaryCall<Request, Buffer>,
  reply: sendUnaryData<Buffer>,
) => void;

/**
 * The health service has no Watch and no List. Without a handler grpc-js answers UNIMPLEMENTED, which
 * tells a watching client to ask with Check, as the health protocol has it.
 */
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

  register(HEALTH_PATH, readHealthCheckRequest, ({ request }, reply) => {
    if (request.service !== '' && request.service !== WORKER) {
      reply({ code: status.NOT_FOUND, details: `There is no service ${request.service} here.` });
      return;
    }
    reply(null, service.status().draining ? NOT_SERVING : SERVING);
  });
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

/** `grpc.health.v1.HealthCheckRequest`: its field 1 is the name of the service, empty for all. */
function readHealthCheckRequest(bytes: Buffer): { service: string } {
  const reader = new PbfReader(bytes);
  let service = '';
  for (let field = reader.nextField(); field !== 0; field = reader.nextField()) {
    if (field === 1) service = reader.readString();
  }
  return { service };
}
