/** What a worker answers to the calls that are not links, whichever transport carries them. */
import { PbfReader, PbfWriter } from 'pbf';
import { readStopRequest, writeStatusReply } from '../wire/generated/worker.js';
import { toAbout } from './about.ts';
import type { ListenerService, WorkerMethod } from './transport.ts';

const EMPTY = new Uint8Array(0);

/**
 * Does what is asked. The answer to `stop` comes when no task runs any more.
 *
 * @param request a StopRequest or StatusRequest of worker.proto
 * @returns a StopReply or StatusReply
 * @throws RangeError when the grace time is no time; what the stop fails with
 */
export async function answerCall(
  service: ListenerService,
  method: WorkerMethod,
  request: Uint8Array,
): Promise<Uint8Array> {
  if (method === 'status') return statusReply(service);
  const { grace_ms, _grace_ms } = readStopRequest(new PbfReader(request));
  const graceMs = _grace_ms === undefined ? undefined : grace_ms;
  if (graceMs !== undefined && !(graceMs >= 0)) {
    throw new RangeError('grace_ms must not be negative.');
  }
  await service.stop(graceMs);
  return EMPTY;
}

function statusReply(service: ListenerService): Uint8Array {
  const { uid, inFlight, idleMs, draining, uptimeMs, about, breaches = {} } = service.status();
  const writer = new PbfWriter();
  const reply = {
    uid,
    in_flight: inFlight,
    idle_ms: idleMs,
    draining,
    about: about && toAbout(about),
    uptime_ms: uptimeMs,
    breaches: Object.entries(breaches).map(([limit, count]) => ({ limit, count })),
  };
  writeStatusReply(reply, writer);
  return writer.finish();
}
