/** The caller's end of a link over gRPC. */
import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { AuthenticationError } from '../errors.ts';
import type { Authkey } from '../security/authkey.ts';
import type { CredentialSource } from '../security/source.ts';
import { plain } from '../wire/plain.ts';
import { type Address, formatAddress, parseAddress } from './address.ts';
import { type ChannelLimits, GrpcChannel, identity, LINK_PATH } from './grpc-channel.ts';
import { CallerCredentials } from './grpc-credentials.ts';
import { proving, refusalOf } from './grpc-prover.ts';
import type { ChannelHandlers, CloseReason } from './transport.ts';

export interface ClientSettings {
  readonly limits: ChannelLimits;
  /** What connections are made with; undefined for plain text. */
  readonly credentials?: CredentialSource | undefined;
  readonly options: ChannelOptions;
  /** What the worker must show that it has, as this side does. */
  readonly authkey: Authkey | undefined;
}

/**
 * The last message of a caller that ends a link on purpose; in protobuf terms an envelope without
 * frames. A server of grpc-js sees the same `end` when the caller has finished and when it has died,
 * so it takes an end without this mark for a loss.
 */
const LAST = Buffer.alloc(0);

export const CLIENT_OPTIONS: ChannelOptions = {
  // A channel's connection is its own: it shares no fate and no backoff with another's.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_http_proxy': 0,
};

export class ClientChannel extends GrpcChannel {
  readonly remote: string;
  readonly #settings: ClientSettings;
  #client: Client | undefined;
  #stream: ClientDuplexStream<Buffer, Buffer> | undefined;
  #credentials: CallerCredentials | undefined;
  #connected = false;

  constructor(address: string, settings: ClientSettings) {
    super(settings.limits);
    this.remote = address;
    this.#settings = settings;
  }

  open(handlers: ChannelHandlers): void {
    let address: Address;
    try {
      address = parseAddress(this.remote);
    } catch (cause) {
      const { message } = cause as TypeError;
      setImmediate(() => handlers.closed({ code: 'unreachable', message, cause }));
      return;
    }
    const { credentials: source, options, authkey } = this.#settings;
    const credentials = new CallerCredentials(address, source);
    const client = new Client(grpcTarget(address), credentials, options);
    const stream = client.makeBidiStreamRequest(
      LINK_PATH,
      identity,
      identity,
      new Metadata(),
      proving(client, authkey),
    );
    this.#client = client;
    this.#stream = stream;
    this.#credentials = credentials;
    // Packets wait until the worker has answered: so `unreachable` means that none has reached it.
    stream.cork();
    stream.once('metadata', () => {
      this.#connected = true;
      // An open link keeps no process alive: whoever waits for something on it does. grpc-js holds a
      // connection as long as a stream is open on it.
      credentials.socket?.unref();
      stream.uncork();
    });
    stream.on('error', (error: ServiceError) => this.#failed(tidy(error)));
    stream.on('end', () => {
      if (this.#stream !== undefined) this.ended(this.#reason(undefined));
    });
    this.start(stream, handlers);
  }

  protected finish(): void {
    const stream = this.#stream;
    if (stream === undefined) return void setImmediate(() => this.ended(this.#reason(undefined)));
    stream.write(LAST);
    stream.end();
  }

  protected cut(): void {
    this.#stream?.cancel();
  }

  protected release(): void {
    this.#credentials?.close();
    this.#client?.close();
    this.#client = undefined;
    this.#stream = undefined;
  }

  #failed(error: ServiceError): void {
    const asked = this.#connected ? undefined : this.#credentials?.problem(error);
    if (asked === undefined) return this.ended(this.#reason(error));
    // Meanwhile it tries no more, and takes nothing.
    this.#stream = undefined;
    this.#credentials?.close();
    this.#client?.close();
    void asked.then((problem) => {
      if (problem === undefined) return this.ended(this.#reason(error));
      const message = `No worker answers at ${this.remote}: ${problem.message}.`;
      this.ended({ code: 'unreachable', message, cause: problem.error });
    });
  }

  /** `error` is undefined when the worker ended the stream with status OK. */
  #reason(error: ServiceError | undefined): CloseReason {
    const refusal = error && refusalOf(error, this.#settings.authkey !== undefined);
    // The answer to an authkey comes before the one to who shows it.
    if (refusal && (!this.#connected || refusal.reason === 'unauthorized')) {
      const { reason, message: why } = refusal;
      const message = `There is no link with the worker at ${this.remote}: ${why}.`;
      const text = `${this.remote}: ${why}`;
      const cause = new AuthenticationError(text, { reason, cause: error });
      return { code: 'refused', message, cause };
    }
    if (!this.#connected) {
      const message = `No worker answers at ${this.remote}: ${connectProblem(error)}.`;
      return { code: 'unreachable', message, cause: error };
    }
    if (error === undefined) return { code: 'closed', message: 'The worker closed the link.' };
    const details = error.details.replace(/\.$/, '');
    if (error.code === status.RESOURCE_EXHAUSTED) {
      return { code: 'protocol', message: `A limit was exceeded: ${details}.`, cause: error };
    }
    const message = `The connection to ${this.remote} is lost: ${details}.`;
    return { code: 'lost', message, cause: error };
  }
}

/** An error whose words are the server's, which may be anybody's. */
export function tidy(error: ServiceError): ServiceError {
  error.details = plain(error.details);
  error.message = plain(error.message);
  // It has the words once more, and no frames but those of grpc-js.
  error.stack = `${error.name}: ${error.message}`;
  // Who prints the error, as the cause of another, wants its words.
  Object.defineProperty(error, 'metadata', { enumerable: false });
  return error;
}

/** The name of the address for grpc-js. Its DNS resolver takes IP addresses too. */
export function grpcTarget(address: Address): string {
  if (address.scheme === 'unix') return `unix:${address.path}`;
  return formatAddress(address).replace('tcp://', 'dns:');
}

/** The cause without what grpc-js puts around it, e.g. `connect ECONNREFUSED 127.0.0.1:4000`. */
export function connectProblem(error: ServiceError | undefined): string {
  if (error === undefined) return 'the link was ended at once';
  if (error.code === status.UNIMPLEMENTED) return 'the gRPC server there is not a Skein worker';
  const inner = /Last error: (?:Error: )?(.+?)\.? Resolution note:/.exec(error.details)?.[1];
  // Where it says no more than that it failed, it says when.
  if (error.details.startsWith('Failed to connect')) return 'the connection is ended at once';
  return inner ?? error.details.replace(/\.$/, '');
}
