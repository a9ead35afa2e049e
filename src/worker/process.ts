/** A worker process that a pool spawned, as the pool sees it. */
import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { FromWorker, ToWorker, WorkerSetup } from './ipc.ts';
import type { WorkerOutput } from './output.ts';
import { packageHints } from './package-hints.ts';

/** What it says when it is up. */
export type StartedWorker = Omit<Extract<FromWorker, { skein: 'started' }>, 'skein'>;

export interface ProcessHandlers {
  /** It listens. */
  started(worker: StartedWorker): void;
  /** It was told to end, though not by the pool: it takes no more tasks. */
  leaving(): void;
  /** It is gone, or did not come up; called exactly once. */
  exited(why: string): void;
}

export interface ProcessOptions {
  /** Milliseconds in which it must have come up. */
  readonly startTimeoutMs: number;
  /** Milliseconds beyond the grace time after which it is killed when it does not end by itself. */
  readonly killTimeoutMs: number;
  /** Takes what it prints. */
  readonly output: WorkerOutput;
}

/** A process that is not stopped, and whose loop turns, answers by then. */
const PONG_MS = 1_000;
/** Node's timers fire at once beyond that. */
const LONGEST_TIMER_MS = 0x7fffffff;

const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const entry = fileURLToPath(new URL(`./main${extension}`, import.meta.url));

/** It keeps its pool's process alive as little as its timers do: whoever waits for it does. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #options: ProcessOptions;
  readonly #handlers: ProcessHandlers;
  readonly #starting: NodeJS.Timeout;
  #killing: NodeJS.Timeout | undefined;
  #doubting: NodeJS.Timeout | undefined;
  #uid: string | undefined;
  #failure: string | undefined;
  #over = false;

  constructor(
    setup: Omit<WorkerSetup, 'packages'>,
    options: ProcessOptions,
    handlers: ProcessHandlers,
  ) {
    this.#options = options;
    this.#handlers = handlers;
    const { address } = setup;
    const folder = address?.startsWith('unix://') && dirname(address.slice('unix://'.length));
    this.#child = fork(entry, folder ? [folder] : [], {
      execArgv: execArgv(),
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    options.output.forward(this.#child, this);
    this.#child.unref();
    this.#child.channel?.unref();
    this.#starting = setTimeout(
      () => {
        this.giveUp(`it did not come up within ${options.startTimeoutMs} ms`);
      },
      Math.min(options.startTimeoutMs, LONGEST_TIMER_MS),
    ).unref();
    this.#child.on('message', (message) => this.#receive(message as FromWorker));
    this.#child.on('error', (error) => this.#end(`it can't be started: ${error.message}`));
    // 'exit' and not 'disconnect': only then the process is surely gone.
    this.#child.on('exit', (code, signal) =>
      this.#end(
        signal ? `its process was ended by ${signal}` : `its process exited with code ${code}`,
      ),
    );
    // They may have been switched on while the program runs, which no option of Node tells.
    const sourceMaps = process.sourceMapsEnabled;
    const packages = packageHints.join(this, setup.files);
    this.send({ skein: 'start', setup: { ...setup, packages }, sourceMaps });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Known when it has come up. */
  get uid(): string | undefined {
    return this.#uid;
  }

  send(message: ToWorker): void {
    if (!this.#child.connected) return;
    // It may be gone by now; 'exit' tells.
    this.#child.send(message, () => {});
  }

  /** Asks it to end; kills it when it does not. */
  stop(graceMs: number | undefined): void {
    if (this.#over) return;
    this.send({ skein: 'stop', graceMs });
    if (graceMs === undefined) return;
    clearTimeout(this.#killing);
    const ms = Math.min(graceMs + this.#options.killTimeoutMs, LONGEST_TIMER_MS);
    this.#killing = setTimeout(() => this.kill(), ms).unref();
  }

  /** Kills it, and says why when it is gone. */
  giveUp(why: string): void {
    this.#failure ??= why;
    this.kill();
  }

  /** As `giveUp`, unless it answers here: then it is the network that is silent. */
  doubt(why: string): void {
    this.send({ skein: 'ping' });
    this.#doubting ??= setTimeout(() => this.giveUp(why), PONG_MS).unref();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #receive(message: FromWorker): void {
    if (message?.skein === 'started') {
      clearTimeout(this.#starting);
      this.#uid = message.uid;
      const { skein: _skein, ...worker } = message;
      this.#handlers.started(worker);
    } else if (message?.skein === 'pong') {
      clearTimeout(this.#doubting);
      this.#doubting = undefined;
    } else if (message?.skein === 'failed') {
      this.#failure = message.message;
    } else if (message?.skein === 'leaving') {
      this.#handlers.leaving();
    } else if (message?.skein === 'left') {
      this.stop(0);
    } else if (message?.skein === 'package' || message?.skein === 'where') {
      packageHints.receive(this, message);
    }
  }

  #end(why: string): void {
    if (this.#over) return;
    this.#over = true;
    packageHints.leave(this);
    clearTimeout(this.#starting);
    clearTimeout(this.#killing);
    clearTimeout(this.#doubting);
    this.#handlers.exited(this.#failure ?? why);
  }
}

// Options of Node that make no sense for a second process, with those that take a value of their own.
const NOT_INHERITED =
  /^--(?:inspect|test|watch|input-type|eval|print|check|interactive|cpu-prof-name)/;
const NOT_INHERITED_WITH_VALUE = /^(?:-e|-p|-pe|--eval|--print)$/;

/** The options of this process's Node, and a loader when the worker's own entry is TypeScript. */
function execArgv(): string[] {
  const list: string[] = [];
  for (let i = 0; i < process.execArgv.length; i += 1) {
    const option = process.execArgv[i] as string;
    if (NOT_INHERITED_WITH_VALUE.test(option)) i += 1;
    else if (!NOT_INHERITED.test(option)) list.push(option);
  }
  const loads = 'typescript' in process.features && process.features.typescript;
  if (extension === '.ts' && !loads && !list.some((option) => option.includes('tsx'))) {
    list.push('--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href);
  }
  return list;
}
