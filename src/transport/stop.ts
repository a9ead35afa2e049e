/** Stops a worker by its addresses, also one whose event loop is blocked. */
import { PbfWriter } from 'pbf';
import { AuthenticationError } from '../errors.ts';
import type { AuthkeyGiven } from '../security/authkey.ts';
import type { CredentialsGiven } from '../security/credentials.ts';
import { CredentialSource } from '../security/source.ts';
import { encodeBeat } from '../wire/beat.js';
import { writeStopRequest } from '../wire/generated/worker.js';
import { beatTransport } from './beat.ts';
import { type CallWorkerOptions, callWorker } from './call-worker.ts';
import { schemeOf, type Transport } from './transport.ts';

export interface StopWorkerOptions {
  /**
   * Milliseconds that tasks may go on before they are aborted; 0 at once. The answer is waited for 5 s more.
   *
   * @default Infinity: as long as they take
   */
  readonly grace?: number | undefined;
  /**
   * Its beat, as `workerStatus` gives it. With it and a grace time the process is killed 2 s after that
   * time where it can't end by itself; without, a worker that a task blocks ends when the task does, though
   * that is waited for no longer.
   */
  readonly beat?: string | undefined;
  /** The authkey of the worker, if it has one. */
  readonly authkey?: AuthkeyGiven | undefined;
  /**
   * Certificates, for a worker that has them; its beat is asked with the same.
   *
   * @default none: the connections are in plain text
   */
  readonly credentials?: CredentialsGiven | undefined;
  /**
   * Serves the address, and the beat, where gRPC does not: `natsTransport(...)`, say.
   *
   * @default none: the worker is reached over gRPC
   */
  readonly transport?: Transport | undefined;
}

/** So long after the grace time a worker has answered, or is not there, or is held up by a task. */
const ANSWER_MS = 5_000;

/**
 * Asks a worker to stop, and resolves when no task of it runs any more, or its process has ended.
 *
 * @param address where it listens, e.g. `tcp://10.0.0.7:4000`
 * @throws TypeError when the address is none, or no transport serves it
 * @throws RangeError when the grace time is no time
 * @throws WorkerUnreachable when no worker answers, which with a grace time is known 5 s after it, or its connection is
 * lost and it has no beat that tells whether its process has ended
 * @throws AuthenticationError when the two sides do not trust each other, by authkeys or certificates. A beat that
 * was named has been told to stop all the same, where the authkey is what is wrong: whoever can reach it may
 * @throws CredentialsError when a provider gives no credentials
 */
export async function stopWorker(address: string, options: StopWorkerOptions = {}): Promise<void> {
  const { beat, grace, authkey, transport } = options;
  if (grace !== undefined && !(typeof grace === 'number' && grace >= 0)) {
    throw new RangeError(`grace must be a number of milliseconds, 0 or more, not ${String(grace)}`);
  }
  const credentials = CredentialSource.of(options.credentials);
  await credentials?.fresh();
  const ms = grace === Number.POSITIVE_INFINITY ? undefined : grace;
  const killed =
    beat === undefined || ms === undefined
      ? undefined
      : stopBeat(beat, ms, { transport, credentials });
  try {
    const writer = new PbfWriter();
    writeStopRequest(ms === undefined ? {} : { grace_ms: ms }, writer);
    const timeoutMs = ms === undefined ? undefined : ms + ANSWER_MS;
    const how = { authkey, credentials, transport, timeoutMs };
    const called = callWorker(address, 'stop', writer.finish(), how);
    await (killed?.sooner ? Promise.race([called, killed.sooner]) : called);
  } catch (error) {
    if (error instanceof AuthenticationError || !(await killed?.ended)) throw error;
  } finally {
    killed?.leave();
  }
}

interface Stopping {
  /** Whether the process has ended, and not that the beat was never there. */
  readonly ended: Promise<boolean>;
  /** Resolves when it has, where that shows sooner than by the call: no connection of it is one to a worker's process. */
  readonly sooner: Promise<void> | undefined;
  leave(): void;
}

/** Asks the beat. */
function stopBeat(
  beat: string,
  graceMs: number,
  { transport, credentials }: Pick<CallWorkerOptions, 'transport' | 'credentials'>,
): Stopping {
  const own = transport?.schemes.includes(schemeOf(beat)) ? transport : undefined;
  const channel = (own ?? beatTransport({ credentials })).connect(beat);
  // Something else that listens there hangs up, too; it gives no answer before.
  let answered = false;
  const ended = new Promise<boolean>((resolve) => {
    channel.open({
      packet: () => {
        answered = true;
      },
      drain: () => {},
      closed: ({ code }) => resolve(code === 'lost' && answered),
    });
  });
  channel.send(encodeBeat('stop', graceMs));
  const never = new Promise<never>(() => {});
  return {
    ended,
    sooner: own && ended.then((hasEnded) => (hasEnded ? undefined : never)),
    leave: () => channel.close({ code: 'closed', message: 'the worker has stopped' }),
  };
}
