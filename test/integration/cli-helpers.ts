/** What the tests of the command share: a program of a user's, and the command run in it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { isAlive, ROOT, scratchFolder, until } from './helpers.ts';

const COMMAND = join(ROOT, 'dist/cli/main.js');

const ROUTINES = `
import { appendFileSync } from 'node:fs';
import { routine, isWorker } from 'skein';

export const add = routine(async function add(x, y) { return x + y; });
export const squares = routine(async function* squares(n) {
  for (let i = 0; i < n; i += 1) yield i * i;
});
/** A number after each pause. */
export const ticks = routine(async function* ticks(ms) {
  for (let i = 0; ; i += 1) {
    yield i;
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
});
export const greet = routine(async function greet(name) {
  console.log('greeting', name);
  return 'hello, ' + name;
});
export const same = routine(async function same(value) { return value; });
export const odd = routine(async function odd() { return new Map([['a', 1n]]); });
export const big = routine(async function big() { return 1n; });
export const nothing = routine(async function nothing() {});
export const fail = routine(async function fail() { throw new RangeError('too far'); });
export const self = routine(async function self() { return [process.pid, isWorker]; });
export const secret = routine(async function secret() { return process.env.SKEIN_AUTHKEY ?? 'none'; });
export const environment = routine(async function environment(name) { return process.env[name] ?? 'none'; });
/** Leaves traces in a file. */
export const wait = routine(async function wait(file, ms) {
  appendFileSync(file, 'began\\n');
  await new Promise((resolve) => setTimeout(resolve, ms));
  appendFileSync(file, 'ended\\n');
  return 'waited';
});
export const crash = routine(async function crash() { process.exit(7); });
if (!isWorker) throw new Error('the main part of the module ran');
`;

/** A folder with a package of the name my-app, and routines in it. */
export function program(): string {
  const folder = scratchFolder();
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules/skein'));
  writeFileSync(join(folder, 'package.json'), '{ "name": "my-app", "type": "module" }');
  writeFileSync(join(folder, 'routines.js'), ROUTINES);
  return folder;
}

export interface Running {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  /** The exit code, or the signal. */
  readonly ended: Promise<number | string | null>;
  /** Resolves with what matches, when the command has printed it. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
}

export interface Given {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

const running = new Set<ChildProcess>();

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
});

/** Runs \`skein\` as a shell does. */
export function skein(args: readonly string[], { cwd, env = {}, input }: Given): Running {
  const { NODE_OPTIONS: _options, VITEST: _vitest, FORCE_COLOR: _color, ...outer } = process.env;
  const child = spawn(process.execPath, [COMMAND, ...args], {
    cwd,
    env: { ...outer, ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  let out = '';
  let err = '';
  child.stdout?.on('data', (data) => {
    out += data;
  });
  child.stderr?.on('data', (data) => {
    err += data;
  });
  child.stdin?.end(input);
  const ended = new Promise<number | string | null>((resolve) => {
    child.on('close', (code, signal) => {
      running.delete(child);
      resolve(signal ?? code);
    });
  });
  const says = (pattern: RegExp) =>
    until(() => {
      const match = pattern.exec(out) ?? pattern.exec(err);
      if (match) return match;
      throw new Error(`no ${pattern} in ${JSON.stringify([out, err])}`);
    });
  return { child, out: () => out, err: () => err, ended, says };
}

/** Runs it to its end. */
export async function result(args: readonly string[], given: Given) {
  const { ended, out, err } = skein(args, given);
  return { code: await ended, out: out(), err: err() };
}

/** A port that nobody has now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The processes that a process has started, and those of theirs that live. */
export function alive(pids: readonly number[]): number[] {
  return pids.filter(isAlive);
}
