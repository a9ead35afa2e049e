/** How grpc-js makes the connections of callers: plain, or by TLS with the credentials of that moment. */
import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import { CallCredentials, ChannelCredentials, type ServiceError, status } from '@grpc/grpc-js';
import { AuthenticationError, CredentialsError } from '../errors.ts';
import type { Material } from '../security/material.ts';
import type { CredentialSource } from '../security/source.ts';
import { type Address, formatAddress } from './address.ts';
import { ALPN_HTTP2, clientOptions, contextOf, HANDSHAKE_MS } from './tls.ts';
import { preflight } from './tls-preflight.ts';

/** What grpc-js says when no HTTP/2 connection came about. */
const NEVER_THERE = /^(?:No connection established|Failed to connect)/;

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>;
type Connected = Awaited<ReturnType<SecureConnector['connect']>>;

/** Why the two ends have no connection that both trust. */
export interface TrustProblem {
  /** In words, with `it` for the other side. */
  readonly message: string;
  /** An AuthenticationError; or a CredentialsError, when there are no credentials to connect with. */
  readonly error: AuthenticationError | CredentialsError;
}

/** Of one client of grpc-js. */
export class CallerCredentials extends ChannelCredentials {
  readonly #address: Address;
  readonly #source: CredentialSource | undefined;
  #socket: Socket | undefined;
  /** Whether somebody has accepted a connection. */
  #reached = false;
  /** With what the last one was begun. */
  #material: Material | undefined;
  /** Why none was begun. */
  #failure: CredentialsError | undefined;
  #over = false;

  /** @param source undefined for plain text */
  constructor(address: Address, source: CredentialSource | undefined) {
    super();
    this.#address = address;
    this.#source = source;
  }

  /** The client is closed: grpc-js would try once more, a second after a failure, and keep what it gets. */
  close(): void {
    this.#over = true;
  }

  /** The connection, when it can be used. */
  get socket(): Socket | undefined {
    return this.#socket;
  }

  /**
   * Finds out whether a call failed since the two ends do not trust each other; undefined where that is out of the question.
   */
  problem(error: ServiceError): Promise<TrustProblem | undefined> | undefined {
    if (error.code !== status.UNAVAILABLE) return undefined;
    const failure = this.#failure;
    if (failure) return Promise.resolve({ message: failure.message, error: failure });
    if (!this.#reached) return undefined;
    // Plain text has no handshake: a connection that was there is lost for other reasons.
    if (!this.#source && !NEVER_THERE.test(error.details)) return undefined;
    return this.#ask(error);
  }

  async #ask(cause: ServiceError): Promise<TrustProblem | undefined> {
    // The next one may be made with newer ones.
    void this.#source?.refresh();
    const problem = await preflight(this.#address, this.#material);
    if (problem === undefined) return undefined;
    const { message, reason } = problem;
    const text = `${formatAddress(this.#address)}: ${message}`;
    return { message, error: new AuthenticationError(text, { reason, cause }) };
  }

  override _isSecure(): boolean {
    return this.#source !== undefined;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(
    _target: unknown,
    _options: unknown,
    callCredentials = CallCredentials.createEmpty(),
  ): SecureConnector {
    return {
      waitForReady: () => this.#prepare(),
      connect: async (socket) => {
        this.#reached = true;
        const connected = await this.#connect(socket);
        this.#socket = connected.socket;
        return connected;
      },
      getCallCredentials: () => callCredentials,
      destroy: () => {},
    };
  }

  async #prepare(): Promise<void> {
    if (this.#over) throw new Error('the client is closed');
    try {
      this.#material = await this.#source?.fresh();
      // Says now what is wrong with it.
      if (this.#material) contextOf(this.#material);
      this.#failure = undefined;
    } catch (error) {
      this.#failure =
        error instanceof CredentialsError
          ? error
          : new CredentialsError(String(error), { cause: error });
      throw error;
    }
  }

  async #connect(socket: Socket): Promise<Connected> {
    const material = this.#material;
    if (material === undefined) return { socket, secure: false };
    const options = { ...clientOptions(material, this.#address), ALPNProtocols: [ALPN_HTTP2] };
    return await new Promise((resolve, reject) => {
      const secured = connect({ ...options, socket }, () => {
        clearTimeout(timer);
        resolve({ socket: secured, secure: true });
      });
      // The call that waits for it keeps the process alive.
      secured.unref();
      const late = new Error(`the TLS handshake took longer than ${HANDSHAKE_MS} ms`);
      const timer = setTimeout(() => secured.destroy(late), HANDSHAKE_MS).unref();
      // For good: it may fail at a time at which nobody else listens.
      secured.on('error', reject);
      secured.once('close', () => {
        clearTimeout(timer);
        reject(new Error('the connection is ended in the TLS handshake'));
      });
    });
  }
}
