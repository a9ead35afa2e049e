/** A child process with methods: how the benchmark talks to what it measures. */
import { type ChildProcess, fork } from 'node:child_process';

/** What a child offers. Arguments and results must survive structured cloning. */
export type Methods = Record<string, (...args: never[]) => unknown>;

/** An error's message, and where it comes from. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return (error.stack ?? error.message).split('\n').slice(0, 5).join('\n');
}

interface Request {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string };

/** The id of the reply that says that the child is ready. */
const ready = 0;

/**
 * In the child: starts with `start`, then answers its parent until that lets go of it or is gone.
 * Whatever else keeps the process alive, it ends then.
 */
export function serve(start: (args: readonly string[]) => Promise<Methods> | Methods): void {
  process.on('disconnect', () => process.exit(0));
  // By `exit`, so that what must be removed is removed.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
  const reply = (message: Reply): void => {
    // The parent may be gone by now; then `disconnect` ends this process.
    if (process.connected) process.send?.(message);
  };
  const fail = (id: number, error: unknown): void => reply({ id, error: describe(error) });

  Promise.resolve(process.argv.slice(2))
    .then(start)
    .then(
      (methods) => {
        process.on('message', ({ id, method, args }: Request) => {
          const run = methods[method] as ((...args: readonly unknown[]) => unknown) | undefined;
          Promise.resolve(args)
            .then((args) => {
              if (!run) throw new Error(`no method ${method}`);
              return run(...args);
            })
            .then(
              (value) => reply({ id, value }),
              (error: unknown) => fail(id, error),
            );
        });
        reply({ id: ready, value: undefined });
      },
      (error: unknown) => fail(ready, error),
    );
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** In the parent: one child. */
export class Child<M extends Methods> {
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #gone: Promise<void>;
  #lost: Error | undefined;
  #nextId = ready + 1;

  private constructor(name: string, module: URL, args: readonly string[]) {
    this.#name = name;
    this.#process = fork(module, args, {
      // Nothing of the orchestrator's own flags (its loader) may reach what is measured.
      execArgv: [],
      serialization: 'advanced',
      // The standard output is for the report alone.
      stdio: ['ignore', process.stderr, process.stderr, 'ipc'],
    });
    this.#process.on('message', (reply: Reply) => this.#settle(reply));
    this.#process.on('error', (error) => this.#lose(error));
    this.#gone = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => {
        this.#lose(new Error(`${name} ended (${signal ?? `exit code ${code}`})`));
        resolve();
      });
    });
  }

  /** Starts `module` and waits until it is ready. */
  static async start<M extends Methods>(
    name: string,
    module: URL,
    args: readonly string[] = [],
  ): Promise<Child<M>> {
    const child = new Child<M>(name, module, args);
    try {
      await child.#answer(ready, 30_000, 'start');
      return child;
    } catch (error) {
      await child.end();
      throw error;
    }
  }

  /** Calls a method of the child. A child that does not answer within `timeoutMs` is ended. */
  call<K extends keyof M & string>(
    method: K,
    args: Parameters<M[K]>,
    timeoutMs = 60_000,
  ): Promise<Awaited<ReturnType<M[K]>>> {
    const id = this.#nextId++;
    const request: Request = { id, method, args };
    const answer = this.#answer(id, timeoutMs, method);
    if (!this.#lost) this.#process.send(request);
    return answer as Promise<Awaited<ReturnType<M[K]>>>;
  }

  /** Lets go of the child, which ends itself then; one that doesn't is killed. */
  async end(): Promise<void> {
    if (this.#process.connected) this.#process.disconnect();
    const killer = setTimeout(() => this.#process.kill('SIGKILL'), 3_000);
    await this.#gone;
    clearTimeout(killer);
  }

  #answer(id: number, timeoutMs: number, what: string): Promise<unknown> {
    if (this.#lost) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#lose(new Error(`${this.#name}: no answer to '${what}' in ${timeoutMs / 1000} s`));
        this.#process.kill('SIGKILL');
      }, timeoutMs);
      this.#waiting.set(id, {
        resolve: (value) => {
          clearTimeout(timer);
          resolve(value);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
    });
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('error' in reply) waiting?.reject(new Error(`${this.#name}: ${reply.error}`));
    else waiting?.resolve(reply.value);
  }

  #lose(error: Error): void {
    this.#lost ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#lost);
    this.#waiting.clear();
  }
}
