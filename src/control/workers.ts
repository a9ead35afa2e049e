/** The workers of a pool, and how they are told of. */
import { PbfReader, PbfWriter } from 'pbf';
import type { WorkerMetadata } from '../discovery/discovery.ts';
import { parseMetadata } from '../discovery/metadata.ts';
import { withoutWildcard } from '../transport/address.ts';
import type { WorkerStatusReport } from '../transport/status.ts';
import { type PoolWorker, readPoolRoster, writePoolRoster } from '../wire/generated/pool.js';

/** A worker of a durable pool. */
export interface ControlledWorker extends WorkerMetadata {
  readonly uid: string;
  /** How often the worker in its place died, and was replaced. */
  readonly restarts?: number | undefined;
}

/** What a worker is doing. */
export interface ListedWorker extends ControlledWorker {
  readonly restarts: number;
  /** It did not say in time how it is: a task blocks its event loop, say. The rest is 0 then. */
  readonly stalled: boolean;
  /** Tasks that run now, of all callers. */
  readonly inFlight: number;
  /** Milliseconds since its last task ended, or since it started; 0 while tasks run. */
  readonly idleTime: number;
  /** Milliseconds since it started. */
  readonly uptime: number;
  /** Whether it has stopped taking tasks. */
  readonly draining: boolean;
}

/** What `List` says of a worker beyond what `Watch` does; undefined when it gave no answer. */
export type WorkerState = Pick<WorkerStatusReport, 'inFlight' | 'idleTime' | 'uptime' | 'draining'>;

export function encodeRoster(
  workers: readonly ControlledWorker[],
  states?: readonly (WorkerState | undefined)[],
): Buffer {
  const writer = new PbfWriter();
  writePoolRoster({ workers: workers.map((worker, i) => toMessage(worker, states, i)) }, writer);
  return Buffer.from(writer.finish());
}

function toMessage(
  worker: ControlledWorker,
  states: readonly (WorkerState | undefined)[] | undefined,
  index: number,
) {
  const { uid, address, beat, host, pid, version, tags, extra = {}, secure, channel } = worker;
  const { alternatives = [] } = worker;
  const state = states?.[index];
  return {
    ...{ uid, address, beat, host, pid, version, tags: [...(tags ?? [])], secure },
    alternatives: [...alternatives],
    concurrency: channel?.concurrency,
    extra: Object.entries(extra).map(([key, value]) => ({ key, value })),
    restarts: worker.restarts,
    stalled: states !== undefined && state === undefined,
    in_flight: state?.inFlight,
    idle_ms: state?.idleTime,
    uptime_ms: state?.uptime,
    draining: state?.draining,
  };
}

/**
 * The workers of a roster; those that say what no worker may are left out.
 *
 * @param pool the address at which the pool was reached
 * @param skipped is told why one is left out
 */
export function decodeRoster(
  bytes: Uint8Array,
  pool: string,
  skipped: (why: string) => void,
): ListedWorker[] {
  return readPoolRoster(new PbfReader(bytes)).workers.flatMap((message) => {
    try {
      return [fromMessage(message, pool)];
    } catch (error) {
      skipped((error as Error).message);
      return [];
    }
  });
}

function fromMessage(message: PoolWorker, pool: string): ListedWorker {
  const { uid } = message;
  const metadata = parseMetadata({
    uid,
    address: withoutWildcard(message.address, pool),
    alternatives: message.alternatives.map((other) => withoutWildcard(other, pool)),
    beat: withoutWildcard(message.beat, pool) || undefined,
    host: message.host || undefined,
    pid: message.pid || undefined,
    version: message.version || undefined,
    tags: message.tags,
    extra: Object.fromEntries(message.extra.map(({ key, value }) => [key, value])),
    secure: message.secure || undefined,
    channel: message.concurrency === 0 ? undefined : { concurrency: message.concurrency },
  });
  return {
    ...metadata,
    uid,
    restarts: message.restarts,
    stalled: message.stalled,
    inFlight: message.in_flight,
    idleTime: message.idle_ms,
    uptime: message.uptime_ms,
    draining: message.draining,
  };
}
