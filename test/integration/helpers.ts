/** What the integration tests share: scratch files, processes, and waiting for a condition. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, vi } from 'vitest';

export const ROOT = join(import.meta.dirname, '../..');

/** A folder for the test file that asks, removed after its tests. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'skein-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

let files = 0;

/** A file in `folder` that is not there yet, for tasks to leave their traces in. */
export function trace(folder: string): Trace {
  files += 1;
  return new Trace(join(folder, `trace-${files}`));
}

/** What tasks have written to a file, line by line; see `routines/tasks.ts`. */
export class Trace {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get lines(): string[] {
    if (!existsSync(this.path)) return [];
    return readFileSync(this.path, 'utf8').split('\n').slice(0, -1);
  }

  /** Resolves when a line that starts with `text` has been written `times` times. */
  async has(text: string, times = 1): Promise<void> {
    await until(() => {
      const found = this.lines.filter((line) => line.startsWith(text)).length;
      if (found < times) {
        throw new Error(`'${text}' ${found} times of ${times} in ${JSON.stringify(this.lines)}`);
      }
    });
  }

  /** Lets the tasks go on that wait in `gate`. */
  open(): void {
    writeFileSync(`${this.path}.open`, '');
  }
}

/** Polls until `check` does not throw. */
export async function until<T>(check: () => T | Promise<T>, timeout = 15_000): Promise<T> {
  return await vi.waitFor(check, { timeout, interval: 5 });
}

/** Whether a process runs; one that has ended but was not reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
  } catch {
    // No /proc on this system, or gone meanwhile.
    return process.platform !== 'linux';
  }
}

export async function untilGone(pids: readonly number[]): Promise<void> {
  await until(() => {
    const left = pids.filter(isAlive);
    if (left.length > 0) throw new Error(`still there: ${left.join(', ')}`);
  });
}

/** The error that a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not reject');
}

/** The error that a function throws. */
export function thrown(fn: () => unknown): unknown {
  try {
    fn();
  } catch (error) {
    return error;
  }
  throw new Error('it did not throw');
}

export interface Script {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>;
}

/** Options by which Node loads the TypeScript of this repository, in less time than by `tsx`. */
export const TYPESCRIPT: readonly string[] = ['--import', moduleUrl('loader/tsx.js')];

/** Options by which it loads any, as users have it. */
export const TSX: readonly string[] = ['--import', import.meta.resolve('tsx')];

/** Runs Node on a file, with a loader when it is TypeScript. Options of this test run do not reach it.
 * `within` is a command that runs another one. */
export function runScript(
  file: string,
  args: string[] = [],
  options: SpawnOptions & { readonly loader?: readonly string[] } = {},
  within: string[] = [],
): Script {
  const ours = resolve(file).startsWith(ROOT) ? TYPESCRIPT : TSX;
  const loader = file.endsWith('.ts') ? (options.loader ?? ours) : [];
  const { NODE_OPTIONS: _options, VITEST: _vitest, ...env } = process.env;
  const [command = '', ...rest] = [...within, process.execPath, ...loader, file, ...args];
  const child = spawn(command, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
    ...options,
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (data) => {
    stdout += data;
  });
  child.stderr?.on('data', (data) => {
    stderr += data;
  });
  const ended = new Promise<number | string | null>((resolve) => {
    child.on('close', (code, signal) => resolve(signal ?? code));
  });
  return { child, stdout: () => stdout, stderr: () => stderr, ended };
}

/** The URL of a module beside the tests. */
export function moduleUrl(path: string): string {
  return pathToFileURL(join(ROOT, 'test', path)).href;
}
