/** The workers that a pool spawns: where they listen, who they are, and who is told of them. */
import { rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { WorkerAddress } from '../actors/peer.ts';
import type { AnnouncedWorker, DiscoveryPublisher } from '../discovery/discovery.ts';
import { systemEnv, type Timer } from '../env.ts';
import type { RuntimeLog } from '../logger.ts';
import { encodeAuthkey } from '../security/authkey.ts';
import { forgetSecret, rememberSecret } from '../security/own-workers.ts';
import type { CredentialSource } from '../security/source.ts';
import { formatAddress, withoutWildcard } from '../transport/address.ts';
import { toBeatAddress } from '../transport/beat.ts';
import { VERSION } from '../transport/version.ts';
import type { WorkerSetup } from '../worker/ipc.ts';
import { WorkerOutput } from '../worker/output.ts';
import { type StartedWorker, WorkerProcess } from '../worker/process.ts';
import type { StreamName } from '../worker/sink.ts';
import { makeFolder } from '../worker/sockets.ts';

export interface ChildrenOptions {
  /** What each worker is told, but for where it listens. */
  readonly setup: Omit<WorkerSetup, 'address' | 'beat' | 'packages' | 'secret' | 'material'>;
  /** What they want to be shown, where they are for nobody but the pool. */
  readonly secret: Uint8Array | undefined;
  /** Their certificates, which must be `ready`. Undefined: all is in plain text. */
  readonly credentials: CredentialSource | undefined;
  readonly startTimeoutMs: number;
  /** For gRPC: Unix sockets, or TCP on this host; undefined: nowhere. */
  readonly listen: { readonly unix: true } | { readonly host: string } | undefined;
  /** Where what listens at an address is reached by others. */
  readonly reach: (address: string) => string;
  /** Who is told of the workers, so that other programs find them. */
  readonly publisher: DiscoveryPublisher | undefined;
  readonly started: (slot: number) => void;
  readonly leaving: (slot: number) => void;
  readonly exited: (slot: number, why: string) => void;
  /**
   * A worker that ends sooner after it has come up counts as one that did not come up, in milliseconds.
   */
  readonly steadyAfterMs: number;
  readonly log: RuntimeLog;
  /** Which stream of this process takes what the workers print on their standard output. */
  readonly output: StreamName | undefined;
}

interface Child {
  readonly process: WorkerProcess;
  /** Known when it is up. */
  worker: WorkerAddress | undefined;
  /** When it came up. */
  since: number;
  /** As it was announced. */
  announced: AnnouncedWorker | undefined;
}

export interface KnownChild {
  readonly pid: number | undefined;
  readonly beat: string | undefined;
  readonly alternatives: readonly string[];
}

/** One that ends, or does not come up. */
export interface ReplacedWorker {
  /** Undefined when it has not come up. */
  readonly uid: string | undefined;
  readonly pid: number | undefined;
  readonly why: string;
  /** Milliseconds until the next one is started in its place. */
  readonly pauseMs: number;
}

const KILL_TIMEOUT_MS = 2_000;
/** So many in a row that did not come up in a place are replaced at once; then after a pause, which doubles. */
const EAGER = 2;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

export class Children {
  readonly #options: ChildrenOptions;
  readonly #slots = new Map<number, Child>();
  readonly #output: WorkerOutput;
  /** Where they have their sockets, if they have some. */
  readonly #folder: string | undefined;
  /** Ends the news of certificates. */
  readonly #unwatch: (() => void) | undefined;
  #nextSlot = 0;
  /** By slot: how many in a row did not come up in this place. */
  readonly #failures = new Map<number, number>();
  readonly #pauses = new Set<Timer>();
  /** One word to a publisher comes after the other. */
  #publishing: Promise<void> = Promise.resolve();

  /** @throws WorkerStartError when there can be no folder for sockets */
  constructor(options: ChildrenOptions) {
    this.#options = options;
    this.#output = new WorkerOutput(options.log, options.output);
    if (options.listen && 'unix' in options.listen) this.#folder = makeFolder();
    this.#unwatch = options.credentials?.watch((material) => {
      for (const { process } of this.#slots.values()) process.send({ skein: 'renew', material });
    });
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Those that are up. */
  get workers(): WorkerAddress[] {
    return [...this.#slots.values()].flatMap(({ worker }) => worker ?? []);
  }

  /** What is known of one that is up; undefined when it is none of these. */
  find(uid: string): KnownChild | undefined {
    const child = this.#find(uid);
    const { beat, alternatives = [] } = child?.worker ?? {};
    return child && { pid: child.process.pid, beat, alternatives };
  }

  worker(slot: number): WorkerAddress | undefined {
    return this.#slots.get(slot)?.worker;
  }

  /** @param failures how many in a row did not come up in this place */
  spawn(failures = 0): void {
    this.#nextSlot += 1;
    const slot = this.#nextSlot;
    this.#failures.set(slot, failures);
    const { setup, secret, credentials, startTimeoutMs, reach, leaving, exited } = this.#options;
    const keys = { secret: secret && encodeAuthkey(secret), material: credentials?.material };
    const beatAddress = this.#address(slot, 'beat');
    const listen = {
      address: this.#address(slot, 'sock'),
      beat: beatAddress && toBeatAddress(beatAddress),
    };
    const options = { startTimeoutMs, killTimeoutMs: KILL_TIMEOUT_MS, output: this.#output };
    const process = new WorkerProcess({ ...setup, ...keys, ...listen }, options, {
      started: (started) => {
        const { uid, address, alternatives, beat } = started;
        const child = this.#slots.get(slot);
        if (child) {
          child.since = systemEnv.now();
          child.worker = {
            uid,
            address: reach(here(address)),
            ...(alternatives.length > 0 && { alternatives: alternatives.map(reach) }),
            beat: beat === undefined ? undefined : reach(here(beat)),
            tags: setup.tags,
            capacity: setup.concurrency,
          };
          if (secret) rememberSecret(addressesOf(child.worker), secret);
          this.#publish(child, started);
        }
        this.#options.started(slot);
      },
      leaving: () => {
        this.#withdraw(this.#slots.get(slot));
        this.#judge(slot);
        leaving(slot);
      },
      exited: (why) => {
        this.#judge(slot);
        exited(slot, why);
      },
    });
    this.#slots.set(slot, { process, worker: undefined, since: 0, announced: undefined });
  }

  /** Spawns one in the place of another: where none comes up, nothing is gained by haste. */
  respawn(slot: number): void {
    const failures = this.#failures.get(slot) ?? 0;
    const ms = pauseAfter(failures);
    this.#failures.delete(slot);
    if (ms === 0) return this.spawn(failures);
    const timer = systemEnv.timer(ms, () => {
      this.#pauses.delete(timer);
      this.spawn(failures);
    });
    this.#pauses.add(timer);
  }

  /** What is to be said of one that is about to be replaced. */
  replaced(slot: number, why: string): ReplacedWorker {
    const { process, worker } = this.#slots.get(slot) ?? {};
    const pauseMs = pauseAfter(this.#failures.get(slot) ?? 0);
    return { uid: worker?.uid, pid: process?.pid, why, pauseMs };
  }

  /** One that ends proves its place good, or not. */
  #judge(slot: number): void {
    const child = this.#slots.get(slot);
    const failures = this.#failures.get(slot);
    // It was replaced when it said that it would end.
    if (child === undefined || failures === undefined) return;
    const { steadyAfterMs } = this.#options;
    const isGood = child.worker !== undefined && systemEnv.now() - child.since >= steadyAfterMs;
    this.#failures.set(slot, isGood ? 0 : failures + 1);
  }

  /** Forgets one whose process has ended. */
  forget(slot: number): void {
    const child = this.#slots.get(slot);
    this.#withdraw(child);
    forgetSecret(addressesOf(child?.worker));
    this.#slots.delete(slot);
  }

  /** Tells them of each other and of the pool's other workers, for nested calls. */
  announce(found: readonly WorkerAddress[]): void {
    const { workers } = this;
    for (const { process } of this.#slots.values()) {
      process.send({ skein: 'roster', workers, found });
    }
  }

  /** So that it is replaced: a process that is stopped would hold its place for ever. */
  kill(uid: string, why: string): void {
    const process = this.#find(uid)?.process;
    // On its own machine it is always reached. What else carries its links and its beat may be away.
    if (this.#options.listen === undefined) process?.doubt(why);
    else process?.giveUp(why);
  }

  /** Asks all of them to end. @param graceMs milliseconds that their tasks may go on; undefined: all they need */
  stop(graceMs: number | undefined): void {
    for (const timer of this.#pauses) timer.cancel();
    for (const child of this.#slots.values()) {
      this.#withdraw(child);
      child.process.stop(graceMs);
    }
  }

  /** Resolves when the publisher knows all that it was told. */
  get published(): Promise<void> {
    return this.#publishing;
  }

  /** Resolves when all that they printed was forwarded; they must have ended. */
  async flushed(): Promise<void> {
    await this.#output.flushed();
  }

  /** For a process that ends, with whatever else is left of them. */
  cleanUp(): void {
    this.#unwatch?.();
    this.#output.drain();
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  #find(uid: string): Child | undefined {
    for (const child of this.#slots.values()) if (child.worker?.uid === uid) return child;
    return undefined;
  }

  /** Where the worker of a slot, and its beat, listen. A socket's path is used once: it may outlive a killed worker. */
  #address(slot: number, kind: 'sock' | 'beat'): string | undefined {
    const { listen } = this.#options;
    if (listen === undefined) return undefined;
    if (this.#folder !== undefined) return `unix://${join(this.#folder, `${slot}.${kind}`)}`;
    const host = 'host' in listen ? listen.host : '127.0.0.1';
    return formatAddress({ scheme: 'tcp', host, port: 0 });
  }

  /** Whether gRPC takes connections by TLS alone. */
  get #isSecure(): boolean {
    return this.#options.credentials !== undefined && this.#options.listen !== undefined;
  }

  #publish(child: Child, { address, alternatives, beat }: StartedWorker): void {
    const { publisher, setup } = this.#options;
    const { worker, process } = child;
    if (publisher === undefined || worker === undefined || process.pid === undefined) return;
    child.announced = {
      uid: worker.uid,
      address,
      ...(alternatives.length > 0 && { alternatives }),
      beat,
      pid: process.pid,
      host: hostname(),
      version: VERSION,
      tags: setup.tags,
      ...(setup.extra && { extra: setup.extra }),
      ...(setup.concurrency && { channel: { concurrency: setup.concurrency } }),
      secure: this.#isSecure,
    };
    this.#tell('worker-added', child.announced);
  }

  #withdraw(child: Child | undefined): void {
    if (child?.announced === undefined) return;
    this.#tell('worker-dropped', child.announced);
    child.announced = undefined;
  }

  #tell(type: 'worker-added' | 'worker-dropped', worker: AnnouncedWorker): void {
    const { publisher, log } = this.#options;
    this.#publishing = this.#publishing
      .then(() => publisher?.publish(type, worker))
      .catch((error: unknown) => {
        const what = type === 'worker-added' ? 'announced' : 'taken back';
        log.warn(`worker ${worker.uid.slice(0, 8)} can't be ${what}: ${String(error)}`);
      });
  }
}

function addressesOf({ address, alternatives = [] }: Partial<WorkerAddress> = {}): string[] {
  return address === undefined ? [] : [address, ...alternatives];
}

function pauseAfter(failures: number): number {
  const late = failures - EAGER;
  return late <= 0 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (late - 1));
}

/** How what listens on all addresses of this host, or its beat, is reached on this host. */
function here(address: string): string {
  return withoutWildcard(address, address.includes('[::]') ? 'tcp://[::1]:1' : 'tcp://127.0.0.1:1');
}
