/** What a pool and the worker processes that it spawned say to each other over the IPC channel. */
import type { WorkerAddress } from '../actors/peer.ts';
import type { HookName } from '../routine/hook.ts';
import type { PeerLimits } from '../security/limits.ts';
import type { Material } from '../security/material.ts';
import type { TransportRecipe } from '../transport/transport.ts';

/** From the pool to its worker. */
export type ToWorker =
  | { skein: 'start'; setup: WorkerSetup; sourceMaps: boolean }
  /** The workers that the pool has spawned, this one included, and those that it has found: for nested calls. */
  | { skein: 'roster'; workers: readonly WorkerAddress[]; found: readonly WorkerAddress[] }
  /** Folders of packages that modules are named by, by the packages' names. */
  | { skein: 'packages'; packages: Readonly<Record<string, string>> }
  /** The answer to `where` for a package that the pool does not know. */
  | { skein: 'nowhere'; package: string }
  /** What new connections are made with from now on. */
  | { skein: 'renew'; material: Material }
  /** Whether its event loop turns; answered by `pong`. */
  | { skein: 'ping' }
  | { skein: 'stop'; graceMs: number | undefined };

/** From a worker to its pool. */
export type FromWorker =
  | {
      skein: 'started';
      uid: string;
      address: string;
      alternatives: readonly string[];
      beat: string | undefined;
    }
  | { skein: 'failed'; message: string }
  | { skein: 'pong' }
  /** The first module of a package has made something here. */
  | { skein: 'package'; name: string; folder: string }
  /** Asks for the folder of a package; answered by `packages` or `nowhere`. */
  | { skein: 'where'; package: string }
  /** It takes no more tasks, and ends when those that it has are over. */
  | { skein: 'leaving' }
  /** They are over: it waits for the word to stop. */
  | { skein: 'left' };

export interface WorkerSetup {
  /** Where to listen for gRPC: `tcp://127.0.0.1:0`, `unix:///...`; undefined: nowhere. */
  readonly address: string | undefined;
  /** Transports beside gRPC: it listens on each, and calls others over it. */
  readonly transports: readonly TransportRecipe[];
  /** What callers must show that they have, as `encodeAuthkey` gives it; undefined for nothing. */
  readonly authkey: string | undefined;
  /**
   * The same of a pool whose workers are for nobody else, which it has made for them: those that it has found
   * do not have it. Undefined where there is an authkey, or others may call.
   */
  readonly secret: string | undefined;
  /** What its connections over gRPC are made with, by TLS and no others; undefined: they are in plain text. */
  readonly material: Material | undefined;
  /** A caller is given up that was silent for so many milliseconds; undefined for those of a parent. */
  readonly callerLostAfterMs: number | undefined;
  /** What else it says of itself. */
  readonly extra: Readonly<Record<string, string>> | undefined;
  /** Where its beat listens: `beat+tcp://127.0.0.1:0`, `beat+unix:///...`; undefined: nowhere on this machine. */
  readonly beat: string | undefined;
  readonly tags: readonly string[];
  /** Tasks that may run at a time; undefined for no limit. */
  readonly concurrency: number | undefined;
  readonly limits: PeerLimits;
  /** Whether errors take the worker's stack along. */
  readonly exposeStacks: boolean;
  /** The routine that is asked whether it takes a task; undefined for none. */
  readonly backpressure: HookName | undefined;
  /** Whose calls it takes, by names in certificates, or by the routine that is asked; undefined: all. */
  readonly authorize: readonly string[] | HookName | undefined;
  /** Whether functions by value run here. */
  readonly allowInline: boolean;
  /** Whether values of context variables that can't travel fail their tasks. */
  readonly strict: boolean;
  /** Modules that it imports before it listens: paths from `root`, or names as `my-app/src/routines.ts`. */
  readonly modules: readonly string[];
  /** Folder in which packages are looked for that are not known otherwise. */
  readonly root: string;
  /** Whether it imports any file that callers name; otherwise only those below `root` or of `packages`. */
  readonly files: boolean;
  /** URLs of the folders of packages that are known to the pool, by their names. */
  readonly packages: Readonly<Record<string, string>>;
  /** Whether its links to other workers come with the first calls of its tasks, and go some time after the last. */
  readonly lazy: boolean;
  /** Milliseconds after the last call; undefined for never. */
  readonly proxyTtlMs: number | undefined;
  /** Another worker is given up when it gave no sign of life for so many milliseconds. */
  readonly lostAfterMs: number;
}

// On globalThis, so that two copies of the package in one process agree; not in the environment, which
// the processes that a task starts would inherit.
const mark = Symbol.for('skein.worker');
const holder = globalThis as { [mark]?: boolean };

/** Called by the entry of a worker process, before it imports anything of the user's. */
export function markAsWorker(): void {
  holder[mark] = true;
}

export function isWorkerProcess(): boolean {
  return holder[mark] === true;
}
