/** Calls of a server that are not links, by its address. */
import {
  Client,
  type ClientReadableStream,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { AuthenticationError, CredentialsError } from '../errors.ts';
import { Authkey, type AuthkeyGiven } from '../security/authkey.ts';
import type { CredentialSource } from '../security/source.ts';
import { parseAddress } from './address.ts';
import { identity } from './grpc-channel.ts';
import { CLIENT_OPTIONS, grpcTarget, tidy } from './grpc-client.ts';
import { CallerCredentials } from './grpc-credentials.ts';
import { proving, refusalOf } from './grpc-prover.ts';

export interface CallerOptions {
  /** What the server must show that it has, as this side does. */
  readonly authkey?: AuthkeyGiven | undefined;
  /**
   * Its connection is by TLS, and made with them.
   *
   * @default plain text
   */
  readonly credentials?: CredentialSource | undefined;
  /**
   * Whether its streams keep no process alive, and are for long: so it is looked whether the other host
   * is there still. Nothing that blocks the event loop for long may run in the server then.
   *
   * @default false
   */
  readonly background?: boolean | undefined;
}

/** A host that is gone is noticed after both together. */
const KEEPALIVE = { 'grpc.keepalive_time_ms': 20_000, 'grpc.keepalive_timeout_ms': 20_000 };

/** Node's timers fire at once beyond that. */
const LONGEST_TIMER_MS = 0x7fffffff;

/** Why a call failed. That of gRPC has a `code`, and its details are the server's own words. */
export type CallError = AuthenticationError | CredentialsError | ServiceError;

/** Whether it is none of gRPC. */
export function isTrustError(error: unknown): error is AuthenticationError | CredentialsError {
  return error instanceof AuthenticationError || error instanceof CredentialsError;
}

export class GrpcCaller implements Disposable {
  readonly #address: string;
  readonly #authkey: Authkey | undefined;
  readonly #client: Client;
  readonly #credentials: CallerCredentials;
  readonly #background: boolean;

  /** @throws TypeError when the address or the authkey is none */
  constructor(address: string, { authkey, credentials, background = false }: CallerOptions = {}) {
    this.#address = address;
    this.#authkey = authkey === undefined ? undefined : new Authkey(authkey);
    const parsed = parseAddress(address);
    this.#credentials = new CallerCredentials(parsed, credentials);
    this.#background = background;
    this.#client = new Client(grpcTarget(parsed), this.#credentials, {
      ...CLIENT_OPTIONS,
      ...(background && KEEPALIVE),
    });
  }

  /**
   * @param timeoutMs milliseconds after which the call fails with DEADLINE_EXCEEDED. Default: none
   * @throws CallError (as a rejection)
   */
  unary(path: string, request: Uint8Array, timeoutMs = Number.POSITIVE_INFINITY): Promise<Buffer> {
    const bytes = Buffer.from(request);
    const metadata = new Metadata();
    const options = proving(this.#client, this.#authkey);
    return new Promise((resolve, reject) => {
      let late = false;
      let failure: ServiceError | undefined;
      let timer: NodeJS.Timeout | undefined;
      const answer = (error: ServiceError | null, reply: Buffer | undefined) => {
        failure = error ?? undefined;
        if (error !== null && !late) return this.#fail(tidy(error), settle);
        settle(error === null ? undefined : timeout(error, timeoutMs), reply);
      };
      const settle = (error: CallError | undefined, reply?: Buffer) => {
        clearTimeout(timer);
        if (error) reject(error);
        else resolve(reply as Buffer);
      };
      const call = this.#client.makeUnaryRequest(
        path,
        identity,
        identity,
        bytes,
        metadata,
        options,
        answer,
      );
      if (timeoutMs > LONGEST_TIMER_MS) return;
      timer = setTimeout(() => {
        late = true;
        // It is being found out why it has failed: that takes too long.
        if (failure) settle(timeout(failure, timeoutMs));
        call.cancel();
      }, timeoutMs);
    });
  }

  /**
   * A call that is answered again and again.
   *
   * @param ended called once, with the reason when it is not the server's wish
   * @returns what ends it
   */
  stream(
    path: string,
    request: Uint8Array,
    taken: (message: Buffer) => void,
    ended: (error: CallError | undefined) => void,
  ): () => void {
    const stream: ClientReadableStream<Buffer> = this.#client.makeServerStreamRequest(
      path,
      identity,
      identity,
      Buffer.from(request),
      new Metadata(),
      proving(this.#client, this.#authkey),
    );
    let over = false;
    let failed = false;
    const end = (error?: CallError) => {
      if (over) return;
      over = true;
      ended(error);
    };
    stream.on('metadata', () => {
      if (this.#background) this.#credentials.socket?.unref();
    });
    stream.on('data', (message: Buffer) => {
      if (!over) taken(message);
    });
    stream.on('error', (error: ServiceError) => {
      failed = true;
      this.#fail(tidy(error), end);
    });
    stream.on('end', () => {
      if (!failed) end();
    });
    return () => {
      over = true;
      stream.cancel();
    };
  }

  /** Calls that are out go on. */
  close(): void {
    this.#credentials.close();
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #fail(error: ServiceError, fail: (error: CallError) => void): void {
    const refusal = refusalOf(error, this.#authkey !== undefined);
    if (refusal !== undefined) {
      const { reason, message } = refusal;
      const text = `${this.#address}: ${message}`;
      return fail(new AuthenticationError(text, { reason, cause: error }));
    }
    const asked = this.#credentials.problem(error);
    if (asked === undefined) return fail(error);
    void asked.then((problem) => fail(problem?.error ?? error));
  }
}

function timeout(error: ServiceError, ms: number): ServiceError {
  const details = `it gave no answer within ${ms} ms`;
  const { metadata } = error;
  return Object.assign(new Error(details), { code: status.DEADLINE_EXCEEDED, details, metadata });
}
