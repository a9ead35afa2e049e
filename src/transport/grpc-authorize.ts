/** Ends each call of a caller that the worker knows by its certificate, and does not let in. */
import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import type { PeerIdentity } from '../security/names.ts';
import { OPEN_PATHS } from './grpc-guard.ts';

/** Whether a caller is let in. Never throws or rejects. */
export type Admits = (peer: PeerIdentity | undefined) => boolean | Promise<boolean>;

/** What the message for the caller repeats of its names. */
const MAX_NAMES_LENGTH = 200;

/** @param identityOf who the caller is, by what grpc-js says is the peer of a call */
export function authorizer(
  admits: Admits,
  identityOf: (peer: string) => PeerIdentity | undefined,
): ServerInterceptor {
  return ({ path }, call) => {
    if (OPEN_PATHS.has(path)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, take) => {
            const peer = identityOf(call.getPeer());
            const decide = (isIn: boolean) => {
              if (isIn) take(metadata);
              else call.sendStatus({ code: status.PERMISSION_DENIED, details: whoIs(peer) });
            };
            const answer = admits(peer);
            if (typeof answer === 'boolean') decide(answer);
            else answer.then(decide, () => decide(false));
          },
        }),
    });
  };
}

/** For the caller, who is told no more than it has shown. */
function whoIs(peer: PeerIdentity | undefined): string {
  if (peer === undefined) return 'there is no certificate';
  const names = peer.names.join(', ');
  if (names === '') return 'the certificate has no name';
  return `the certificate is for ${names.length > MAX_NAMES_LENGTH ? `${names.slice(0, MAX_NAMES_LENGTH)}...` : names}`;
}
