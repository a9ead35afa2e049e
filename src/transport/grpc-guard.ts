/** The server's half of the exchange in proto/skein/v1/auth.proto: lets in who has the authkey. */
import {
  Metadata,
  type MetadataValue,
  type Server,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { PbfWriter } from 'pbf';
import { type Authkey, NONCE_BYTES } from '../security/authkey.ts';
import type { Challenges } from '../security/challenges.ts';
import { writeChallengeReply } from '../wire/generated/auth.js';
import { identity } from './grpc-channel.ts';

export const CHALLENGE_PATH = '/skein.v1.Auth/Challenge';
export const HEALTH_PATH = '/grpc.health.v1.Health/Check';

/** The names of the metadata of both sides. */
export const NONCE_KEY = 'skein-nonce-bin';
export const CLIENT_NONCE_KEY = 'skein-client-nonce-bin';
export const PROOF_KEY = 'skein-proof-bin';

/** What is answered without a proof. */
export const OPEN_PATHS: ReadonlySet<string> = new Set([CHALLENGE_PATH, HEALTH_PATH]);

/** The nonces of a connection, by what grpc-js says is the peer; undefined when it has ended. */
export type ChallengesOf = (peer: string) => Challenges | undefined;

/** Serves Challenge; without a key, to say so. */
export function registerChallenge(
  server: Server,
  authkey: Authkey | undefined,
  challengesOf: ChallengesOf,
): void {
  const challenge = (call: ServerUnaryCall<object, Buffer>, reply: sendUnaryData<Buffer>) => {
    const challenges = challengesOf(call.getPeer());
    if (authkey === undefined) {
      reply({ code: status.FAILED_PRECONDITION, details: 'There is no authkey here.' });
    } else if (challenges === undefined) {
      reply({ code: status.ABORTED, details: 'The connection has ended.' });
    } else {
      const writer = new PbfWriter();
      writeChallengeReply({ nonce: challenges.issue() }, writer);
      reply(null, Buffer.from(writer.finish()));
    }
  };
  server.register(CHALLENGE_PATH, challenge, identity, () => ({}), 'unary');
}

/**
 * Ends each call that comes without the right proof before it has taken anything of it.
 *
 * @param proven called with the peer of a connection whose caller has shown the key
 */
export function guard(
  authkey: Authkey,
  challengesOf: ChallengesOf,
  proven: (peer: string) => void,
): ServerInterceptor {
  return ({ path: method }, call) => {
    if (OPEN_PATHS.has(method)) return new ServerInterceptingCall(call);
    const refuse = (code: status, details: string) => call.sendStatus({ code, details });
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, take) => {
            const nonce = bytesOf(metadata.get(NONCE_KEY));
            const clientNonce = bytesOf(metadata.get(CLIENT_NONCE_KEY));
            const proof = bytesOf(metadata.get(PROOF_KEY));
            if (nonce === undefined || clientNonce === undefined || proof === undefined) {
              return refuse(status.UNAUTHENTICATED, 'An authkey is needed.');
            }
            // First, so that nobody can try twice.
            if (!challengesOf(call.getPeer())?.take(nonce)) {
              return refuse(status.ABORTED, 'The challenge is not known here, or not any more.');
            }
            const exchange = { method, nonce, clientNonce };
            if (!authkey.isProof(proof, 'client', exchange)) {
              return refuse(status.UNAUTHENTICATED, 'The authkey is another one.');
            }
            proven(call.getPeer());
            const own = new Metadata();
            own.set(PROOF_KEY, authkey.proof('server', exchange));
            call.sendMetadata(own);
            take(metadata);
          },
        }),
    });
  };
}

/** A nonce or a proof, which have the same length: one value of that, or undefined. */
function bytesOf([value, ...more]: MetadataValue[]): Buffer | undefined {
  return Buffer.isBuffer(value) && value.length === NONCE_BYTES && more.length === 0
    ? value
    : undefined;
}
