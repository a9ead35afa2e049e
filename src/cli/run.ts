/** `skein run`: one routine, for trying things out. */
import { inspect } from 'node:util';
import { openWith, WorkerPool } from '../pool/pool.ts';
import type { CallOptions } from '../routine/gate.ts';
import { lookup, namesIn } from '../routine/registry.ts';
import { isTypeScript } from '../routine/typescript.ts';
import { findNamed } from '../wire/names.ts';
import { markAsWorker } from '../worker/ipc.ts';
import { readAuthkey } from './authkey.ts';
import { type CredentialFlags, credentialOptions, credentialsOf } from './credentials.ts';
import { checked, Failure, isExpected, usage } from './failure.ts';
import { given } from './given.ts';
import { load } from './modules.ts';
import { type NatsFlags, natsOf } from './nats.ts';
import { discoveryOf } from './options.ts';
import { isColoured, isUnread, print } from './output.ts';
import { Signals } from './signals.ts';
import { prepareTypeScript } from './typescript.ts';

export interface RunFlags extends NatsFlags, CredentialFlags {
  readonly host?: string;
  readonly port?: number;
  readonly authkey?: string;
  readonly discovery?: string;
  readonly tag?: readonly string[];
  readonly timeout?: number;
  readonly json?: boolean;
}

type Callable = (...args: unknown[]) => Promise<unknown> | AsyncIterable<unknown>;

interface Found {
  with(options: CallOptions): Callable;
}

/** So long a call waits for the first worker to be found. */
const PATIENCE_MS = 10_000;

/** Runs it, and prints what it gives. Resolves to the exit code. */
export async function runRoutine(
  module: string,
  routine: string,
  args: readonly string[],
  flags: RunFlags,
  secret: string | undefined,
  natsServers: string | undefined,
): Promise<number> {
  const values = args.map(parseArgument);
  const authkey = await readAuthkey(flags.authkey, secret);
  // The main part of the module is not wanted here.
  markAsWorker();
  if (isTypeScript(module)) await prepareTypeScript(process.cwd());
  const { found, isGenerator } = await findRoutine(module, routine);
  const abort = new AbortController();
  const signals = new Signals('the call is aborted', (signal) => {
    abort.abort(new Failure(`ended by ${signal}`));
  });
  let pool: WorkerPool | undefined;
  try {
    pool = await untilAborted(openPool(flags, authkey, natsServers), abort.signal);
    const call = found.with(given({ pool, timeout: flags.timeout, signal: abort.signal }));
    const answer = call(...values);
    if (isGenerator) await printAll(answer as AsyncIterable<unknown>, flags.json === true);
    else await printResult(await answer, flags.json === true);
  } catch (error) {
    if (signals.exitCode !== undefined) return signals.exitCode;
    throw isExpected(error) ? error : new Failure(withoutCommand(inspect(error)));
  } finally {
    await pool?.close({ grace: 0 });
  }
  return signals.exitCode ?? 0;
}

/** What the promise gives, unless the signal comes before. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  // Both may reject.
  aborted.catch(() => {});
  return await Promise.race([promise, aborted]);
}

/** The caller's frames are the command's, and say nothing. */
function withoutCommand(text: string): string {
  return text.replace(/^ +at .*[/\\]node_modules[/\\]commander[/\\].*\n?/gm, '').trimEnd();
}

function parseArgument(text: string, index: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const hint = /^[\w ./-]+$/.test(text) ? `. For a text write '"${text}"'` : '';
    throw usage(`argument ${index + 1} is no JSON: ${text} (${(error as Error).message})${hint}`);
  }
}

/** Where it runs: on a worker of its own, unless it is told otherwise. */
async function openPool(
  { host, port, discovery, tag: tags, ...flags }: RunFlags,
  authkey: Uint8Array | undefined,
  natsServers: string | undefined,
): Promise<WorkerPool> {
  const remote = host !== undefined || port !== undefined;
  if (remote && discovery !== undefined) {
    throw usage('--host and --port name a pool, and --discovery finds workers: give either');
  }
  const alone = !remote && discovery === undefined;
  if (alone && flags.nats !== undefined) {
    throw usage(
      '--nats says how workers are reached, and not which: give --discovery nats:NAME, too',
    );
  }
  const lone = credentialOptions().find(
    (option) => flags[option.attributeName() as keyof CredentialFlags] !== undefined,
  );
  if (alone && lone) {
    throw usage(
      `${lone.long} says how workers are reached, and not which: give --host or --discovery, too`,
    );
  }
  // A worker of its own has a socket that nobody else reaches.
  const credentials = alone ? undefined : credentialsOf(flags);
  const nats = alone ? undefined : await natsOf(flags, natsServers);
  const which = discovery === undefined ? undefined : discoveryOf(discovery, nats);
  // Otherwise it would wait for workers that it can't hear of.
  if (/^nats(:|$)/.test(discovery ?? '')) await nats?.connect();
  const options = given({ tags, authkey, credentials });
  const found = { ...options, ...given({ transport: nats?.transport }), startTimeout: PATIENCE_MS };
  return await checked('skein run', () => {
    if (remote) return WorkerPool.connect(given({ ...found, host, port }));
    if (which !== undefined) return WorkerPool.open({ ...found, discovery: () => which });
    // On standard output there is nothing but what the routine gives.
    return WorkerPool[openWith]({ ...options, size: 1 }, { output: 'stderr' });
  });
}

async function findRoutine(
  module: string,
  routine: string,
): Promise<{ found: Found; isGenerator: boolean }> {
  const name = await load(module);
  const entry = lookup(name, routine);
  const found = findNamed({ kind: 'routine', module: name, name: routine });
  if (entry !== undefined && found !== undefined && !entry.method) {
    return { found: found as unknown as Found, isGenerator: entry.generator };
  }
  const names = namesIn(name).filter((one) =>
    findNamed({ kind: 'routine', module: name, name: one }),
  );
  const known = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
  throw usage(`there is no routine '${routine}' in ${module}: ${known}`);
}

async function printAll(values: AsyncIterable<unknown>, json: boolean): Promise<void> {
  for await (const value of values) {
    await print(format(value, json));
    // The generator ends, since nobody wants more of it.
    if (isUnread()) return;
  }
}

async function printResult(value: unknown, json: boolean): Promise<void> {
  if (value !== undefined || json) await print(format(value, json));
}

/** One line, where it is not for people. */
function format(value: unknown, json: boolean): string {
  if (json) return toJson(value);
  if (typeof value === 'string') return value;
  return inspect(value, {
    depth: null,
    maxArrayLength: null,
    maxStringLength: null,
    colors: isColoured(process.stdout),
    breakLength: process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY,
    compact: process.stdout.isTTY ? 3 : true,
  });
}

function toJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'null';
  } catch (error) {
    throw new Failure(`what it gave can't be JSON: ${(error as Error).message}`);
  }
}
