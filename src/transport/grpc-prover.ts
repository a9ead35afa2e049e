/** The client's half of the exchange in proto/skein/v1/auth.proto: shows the authkey, and asks for it. */
import { randomBytes } from 'node:crypto';
import {
  type CallOptions,
  type Client,
  type ClientUnaryCall,
  InterceptingCall,
  type Interceptor,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { PbfReader } from 'pbf';
import type { AuthenticationReason } from '../errors.ts';
import { type Authkey, KEY_WANTED, NONCE_BYTES } from '../security/authkey.ts';
import { readChallengeReply } from '../wire/generated/auth.js';
import { identity } from './grpc-channel.ts';
import { CHALLENGE_PATH, CLIENT_NONCE_KEY, NONCE_KEY, PROOF_KEY } from './grpc-guard.ts';

const CHALLENGE_TIMEOUT_MS = 10_000;
const EMPTY = Buffer.alloc(0);

const NO_KEY = {
  code: status.UNAUTHENTICATED,
  details: 'it has no authkey: start it with the same one, or give none here',
};
const OTHER_KEY = {
  code: status.UNAUTHENTICATED,
  details: 'it has another authkey: give both the same one',
};
const IMPOSTOR = {
  code: status.UNAUTHENTICATED,
  details: 'it can not show that it has the authkey: it is not what it claims to be',
};

/** Options of a call on `client` that has the exchange go before it. */
export function proving(client: Client, authkey: Authkey | undefined): CallOptions {
  return authkey === undefined ? {} : { interceptors: [prover(client, authkey)] };
}

/** Why a worker does not let this side in. */
export interface Refusal {
  readonly reason: AuthenticationReason;
  /** In words, with `it` for the worker. */
  readonly message: string;
}

/**
 * Why a call was refused, when the other side knew who asks, or did not; otherwise undefined.
 *
 * @param given whether the client has an authkey
 */
export function refusalOf(
  { code, details }: Pick<ServiceError, 'code' | 'details'>,
  given: boolean,
): Refusal | undefined {
  if (code === status.PERMISSION_DENIED) {
    return { reason: 'unauthorized', message: `it does not let this side in: ${details}` };
  }
  if (code !== status.UNAUTHENTICATED) return undefined;
  return { reason: 'authkey', message: given ? details : KEY_WANTED };
}

interface Problem {
  readonly code: status;
  readonly details: string;
}

/**
 * A deadline of grpc-js would not be noticed before the exchange is over: a call with this is to be
 * cancelled instead.
 */
function prover(client: Client, authkey: Authkey): Interceptor {
  return (options, nextCall) => {
    const { path: method } = options.method_definition;
    const call = nextCall(options);
    let challenge: ClientUnaryCall | undefined;
    let proven = false;
    const held: (() => void)[] = [];
    const pass = (next: () => void) => {
      if (proven) next();
      else held.push(next);
    };
    return new InterceptingCall(call, {
      start: (metadata, listener, next) => {
        // What was not begun, or not let in, tells nothing by itself.
        const fail = (problem: Problem) =>
          listener.onReceiveStatus({ metadata: new Metadata(), ...problem });
        challenge = ask(client, fail, (nonce) => {
          challenge = undefined;
          const exchange = { method, nonce, clientNonce: randomBytes(NONCE_BYTES) };
          metadata.set(NONCE_KEY, nonce);
          metadata.set(CLIENT_NONCE_KEY, exchange.clientNonce);
          metadata.set(PROOF_KEY, authkey.proof('client', exchange));
          next(metadata, {
            onReceiveMetadata: (answer, take) => {
              const [proof] = answer.get(PROOF_KEY);
              if (Buffer.isBuffer(proof) && authkey.isProof(proof, 'server', exchange)) {
                proven = true;
                take(answer);
                for (const next of held.splice(0)) next();
              } else {
                fail(IMPOSTOR);
                call.cancelWithStatus(status.CANCELLED, IMPOSTOR.details);
              }
            },
            onReceiveStatus: (end, take) => {
              const refused = !proven && end.code === status.UNAUTHENTICATED;
              take(refused ? { ...end, ...OTHER_KEY } : end);
            },
          });
        });
      },
      // Nothing goes out before the server's proof: one message at most, since the next waits for it.
      sendMessage: (message, next) => pass(() => next(message)),
      halfClose: pass,
      cancel: (next) => {
        if (challenge === undefined) next();
        else challenge.cancel();
      },
    });
  };
}

/** Asks the server for a nonce. */
function ask(
  client: Client,
  failed: (problem: Problem) => void,
  answered: (nonce: Buffer) => void,
): ClientUnaryCall {
  const options = { deadline: Date.now() + CHALLENGE_TIMEOUT_MS };
  const answer = (error: ServiceError | null, nonce: Buffer | undefined) => {
    if (nonce !== undefined) answered(nonce);
    else if (error?.code === status.FAILED_PRECONDITION) failed(NO_KEY);
    else if (error) failed({ code: error.code, details: error.details });
  };
  return client.makeUnaryRequest(CHALLENGE_PATH, identity, readNonce, EMPTY, options, answer);
}

function readNonce(bytes: Buffer): Buffer {
  const { nonce } = readChallengeReply(new PbfReader(bytes));
  if (nonce?.length !== NONCE_BYTES) throw new Error(`no nonce of ${NONCE_BYTES} bytes`);
  return Buffer.from(nonce);
}
