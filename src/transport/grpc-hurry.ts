/** Has the requests of calls come in time: one that never ends would hold its connection for ever. */
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { LINK_PATH } from './grpc-channel.ts';

/**
 * Links go on as long as they like: they have times of their own.
 *
 * @param timeoutMs in which the whole request must be here
 * @param late called with the peer of a call, as grpc-js names it, whose request is not
 */
export function hurry(timeoutMs: number, late: (peer: string) => void): ServerInterceptor {
  return ({ path }, call) => {
    // As it is: on the way of a link each layer costs.
    if (path === LINK_PATH) return call as ServerInterceptingCall;
    const timer = setTimeout(() => late(call.getPeer()), timeoutMs).unref();
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveHalfClose: (go) => {
            clearTimeout(timer);
            go();
          },
          onCancel: () => clearTimeout(timer),
        }),
    });
  };
}
