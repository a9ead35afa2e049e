/** The calls of a worker that are not links, on channels of their own: one packet each way. */
import { AuthenticationError, ProtocolError, WorkerUnreachable } from '../errors.ts';
import { hidePaths } from '../security/paths.ts';
import { answerCall } from '../transport/answers.ts';
import type {
  Channel,
  ChannelHandlers,
  ListenerService,
  WorkerMethod,
} from '../transport/transport.ts';
import { plain } from '../wire/plain.ts';
import { CallerChannel } from './caller.ts';
import type { TalkSettings } from './talk.ts';

/** The first byte of a packet: what follows is what was wanted, or why not. */
const DONE = 0;
const FAILED = 1;

/** Serves a call at the worker's end of its channel. */
export function serveCall(
  channel: Channel,
  method: WorkerMethod,
  service: ListenerService,
): ChannelHandlers {
  const reply = (kind: number, bytes: Uint8Array) => {
    channel.send(Buffer.concat([Buffer.of(kind), bytes]));
    channel.close({ code: 'closed', message: 'answered' });
  };
  let asked = false;
  return {
    packet: (bytes) => {
      if (asked) throw new ProtocolError('a call has one packet');
      asked = true;
      answerCall(service, method, bytes.subarray(1)).then(
        (answer) => reply(DONE, answer),
        (error: unknown) =>
          reply(FAILED, Buffer.from(hidePaths(String((error as Error).message ?? error)))),
      );
    },
    drain: () => {},
    closed: () => {},
  };
}

/**
 * Calls a worker.
 *
 * @param timeoutMs the answer must have come after so many milliseconds. Default: it may take as long as it likes
 * @throws AuthenticationError when the worker has another authkey, or only one side has one
 * @throws WorkerUnreachable when there is no answer
 */
export function callOverNats(
  address: string,
  method: WorkerMethod,
  request: Uint8Array,
  settings: TalkSettings,
  timeoutMs = Number.POSITIVE_INFINITY,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const channel = new CallerChannel(address, method, settings);
    // Whoever waits for the answer keeps the process alive.
    const release = settings.bus.hold();
    const timer =
      timeoutMs === Number.POSITIVE_INFINITY
        ? undefined
        : settings.env.timer(timeoutMs, () => {
            fail(`No worker answers at ${address}: it gave no answer within ${timeoutMs} ms.`);
            channel.close({ code: 'closed', message: 'it took too long' });
          });
    const done = () => {
      timer?.cancel();
      release();
    };
    const fail = (message: string, cause?: unknown) => {
      done();
      reject(new WorkerUnreachable(message, { address, cause }));
    };
    channel.open({
      packet: (bytes) => {
        done();
        if (bytes[0] === DONE) return resolve(bytes.subarray(1));
        fail(`The worker at ${address} says: ${plain(Buffer.from(bytes.subarray(1)).toString())}`);
      },
      drain: () => {},
      closed: ({ message, cause }) => {
        if (!(cause instanceof AuthenticationError)) return fail(message, cause);
        done();
        reject(cause);
      },
    });
    channel.send(Buffer.concat([Buffer.of(DONE), request]));
  });
}
