/** Starts the thread that answers for this process while its event loop is blocked. */
import { randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { ListenError } from '../errors.ts';
import type { CredentialSource } from '../security/source.ts';
import { type Address, formatAddress, parseAddress } from '../transport/address.ts';
import { beatTarget, toBeatAddress } from '../transport/beat.ts';
import { listenProblem } from '../transport/listen-problem.ts';
import { TOKEN_BYTES } from '../wire/beat.js';
import type { AlsoBeat, BeatSetup } from './beat-thread.js';

/** How often the loop notes that it turns. */
const TURN_MS = 100;

export interface BeatOptions {
  /** Whether the process is there for the worker alone, so that Stop may end it where the worker can't. */
  readonly mayKill: boolean;
  /**
   * The process ends with its parent, also while the loop is blocked, and the folder is removed then.
   * Default: it outlives its parent.
   */
  readonly orphan?: { readonly parent: number; readonly folder: string | undefined } | undefined;
  /**
   * Where else it answers: `serveBeat` of these modules (see `BeatRecipe`). Nobody waits for them; one that
   * fails is a process warning. Default: nowhere.
   */
  readonly also?: readonly AlsoBeat[];
  /** It is asked by TLS only, with connections made with these; they must be `ready`. Default: in plain text. */
  readonly credentials?: CredentialSource | undefined;
}

export interface Beat {
  /** Where it listens on this machine; over TCP with the token that it asks for. Undefined: nowhere. */
  readonly address: string | undefined;
  /** Answers nobody any more, and frees the address. */
  close(): Promise<void>;
}

/** Why it does not listen. */
interface BeatError {
  readonly code?: string;
  readonly message: string;
}

interface FromThread {
  readonly port?: number;
  readonly error?: BeatError;
  readonly warning?: string;
}

/**
 * Listens on `address` (`beat+unix:///path`, `beat+tcp://host:port`; undefined: nowhere on this machine).
 * Neither the thread nor its timer keeps the process alive.
 *
 * @throws ListenError when the address can't be used
 * @throws CredentialsError when there are none yet
 */
export async function startBeat(
  address: string | undefined,
  { mayKill, orphan, also = [], credentials }: BeatOptions,
): Promise<Beat> {
  const target = address === undefined ? undefined : parseAddress(beatTarget(address));
  const material = credentials?.material;
  const turned = new BigInt64Array(new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT));
  const turn = () => {
    const now = process.hrtime.bigint();
    // By the second round of the loop what had come by then is read, and the answers are written: a task
    // that blocks the loop in between leaves callers unanswered, and must not look as if it had not.
    setImmediate(() => setImmediate(() => Atomics.store(turned, 0, now)).unref()).unref();
  };
  Atomics.store(turned, 0, process.hrtime.bigint());
  const turning = setInterval(turn, TURN_MS).unref();
  // Who may reach a file is a matter of its folder; a port is open to anyone.
  const token = target?.scheme === 'tcp' ? randomBytes(TOKEN_BYTES).toString('hex') : undefined;
  const workerData: BeatSetup = {
    listen: target && placeOf(target),
    also,
    token,
    material,
    turned,
    mayKill,
    parent: orphan?.parent,
    folder: orphan?.folder,
  };
  const thread = new Worker(new URL('./beat-thread.js', import.meta.url), {
    name: 'beat',
    workerData,
    // Neither loaders nor options of Node: each would take its time and memory.
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 },
  });
  thread.unref();
  const unwatch = credentials?.watch((material) => thread.postMessage(material));
  let closed = false;
  const close = async () => {
    closed = true;
    clearInterval(turning);
    unwatch?.();
    await thread.terminate();
  };
  let failed: (error: unknown) => void = () => {};
  const port = await new Promise<number | undefined>((resolve, reject) => {
    const fail = (error: BeatError) => {
      void close();
      const message = target ? listenProblem(target, error, 'the beat') : error.message;
      reject(new ListenError(message));
    };
    thread.on('message', ({ port, error, warning }: FromThread) => {
      if (warning !== undefined) process.emitWarning(warning, 'SkeinBeatWarning');
      else if (error === undefined) resolve(port);
      else fail(error);
    });
    failed = (error) => fail({ message: String(error) });
    thread.on('error', (error) => failed(error));
  });
  // Without it this worker is taken for gone when it is busy for long, and for nothing else.
  failed = (error) => {
    if (!closed)
      process.emitWarning(`the thread that says that this worker lives has ended: ${error}`);
  };
  if (target === undefined) return { address: undefined, close };
  const real = target.scheme === 'unix' ? target : { ...target, port: port ?? target.port };
  return { address: toBeatAddress(formatAddress(real), token), close };
}

function placeOf(target: Address): { path: string } | { host: string; port: number } {
  return target.scheme === 'unix'
    ? { path: target.path }
    : { host: target.host, port: target.port };
}
