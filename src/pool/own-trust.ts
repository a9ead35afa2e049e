/** The spawned workers to which no link comes up since one side does not trust the other: their certificate has expired, say. */
import { WorkerWarnings } from '../actors/worker-warnings.ts';
import { systemEnv } from '../env.ts';
import { AuthenticationError } from '../errors.ts';
import type { CloseReason } from '../transport/transport.ts';

export class OwnTrust {
  readonly #distrust = new Map<string, AuthenticationError>();
  readonly #warnings: WorkerWarnings;

  constructor(warn: (message: string) => void) {
    this.#warnings = new WorkerWarnings(systemEnv, warn);
  }

  /** The link to a worker did not come up. */
  failed(worker: { readonly uid: string; readonly address: string }, { cause }: CloseReason): void {
    const { uid } = worker;
    if (!(cause instanceof AuthenticationError)) return this.forget(uid);
    this.#distrust.set(uid, cause);
    this.#warnings.tell(uid, worker, `it is not used: ${cause.message}`);
  }

  /** The link to it came up, or it is gone. */
  forget(uid: string): void {
    if (this.#distrust.delete(uid)) this.#warnings.clear(uid);
  }

  /** Why there are none of these workers to be reached; undefined while there is one, or may be one soon. */
  distrustOf(uids: readonly string[]): AuthenticationError | undefined {
    const all = uids.map((uid) => this.#distrust.get(uid));
    return all.includes(undefined) ? undefined : all.at(-1);
  }

  end(): void {
    this.#warnings.end();
  }
}
