/** What a durable pool answers for: its workers, and their end. */
import type { InspectionEvent } from 'xstate';
import { shortUid } from '../actors/steps.ts';
import type { ControlSource } from '../control/server.ts';
import type { ControlledWorker } from '../control/workers.ts';
import { isWildcard } from '../discovery/adapters/interfaces.ts';
import type { ReplacedWorker } from '../pool/children.ts';
import type { PoolWorker, WorkerPool } from '../pool/pool.ts';
import type { CredentialsGiven } from '../security/credentials.ts';
import { type Address, formatAddress, parseAddress } from '../transport/address.ts';
import { stopWorker } from '../transport/stop.ts';
import type { Transport } from '../transport/transport.ts';
import { VERSION } from '../transport/version.ts';
import { duration } from './output.ts';

export interface SupervisorOptions {
  /** Where the workers listen. */
  readonly host: string;
  readonly concurrency: number | undefined;
  readonly authkey: Uint8Array | undefined;
  readonly credentials: CredentialsGiven | undefined;
  /** How they are reached where gRPC does not reach them. */
  readonly transport: Transport | undefined;
  /** Says what happens to the workers. */
  readonly say: (line: string) => void;
}

export class Supervisor implements ControlSource {
  readonly #options: SupervisorOptions;
  readonly #listeners = new Set<() => void>();
  /** How often the worker in a place was replaced, by the uid of the one that has it. */
  readonly #restarts = new Map<string, number>();
  /** Those of places that have no worker at present. */
  readonly #vacant: { readonly uid: string; readonly restarts: number }[] = [];
  #workers: readonly PoolWorker[] = [];
  #pool: WorkerPool | undefined;
  #ending: Promise<void> | undefined;
  #looking = false;
  #settle: () => void = () => {};
  readonly #over = new Promise<void>((resolve) => {
    this.#settle = resolve;
  });

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Resolves when the pool was asked to end, and has. */
  get over(): Promise<void> {
    return this.#over;
  }

  get isEnding(): boolean {
    return this.#ending !== undefined;
  }

  set pool(pool: WorkerPool) {
    this.#pool = pool;
    this.#look();
  }

  /** For the pool: sees its workers come and go. */
  readonly inspect = (event: InspectionEvent): void => {
    if (event.type !== '@xstate.event') return;
    const { type } = event.event;
    if (this.#looking || !['added', 'dropped', 'started', 'exited'].includes(type)) return;
    this.#looking = true;
    setImmediate(() => {
      this.#looking = false;
      this.#look();
    });
  };

  /** For the pool: tells which worker is replaced. */
  readonly replacing = ({ uid, pid, why, pauseMs }: ReplacedWorker): void => {
    if (this.isEnding) return;
    const pause = pauseMs === 0 ? '' : ` in ${duration(pauseMs)}`;
    const what =
      uid === undefined
        ? `a worker (process ${pid}) did not come up, and is tried again${pause}`
        : `${nameOf(uid, pid)} has ended, and is replaced${pause}`;
    this.#options.say(`${what}: ${why}`);
  };

  workers(): readonly ControlledWorker[] {
    const { concurrency, credentials } = this.#options;
    return this.#workers.map(({ uid, address, alternatives, beat, host, pid, tags }) => ({
      uid,
      address: this.#advertised(address),
      alternatives,
      beat: beat && this.#advertisedBeat(beat),
      host,
      pid,
      tags,
      version: VERSION,
      restarts: this.#restarts.get(uid) ?? 0,
      secure: credentials !== undefined && address.startsWith('tcp:'),
      ...(concurrency !== undefined && { channel: { concurrency } }),
    }));
  }

  changed(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** For who asks over the network. */
  async down(graceMs: number | undefined): Promise<void> {
    const waits = graceMs === 0 ? '' : ', and waits for tasks that run';
    this.#options.say(`the pool was asked to end${waits}`);
    await this.end(graceMs);
  }

  /** Ends the workers; called again, a shorter grace time of the second call wins. */
  async end(graceMs: number | undefined): Promise<void> {
    if (this.#ending === undefined) this.#ending = this.#end(graceMs);
    else if (graceMs !== undefined) this.#hurry(graceMs);
    await this.#ending;
  }

  async #end(graceMs: number | undefined): Promise<void> {
    const grace = graceMs === undefined ? {} : { grace: graceMs };
    await this.#pool?.close(grace);
    this.#settle();
  }

  #hurry(grace: number): void {
    const { authkey, credentials, transport } = this.#options;
    for (const { address, beat } of this.#workers) {
      // One that is gone has nothing to do any more.
      stopWorker(address, { grace, beat, authkey, credentials, transport }).catch(() => {});
    }
  }

  #look(): void {
    const workers = (this.#pool?.workers ?? []).filter(({ spawned }) => spawned);
    // Those that end are still to be reached.
    if (this.isEnding) return;
    const uids = new Set(workers.map(({ uid }) => uid));
    for (const { uid } of this.#workers) {
      if (uids.has(uid)) continue;
      this.#vacant.push({ uid, restarts: (this.#restarts.get(uid) ?? 0) + 1 });
      this.#restarts.delete(uid);
    }
    for (const { uid, pid } of workers) {
      if (this.#restarts.has(uid)) continue;
      const before = this.#vacant.shift();
      this.#restarts.set(uid, before?.restarts ?? 0);
      if (before === undefined) continue;
      this.#options.say(`${nameOf(uid, pid)} is up, in the place of ${shortUid(before.uid)}`);
    }
    this.#workers = workers;
    for (const listener of [...this.#listeners]) listener();
  }

  /** The pool reaches them on this host; whoever asks puts its own way in the place of a wildcard. */
  #advertised(address: string): string {
    const { host } = this.#options;
    if (!address.startsWith('tcp:') || !isWildcard(host)) return address;
    return formatAddress({ ...parseAddress(address), host } as Address);
  }

  #advertisedBeat(beat: string): string {
    const [, target = '', token = ''] = /^beat\+([^#]*)(#.*)?$/.exec(beat) ?? [];
    return `beat+${this.#advertised(target)}${token}`;
  }
}

function nameOf(uid: string, pid: number | undefined): string {
  return `worker ${shortUid(uid)}${pid === undefined ? '' : ` (process ${pid})`}`;
}
