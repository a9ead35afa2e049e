/**
 * What a pool and the workers that it spawned tell each other of packages: in which folders those are that
 * they name modules by. A worker could not find all of them: the program may be started from anywhere, and
 * dependencies of dependencies may be hidden from it.
 */
import { resolve } from 'node:path';
import { knownPackages, learnPackage, onPackage } from '../routine/module-name.ts';
import {
  addPackageSeeker,
  type ModulePolicy,
  seekPackage,
  setModulePolicy,
} from '../routine/whereabouts.ts';
import type { FromWorker, ToWorker, WorkerSetup } from './ipc.ts';

/** Milliseconds in which a worker's word of a package may be on its way to the pool. */
const REPORT_MS = 1_000;
/** Milliseconds that a worker waits for the pool's answer. The program may be busy. */
const ANSWER_MS = 5_000;

export type PackageReport = Extract<FromWorker, { skein: 'package' | 'where' }>;
export type PackageHint = Extract<ToWorker, { skein: 'packages' | 'nowhere' }>;

/** A worker that was spawned here. */
interface Hinted {
  send(message: ToWorker): void;
}

/** The side of the process whose pools have spawned workers. */
class PackageHints {
  /** And whether they may know what the others have said. */
  readonly #workers = new Map<Hinted, boolean>();
  readonly #warned = new Set<string>();
  #leave: (() => void)[] = [];

  /**
   * Tells a worker from now on of packages that get known here.
   *
   * @param files whether others than this process's own pools can reach it; then it hears of packages only
   * that made something in this process, since it imports what is in their folders
   * @returns the folders of those that are known now
   */
  join(worker: Hinted, files: boolean): Record<string, string> {
    if (this.#workers.size === 0) {
      this.#leave = [
        onPackage(({ name, folder }, own) => this.#tell({ [name]: folder }, own)),
        addPackageSeeker((name) => becomesKnown(name, REPORT_MS)),
      ];
    }
    this.#workers.set(worker, files);
    const told = [...knownPackages()].filter(([, { own }]) => own || files);
    return Object.fromEntries(told.map(([name, { folder }]) => [name, folder]));
  }

  leave(worker: Hinted): void {
    this.#workers.delete(worker);
    if (this.#workers.size > 0) return;
    for (const leave of this.#leave.splice(0)) leave();
  }

  receive(worker: Hinted, message: PackageReport): void {
    if (message.skein === 'where') {
      void this.#answer(worker, message.package);
      return;
    }
    const { name, folder } = message;
    learnPackage({ name, folder });
    const first = knownPackages().get(name)?.folder;
    if (first !== undefined && first !== folder) this.#warn(name, first, folder);
  }

  async #answer(worker: Hinted, name: string): Promise<void> {
    await seekPackage(name);
    const known = knownPackages().get(name);
    const tells = known !== undefined && (known.own || this.#workers.get(worker) === true);
    if (tells) worker.send({ skein: 'packages', packages: { [name]: known.folder } });
    else worker.send({ skein: 'nowhere', package: name });
  }

  #tell(packages: Record<string, string>, own: boolean): void {
    for (const [worker, files] of this.#workers) {
      if (own || files) worker.send({ skein: 'packages', packages });
    }
  }

  #warn(name: string, first: string, second: string): void {
    const key = `${name} ${second}`;
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    process.emitWarning(
      `the package '${name}' is in two folders: ${first}, and in a worker ${second}. Routines and classes ` +
        'of the one may be taken for those of the other: have one copy of it (npm dedupe), or let the ' +
        'program import both before its workers do',
      'SkeinWarning',
    );
  }
}

/** Of this process: what packages are known is known to all of it. */
export const packageHints = new PackageHints();

/** The side of a worker that a pool spawned. */
export class PackageNews {
  /** Which modules it imports for others. */
  readonly policy: ModulePolicy;
  readonly #folders = new Set<string>();
  readonly #asking = new Map<string, Set<() => void>>();

  constructor({ root, files, packages }: WorkerSetup, send: (message: PackageReport) => void) {
    this.policy = { root: resolve(root), files, folders: this.#folders };
    setModulePolicy(this.policy);
    this.receive({ skein: 'packages', packages });
    const report = (name: string, folder: string) => send({ skein: 'package', name, folder });
    // What Node was told to import before all else may have made something.
    for (const [name, { folder, own }] of knownPackages()) if (own) report(name, folder);
    onPackage(({ name, folder }, own) => {
      if (own) report(name, folder);
    });
    addPackageSeeker((name) => this.#ask(name, send));
  }

  receive(message: PackageHint): void {
    if (message.skein === 'nowhere') {
      this.#answered(message.package);
      return;
    }
    for (const [name, folder] of Object.entries(message.packages)) {
      this.#folders.add(folder);
      learnPackage({ name, folder });
      this.#answered(name);
    }
  }

  #ask(name: string, send: (message: PackageReport) => void): Promise<void> {
    return new Promise((done) => {
      const waiting = this.#asking.get(name) ?? new Set();
      this.#asking.set(name, waiting.add(done));
      setTimeout(done, ANSWER_MS).unref();
      if (waiting.size === 1) send({ skein: 'where', package: name });
    });
  }

  #answered(name: string): void {
    for (const done of this.#asking.get(name) ?? []) done();
    this.#asking.delete(name);
  }
}

/** Is over when a package is known, or after so many milliseconds. */
function becomesKnown(name: string, ms: number): Promise<void> {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      stop();
      done();
    };
    const timer = setTimeout(end, ms);
    const stop = onPackage((one) => {
      if (one.name === name) end();
    });
  });
}
