/** Asks a durable pool for its workers, and ends it. */
import { type ServiceError, status } from '@grpc/grpc-js';
import { PbfReader, PbfWriter } from 'pbf';
import { type AuthenticationError, type CredentialsError, PoolUnreachable } from '../errors.ts';
import type { AuthkeyGiven } from '../security/authkey.ts';
import type { CredentialsGiven } from '../security/credentials.ts';
import { CredentialSource } from '../security/source.ts';
import { GrpcCaller, isTrustError } from '../transport/grpc-caller.ts';
import { connectProblem } from '../transport/grpc-client.ts';
import { readPingReply, writeDownRequest } from '../wire/generated/pool.js';
import { POOL_PATHS, type PoolPlace, poolAddress } from './place.ts';
import { decodeRoster, type ListedWorker } from './workers.ts';

export interface ControlClientOptions extends PoolPlace {
  /** The authkey of the pool, if it has one. */
  readonly authkey?: AuthkeyGiven | undefined;
  /**
   * Certificates, for a pool that has them.
   *
   * @default none: connections are in plain text
   */
  readonly credentials?: CredentialsGiven | undefined;
  /**
   * Milliseconds in which `ping` and `list` must have their answers, and `down` twice as many beyond its grace time.
   *
   * @default 5000
   */
  readonly timeout?: number | undefined;
}

/** A pool, as it answers. */
export interface PoolPing {
  /** The version of Skein that it runs. */
  readonly version: string;
  /** Milliseconds since it was started. */
  readonly uptime: number;
  /** Workers that are up. */
  readonly workers: number;
  /** The machine and the process that answer. */
  readonly host: string;
  readonly pid: number;
}

/** Why a pool can't be asked. */
export type PoolProblem = AuthenticationError | CredentialsError | PoolUnreachable;

export interface PoolWatcher {
  /** The workers: at first, and after each change. What they are doing is not told. */
  workers(workers: readonly ListedWorker[]): void;
  /** The pool is not there, not there any more, or lets nobody in. Called once, and last. */
  ended(error: PoolProblem): void;
  /** What was told of a worker can't be read. */
  skipped?(why: string): void;
}

const DEFAULT_TIMEOUT_MS = 5_000;
const EMPTY = Buffer.alloc(0);

/**
 * Each call has a connection of its own. What is asked rejects with
 *
 * - `PoolUnreachable` when nobody answers, or something that is no pool;
 * - `AuthenticationError` when the two sides do not trust each other, by authkeys or certificates;
 * - `CredentialsError` when a provider gives no credentials.
 */
export class ControlClient {
  /** Where it asks, e.g. `tcp://127.0.0.1:7411`. */
  readonly address: string;
  readonly #authkey: AuthkeyGiven | undefined;
  readonly #credentials: CredentialSource | undefined;
  readonly #timeoutMs: number;

  /** @throws TypeError when the host, the port, the timeout, the authkey or the credentials are none */
  constructor(options: ControlClientOptions = {}) {
    const { authkey, timeout = DEFAULT_TIMEOUT_MS } = options;
    const { address } = poolAddress(options);
    if (!(typeof timeout === 'number' && timeout > 0)) {
      throw new TypeError(
        `timeout must be a number of milliseconds above 0, not ${String(timeout)}`,
      );
    }
    this.address = address;
    this.#authkey = authkey;
    this.#credentials = CredentialSource.of(options.credentials);
    this.#timeoutMs = timeout;
    // Now, and not with the first call: the mistake is here.
    this.#caller().close();
  }

  async ping(): Promise<PoolPing> {
    const reply = await this.#ask(POOL_PATHS.ping, EMPTY, this.#timeoutMs, (bytes) =>
      readPingReply(new PbfReader(bytes)),
    );
    const { version, uptime_ms: uptime, workers, host, pid } = reply;
    return { version, uptime, workers, host, pid };
  }

  /** The workers, and what each is doing. */
  async list(): Promise<readonly ListedWorker[]> {
    return await this.#ask(POOL_PATHS.list, EMPTY, this.#timeoutMs, (bytes) =>
      decodeRoster(bytes, this.address, () => {}),
    );
  }

  /**
   * Ends the pool, and resolves when all its workers have ended.
   *
   * @param graceMs milliseconds that tasks may go on before they are aborted. Default: all that they take
   * @param answered called when a pool is there: its end is waited for from then on
   */
  async down(graceMs?: number, answered?: () => void): Promise<void> {
    // What never answers is not to be waited for as long as tasks are.
    await this.ping();
    answered?.();
    const writer = new PbfWriter();
    const waits = graceMs === undefined || graceMs === Number.POSITIVE_INFINITY;
    writeDownRequest(waits ? {} : { grace_ms: graceMs }, writer);
    // Beyond the grace time it only takes its leave, and kills those that do not end.
    const timeoutMs = waits ? undefined : graceMs + 2 * this.#timeoutMs;
    await this.#ask(POOL_PATHS.down, writer.finish(), timeoutMs, () => {});
  }

  /**
   * Tells of the workers, until the pool is gone. It keeps no process alive.
   *
   * @returns what ends it; `ended` is not called then
   */
  watch(watcher: PoolWatcher): () => void {
    const caller = this.#caller(true);
    let over = false;
    const end = (cause?: unknown) => {
      if (over) return;
      stop();
      watcher.ended(this.#problem(cause));
    };
    const take = (bytes: Buffer) => {
      if (over) return;
      try {
        const skipped = (why: string) => watcher.skipped?.(why);
        watcher.workers(decodeRoster(bytes, this.address, skipped));
      } catch (error) {
        end(error);
      }
    };
    const cancel = caller.stream(POOL_PATHS.watch, EMPTY, take, end);
    const stop = () => {
      over = true;
      cancel();
      caller.close();
    };
    return stop;
  }

  #caller(background = false): GrpcCaller {
    const [authkey, credentials] = [this.#authkey, this.#credentials];
    return new GrpcCaller(this.address, { authkey, credentials, background });
  }

  async #ask<T>(
    path: string,
    request: Uint8Array,
    timeoutMs: number | undefined,
    read: (bytes: Buffer) => T,
  ): Promise<T> {
    using caller = this.#caller();
    try {
      return read(await caller.unary(path, request, timeoutMs));
    } catch (error) {
      throw this.#problem(error);
    }
  }

  #problem(cause: unknown): PoolProblem {
    if (isTrustError(cause)) return cause;
    const message = `No pool answers at ${this.address}: ${problem(cause)}.`;
    return new PoolUnreachable(message, { address: this.address, cause });
  }
}

function problem(cause: unknown): string {
  if (cause === undefined) return 'it ended the connection';
  const { code, details, message } = cause as ServiceError;
  switch (code) {
    case status.UNIMPLEMENTED:
      return 'what listens there is something else, a worker perhaps';
    case status.UNAVAILABLE:
      return connectProblem(cause as ServiceError);
    default:
      return (details ?? message).replace(/\.$/, '');
  }
}
