/** The standard health check, `grpc.health.v1`, as operators' tools ask for it. */
import { type Server, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { PbfReader } from 'pbf';
import { identity, small } from './grpc-channel.ts';
import { HEALTH_PATH } from './grpc-guard.ts';

/** `grpc.health.v1.HealthCheckResponse`: its field 1 is the status, 1 for SERVING, 2 for NOT_SERVING. */
const SERVING = Buffer.of(0x08, 1);
const NOT_SERVING = Buffer.of(0x08, 2);

/**
 * Serves Check, for the server as a whole and for its one service. There is no Watch and no List:
 * without a handler grpc-js answers UNIMPLEMENTED, which tells a watching client to ask with Check, as
 * the health protocol has it.
 */
export function registerHealth(server: Server, service: string, isServing: () => boolean): void {
  const check = (
    { request }: ServerUnaryCall<{ service: string }, Buffer>,
    reply: sendUnaryData<Buffer>,
  ) => {
    if (request.service === '' || request.service === service) {
      reply(null, isServing() ? SERVING : NOT_SERVING);
    } else {
      // Its name may be too long for the answer.
      reply({ code: status.NOT_FOUND, details: 'There is no such service here.' });
    }
  };
  server.register(HEALTH_PATH, check, identity, readHealthCheckRequest, 'unary');
}

/** `grpc.health.v1.HealthCheckRequest`: its field 1 is the name of the service, empty for all. */
function readHealthCheckRequest(bytes: Buffer): { service: string } {
  const reader = new PbfReader(small(bytes));
  let service = '';
  for (let field = reader.nextField(); field !== 0; field = reader.nextField()) {
    if (field === 1) service = reader.readString();
  }
  return { service };
}
