/** Asks a worker, by its address, how it is. */
import { PbfReader } from 'pbf';
import { WorkerUnreachable } from '../errors.ts';
import type { AuthkeyGiven } from '../security/authkey.ts';
import type { CredentialsGiven } from '../security/credentials.ts';
import { CredentialSource } from '../security/source.ts';
import { readStatusReply } from '../wire/generated/worker.js';
import { plain } from '../wire/plain.ts';
import { fromAbout } from './about.ts';
import { withoutWildcard } from './address.ts';
import { type CallWorkerOptions, callWorker } from './call-worker.ts';
import type { Transport, WorkerStatus } from './transport.ts';

const DEFAULT_TIMEOUT_MS = 5_000;

/** How a worker is, and what it says of itself. What it does not say is undefined. */
export interface WorkerStatusReport {
  readonly uid: string;
  /** Tasks that run now. */
  readonly inFlight: number;
  /** Milliseconds since its last task ended, or since it started; 0 while tasks run. */
  readonly idleTime: number;
  /** Milliseconds since it started. */
  readonly uptime: number;
  /** Whether it has stopped taking tasks, and ends with those that it has. */
  readonly draining: boolean;
  readonly host: string | undefined;
  readonly pid: number | undefined;
  /** The version of Skein that it runs. */
  readonly version: string | undefined;
  readonly tags: readonly string[];
  /** What its owner says of it beyond that. */
  readonly extra: Readonly<Record<string, string>>;
  /** Tasks that it runs at a time; undefined for any number. */
  readonly concurrency: number | undefined;
  /** Where its beat answers, which `stopWorker` takes; undefined for none. */
  readonly beat: string | undefined;
  /** How often its peers have exceeded each of its limits; those that never were are left out. */
  readonly breaches: Readonly<Record<string, number>>;
}

export interface WorkerStatusOptions {
  /**
   * Milliseconds in which the answer must have come. A worker whose event loop a task blocks does not
   * answer. Infinity: it may take as long as it likes.
   *
   * @default 5000
   */
  readonly timeout?: number | undefined;
  /** The authkey of the worker, if it has one. */
  readonly authkey?: AuthkeyGiven | undefined;
  /**
   * Certificates, for a worker that has them.
   *
   * @default none: the connection is in plain text
   */
  readonly credentials?: CredentialsGiven | undefined;
  /**
   * Serves the address where gRPC does not: `natsTransport(...)`, say.
   *
   * @default none: the worker is reached over gRPC
   */
  readonly transport?: Transport | undefined;
}

/**
 * Asks a worker how it is, and what it says of itself.
 *
 * @param address where it listens, e.g. `tcp://10.0.0.7:4000`
 * @throws TypeError when the address is none, or no transport serves it
 * @throws RangeError when the time is none
 * @throws WorkerUnreachable when no worker answers, with the reason
 * @throws AuthenticationError when the two sides do not trust each other, by authkeys or certificates
 * @throws CredentialsError when a provider gives no credentials
 * @example
 * ```ts
 * const { inFlight, idleTime } = await workerStatus('tcp://10.0.0.7:4000');
 * if (inFlight === 0 && idleTime > 600_000) await stopWorker('tcp://10.0.0.7:4000');
 * ```
 */
export async function workerStatus(
  address: string,
  options: WorkerStatusOptions = {},
): Promise<WorkerStatusReport> {
  const { timeout = DEFAULT_TIMEOUT_MS, authkey, transport } = options;
  const credentials = CredentialSource.of(options.credentials);
  if (!(typeof timeout === 'number' && timeout > 0)) {
    throw new RangeError(
      `timeout must be a number of milliseconds above 0, not ${String(timeout)}`,
    );
  }
  return await askStatus(address, { timeoutMs: timeout, authkey, credentials, transport });
}

/** The same, with credentials that are kept for other calls, too. */
export async function askStatus(
  address: string,
  options: CallWorkerOptions,
): Promise<WorkerStatusReport> {
  const bytes = await callWorker(address, 'status', new Uint8Array(0), options);
  try {
    return reportOf(read(bytes), address);
  } catch (cause) {
    const message = `what answers at ${address} is no worker: ${(cause as Error).message}`;
    throw new WorkerUnreachable(message, { address, cause });
  }
}

/** @throws Error when the bytes are no report */
function read(bytes: Uint8Array): WorkerStatus {
  const reply = readStatusReply(new PbfReader(bytes));
  return {
    uid: reply.uid,
    inFlight: reply.in_flight,
    idleMs: reply.idle_ms,
    uptimeMs: reply.uptime_ms,
    draining: reply.draining,
    about: reply.about && fromAbout(reply.about),
    breaches: Object.fromEntries(reply.breaches.map(({ limit, count }) => [plain(limit), count])),
  };
}

/**
 * The same for people.
 *
 * @param reached where the worker was reached
 */
export function reportOf(status: WorkerStatus, reached = ''): WorkerStatusReport {
  const { uid, inFlight, idleMs, uptimeMs, draining, about = {}, breaches = {} } = status;
  const { host, pid, version, tags = [], extra = {}, beat, channel } = about;
  return {
    uid,
    inFlight,
    idleTime: idleMs,
    uptime: uptimeMs,
    draining,
    host,
    pid,
    version,
    tags,
    extra,
    concurrency: channel?.concurrency,
    beat: beat && withoutWildcard(beat, reached),
    breaches,
  };
}
