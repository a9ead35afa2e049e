/** Server sockets of workers and pools: plain, or by TLS with the credentials of that moment. */
import { createServer, type Server as NetServer, type ServerOpts, type Socket } from 'node:net';
import {
  createServer as createTlsServer,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import type { Material } from '../security/material.ts';
import { identityOf, type PeerIdentity } from '../security/names.ts';
import type { CredentialSource } from '../security/source.ts';
import { plain } from '../wire/plain.ts';
import {
  ALPN_HTTP2,
  ALPN_VERDICT,
  contextOf,
  contextOptions,
  HANDSHAKE_MS,
  problemOf,
  VERDICT_NONE,
  VERDICT_OK,
} from './tls.ts';

export interface ConnectionHandlers {
  /** A connection has been accepted; nothing is known of it. */
  accepted(socket: Socket): void;
  /**
   * It can be used.
   *
   * @param raw the one that was accepted; the same, without TLS
   * @param peer who the caller is, where it must show a certificate
   */
  ready(socket: Socket, raw: Socket, peer: PeerIdentity | undefined): void;
}

/**
 * @param source undefined for plain text
 * @param warn told of handshakes that fail, once a minute at most
 * @throws CredentialsError when OpenSSL does not take the certificates
 */
export function createListener(
  source: CredentialSource | undefined,
  options: ServerOpts,
  handlers: ConnectionHandlers,
  warn: (message: string) => void,
): NetServer {
  if (source !== undefined) return new SecureListener(source, options, handlers, warn).server;
  return createServer(options, (socket) => {
    handlers.accepted(socket);
    handlers.ready(socket, socket, undefined);
  });
}

/** Failed handshakes are told of together, so often. */
const WARNING_MS = 60_000;

class SecureListener {
  readonly server: TlsServer;
  readonly #handlers: ConnectionHandlers;
  readonly #mutual: boolean;
  readonly #warn: (message: string) => void;
  #failures = 0;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(
    source: CredentialSource,
    options: ServerOpts,
    handlers: ConnectionHandlers,
    warn: (message: string) => void,
  ) {
    this.#handlers = handlers;
    this.#warn = warn;
    const { material } = source;
    this.#mutual = material.mutual;
    // Says in good words what is wrong with it.
    contextOf(material);
    this.server = createTlsServer({
      ...options,
      ...contextOptions(material),
      ALPNProtocols: [ALPN_VERDICT, ALPN_HTTP2],
      requestCert: material.mutual,
      // It is looked at below, so that who asks for a verdict gets it.
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_MS,
    });
    this.server.on('listening', () => {
      const unwatch = source.watch((next) => this.#renew(next));
      this.server.on('close', unwatch);
    });
    this.server.on('connection', (socket) => {
      socket.on('error', () => {});
      // Asked for once, Node knows it when the connection has ended, too.
      void socket.remoteAddress;
      handlers.accepted(socket);
    });
    this.server.on('tlsClientError', (error, socket) => {
      const raw = below(socket);
      // A port that is looked at, whether it is open, gets no handshake.
      if (raw.bytesRead > 0) this.#failed(raw, wordsOf(error));
    });
    this.server.on('secureConnection', (socket) => {
      // Whoever uses it notices its end.
      socket.on('error', () => {});
      try {
        this.#secured(socket);
      } catch (error) {
        // Whatever a stranger's certificate has in it, nobody else feels it.
        socket.destroy();
        this.#failed(below(socket), String(error));
      }
    });
  }

  /** New connections are made with these; those that are open go on. */
  #renew(material: Material): void {
    try {
      contextOf(material);
      this.server.setSecureContext(contextOptions(material));
    } catch (error) {
      this.#warn(
        `new credentials are not used, and the last ones are kept: ${(error as Error).message}`,
      );
    }
  }

  #secured(socket: TLSSocket): void {
    if (socket.destroyed) return;
    const raw = below(socket);
    const verdict = this.#mutual ? verdictOn(socket) : VERDICT_OK;
    if (socket.alpnProtocol === ALPN_VERDICT) {
      socket.resume().end(`${verdict}\n`);
    } else if (verdict !== VERDICT_OK) {
      socket.destroy();
      this.#failed(raw, wordsOfVerdict(verdict));
    } else if (socket.alpnProtocol !== ALPN_HTTP2) {
      socket.destroy();
      this.#failed(raw, 'it does not ask for HTTP/2');
    } else {
      const certificate = socket.getPeerX509Certificate();
      this.#handlers.ready(socket, raw, certificate && identityOf(certificate));
    }
  }

  #failed({ remoteAddress = 'this machine' }: Socket, why: string): void {
    this.#failures += 1;
    const now = performance.now();
    if (now < this.#warnedAt + WARNING_MS) return;
    this.#warnedAt = now;
    const [count, who] = [this.#failures, `from ${remoteAddress}: ${plain(why)}`];
    this.#failures = 0;
    this.#warn(
      count === 1
        ? `a connection was turned away in its TLS handshake, ${who}`
        : `${count} connections were turned away in their TLS handshakes, the last one ${who}`,
    );
  }
}

/** The socket that was accepted. */
function below(socket: TLSSocket): Socket {
  return (socket as TLSSocket & { readonly _parent?: Socket })._parent ?? socket;
}

function verdictOn(socket: TLSSocket): string {
  if (socket.authorized) return VERDICT_OK;
  if (socket.getPeerX509Certificate() === undefined) return VERDICT_NONE;
  return String(socket.authorizationError);
}

function wordsOfVerdict(verdict: string): string {
  if (verdict === VERDICT_NONE) return 'it has shown no certificate';
  switch (problemOf(verdict)) {
    case 'expired':
      return 'its certificate has expired';
    case 'not-yet-valid':
      return 'its certificate is not valid yet';
    case 'wrong-ca':
      return 'its certificate was not signed by one of those in ca here';
    default:
      return `its certificate is not accepted: ${verdict}`;
  }
}

function wordsOf(error: NodeJS.ErrnoException & { reason?: string }): string {
  if (/HTTP_REQUEST|WRONG_VERSION_NUMBER|PACKET_LENGTH|RECORD/.test(error.code ?? '')) {
    return 'it does not speak TLS';
  }
  if (error.code === 'ECONNRESET') return 'it hung up; it may not trust the certificate here';
  return error.reason ?? error.message;
}
