/** Stops a worker by its addresses, also one whose event loop is blocked. */
import { Client, credentials } from '@grpc/grpc-js';
import { PbfWriter } from 'pbf';
import { encodeBeat } from '../wire/beat.js';
import { writeStopRequest } from '../wire/generated/worker.js';
import { parseAddress } from './address.ts';
import { beatTransport } from './beat.ts';
import { identity } from './grpc-channel.ts';
import { grpcTarget } from './grpc-client.ts';

const STOP_PATH = '/skein.v1.Worker/Stop';

export interface StopTarget {
  /** Where the worker listens. */
  readonly address: string;
  /** Its beat, which ends the process when the worker can't; without one a blocked worker ends later. */
  readonly beat?: string | undefined;
}

/**
 * Asks a worker to stop, and resolves when no task of it runs any more, or its process has ended.
 *
 * @param graceMs milliseconds that tasks may go on before they are aborted; 2 s later the process is
 * killed, if need be. Undefined and Infinity wait for all of them.
 * @throws Error when the worker can't be reached, or its connection is lost and it has no beat that tells
 * whether its process has ended
 */
export async function stopWorker(target: StopTarget, graceMs?: number): Promise<void> {
  const { address, beat } = target;
  const ms = graceMs === Number.POSITIVE_INFINITY ? undefined : graceMs;
  const killed = beat === undefined || ms === undefined ? undefined : stopBeat(beat, ms);
  try {
    await stopCall(address, ms);
  } catch (error) {
    if (!(await killed?.ended)) throw error;
  } finally {
    killed?.leave();
  }
}

/** Asks by the Stop call, which a worker answers whose event loop turns. */
function stopCall(address: string, graceMs: number | undefined): Promise<void> {
  const writer = new PbfWriter();
  writeStopRequest(graceMs === undefined ? {} : { grace_ms: graceMs }, writer);
  const request = Buffer.from(writer.finish());
  const client = new Client(grpcTarget(parseAddress(address)), credentials.createInsecure());
  return new Promise<void>((resolve, reject) => {
    client.makeUnaryRequest(STOP_PATH, identity, identity, request, (error) =>
      error === null ? resolve() : reject(error),
    );
  }).finally(() => client.close());
}

/** Asks the beat. `ended` tells whether the process has ended, and not that the beat was never there. */
function stopBeat(beat: string, graceMs: number): { ended: Promise<boolean>; leave(): void } {
  const channel = beatTransport().connect(beat);
  const ended = new Promise<boolean>((resolve) => {
    channel.open({
      packet: () => {},
      drain: () => {},
      closed: ({ code }) => resolve(code === 'lost'),
    });
  });
  channel.send(encodeBeat('stop', graceMs));
  return {
    ended,
    leave: () => channel.close({ code: 'closed', message: 'the worker has stopped' }),
  };
}
