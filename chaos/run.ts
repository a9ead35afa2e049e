/** One run: a real pool, calls, harm, and the judgement. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openWith, WorkerPool } from '../src/pool/pool.ts';
import { Random } from '../src/testing/random.ts';
import { Calls } from './calls.ts';
import type { Execution, Fault, History } from './history.ts';
import { Monkey } from './monkey.ts';
import { judge, type Violation } from './oracle.ts';
import { openSite, type Site, type TransportName } from './site.ts';

export interface ChaosOptions {
  /** How long harm is done. */
  readonly seconds: number;
  readonly seed: number;
  /** Workers. */
  readonly size: number;
  /** Calls in flight. */
  readonly concurrency: number;
  /** How the workers are reached. Default: `tcp`. */
  readonly transport?: TransportName;
  /** Ends the run early when it aborts: calls that are in flight then fail. */
  readonly signal?: AbortSignal;
  /** Is told from time to time how it goes. */
  readonly progress?: (progress: Progress) => void;
}

export interface Progress {
  readonly ms: number;
  readonly calls: number;
  readonly faults: readonly Fault[];
}

export interface ChaosResult {
  readonly options: ChaosOptions;
  readonly history: History;
  readonly violations: readonly Violation[];
  /** Milliseconds from the first call to the end of the last one. */
  readonly elapsedMs: number;
  /** Milliseconds that the last call took to end after the last fault was taken back. */
  readonly settleMs: number;
  /** Workers that the pool started. */
  readonly workers: number;
  /** The folder with the trace file and the history; only where something was violated. */
  readonly kept: string | undefined;
}

/** So long after the faults are over every call must have ended. */
const SETTLE_MS = 30_000;
/** So long after the pool was closed nothing of it may be left. */
const TIDY_MS = 10_000;
const PROGRESS_MS = 50;

/**
 * When the process exits before this resolves, the workers are killed, also those that are stopped, and
 * the trace is removed.
 *
 * @throws WorkerStartError when the pool can't be opened; Error when what the transport needs is not there
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const folder = mkdtempSync(join(tmpdir(), 'skein-chaos-'));
  const discard = () => rmSync(folder, { recursive: true });
  process.once('exit', discard);
  try {
    const run = await play(options, join(folder, 'trace'));
    const { history } = run;
    const violations = judge(history);
    const guilty = violations.length > 0;
    if (guilty) writeFileSync(join(folder, 'history.json'), JSON.stringify(history, undefined, 1));
    else discard();
    return { options, ...run, violations, kept: guilty ? folder : undefined };
  } catch (error) {
    discard();
    throw error;
  } finally {
    process.off('exit', discard);
  }
}

async function play(
  options: ChaosOptions,
  file: string,
): Promise<Omit<ChaosResult, 'options' | 'violations' | 'kept'>> {
  const { seconds, seed, size, concurrency, signal = new AbortController().signal } = options;
  const random = new Random(seed);
  writeFileSync(file, '');
  const site = await openSite(options.transport ?? 'tcp', size);
  const pool = await WorkerPool[openWith](
    {
      size,
      ...site.pool,
      // Fewer places than calls, so that workers refuse and calls wait.
      concurrency: Math.max(1, Math.ceil((0.75 * concurrency) / size)),
      lostAfter: site.lostAfterMs,
      restarts: { limit: Number.POSITIVE_INFINITY },
    },
    site.reach ? { reach: site.reach } : {},
  );
  const kill = () => killAll(pool);
  process.once('exit', kill);
  const start = performance.now();
  const now = () => performance.now() - start;
  const calls = new Calls(file, now);
  const monkey = new Monkey(pool, site, random.fork(), now);
  const seen = new Map<string, number | undefined>();
  const look = () => {
    for (const { uid, pid } of pool.workers) seen.set(uid, pid);
  };
  look();
  const watch = setInterval(() => {
    look();
    options.progress?.({ ms: now(), calls: calls.records.length, faults: monkey.faults });
  }, PROGRESS_MS);

  const over = () => signal.aborted || now() >= seconds * 1000;
  const lanes = pool.run(() =>
    Promise.all(Array.from({ length: concurrency }, () => calls.lane(random.fork(), over))),
  );
  const stop = new AbortController();
  const raging = monkey.rage(stop.signal);
  let interruptedAt: number | undefined;
  const interrupt = () => {
    interruptedAt = now();
    stop.abort();
    // Not before those that are stopped go on: they could not end.
    void raging.then(() => pool.close({ grace: 0 }));
  };
  if (signal.aborted) interrupt();
  signal.addEventListener('abort', interrupt);
  await sleep(seconds * 1000, undefined, { signal }).catch(() => {});
  stop.abort();
  await raging;
  const healedAt = now();
  await Promise.race([lanes, sleep(SETTLE_MS, undefined, { ref: false })]);
  const endedAt = now();
  // Those that ended last are still being replaced, on a busy machine for seconds.
  const gap = () => pool.workers.length < size && !signal.aborted;
  while (gap() && now() < healedAt + SETTLE_MS) await sleep(20);
  clearInterval(watch);
  look();

  // Calls that hang are reported one by one.
  const leftovers = calls.inFlight > 0 ? [] : inHand(pool);
  if (gap()) leftovers.push(`a gap: ${pool.workers.length} of ${size} workers`);
  signal.removeEventListener('abort', interrupt);
  await pool.close({ grace: 0 });
  leftovers.push(...(await untidy(site, [...seen.values()])));
  await site.close();
  process.off('exit', kill);
  return {
    history: {
      calls: calls.records,
      executions: read(file),
      faults: monkey.faults,
      leftovers,
      ...(interruptedAt !== undefined && { interruptedAt }),
    },
    elapsedMs: endedAt,
    settleMs: Math.max(0, endedAt - healedAt),
    workers: seen.size,
  };
}

/** Also those that are stopped: they do not notice that their pool is gone. */
function killAll(pool: WorkerPool): void {
  for (const { pid } of pool.workers) {
    try {
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  }
}

function read(file: string): Execution[] {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => {
    const [id = '', worker = '', attempt] = line.split(' ');
    return { id, worker, attempt: Number(attempt) };
  });
}

/** What a pool has in hand though all calls have ended. */
function inHand({ stats }: WorkerPool): string[] {
  const { calls, waiting, deadlines } = stats;
  return Object.entries({ calls, waiting, deadlines })
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${count} ${what} of the pool`);
}

/** What is left of a pool that was closed, after some time. */
async function untidy(site: Site, pids: readonly (number | undefined)[]): Promise<string[]> {
  const due = performance.now() + TIDY_MS;
  let left: string[];
  do {
    left = pids.filter((pid) => pid !== undefined && isAlive(pid)).map((pid) => `process ${pid}`);
    left.push(...site.sockets);
    if (left.length === 0) break;
    await sleep(20);
  } while (performance.now() < due);
  return left;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
