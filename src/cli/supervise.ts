/** Keeps the workers of a durable pool running, and answers for them. */
import { availableParallelism } from 'node:os';
import { DEFAULT_POOL_HOST } from '../control/place.ts';
import { type ControlServer, serveControl } from '../control/server.ts';
import { openWith, WorkerPool } from '../pool/pool.ts';
import { formatAddress } from '../transport/address.ts';
import { checked } from './failure.ts';
import { discoveryOf } from './options.ts';
import { say } from './output.ts';
import { Signals } from './signals.ts';
import { Supervisor } from './supervisor.ts';
import { prepareTypeScript } from './typescript.ts';
import { folderOf, given, type WorkerFlags, warnIfOpen } from './worker.ts';

export interface UpFlags extends WorkerFlags {
  readonly breadth?: number;
  readonly detach?: boolean;
}

/** What is said when the pool is up. */
export interface UpReport {
  readonly address: string;
  readonly workers: number;
  readonly pid: number;
}

/** A worker that ends sooner is taken for one that can't live. */
const STEADY_MS = 10_000;

/** Keeps the pool until it was asked to end. Resolves to the exit code. */
export async function supervise(
  flags: UpFlags,
  authkey: Uint8Array | undefined,
  up: (report: UpReport) => Promise<void>,
): Promise<number> {
  const { host = DEFAULT_POOL_HOST, port, concurrency, grace } = flags;
  const supervisor = new Supervisor({ host, concurrency, authkey, say });
  const control = await checked('--host, --port', () =>
    serveControl(given({ host, port, authkey, source: supervisor }) as never),
  );
  const signals = new Signals('the pool waits for tasks that run', () => {
    void supervisor.end(grace);
  });
  try {
    const pool = await openPool(flags, authkey, supervisor);
    if (supervisor.isEnding) await pool.close({ grace: 0 });
    else {
      supervisor.pool = pool;
      await up(reportOf(control, pool, authkey !== undefined));
      await supervisor.over;
    }
  } finally {
    await control.close();
  }
  return signals.exitCode ?? 0;
}

async function openPool(
  flags: UpFlags,
  authkey: Uint8Array | undefined,
  supervisor: Supervisor,
): Promise<WorkerPool> {
  const { host = DEFAULT_POOL_HOST, breadth = availableParallelism(), concurrency } = flags;
  const { tag: tags, module: modules, allowInline, discovery: which } = flags;
  const discovery = which === undefined ? undefined : discoveryOf(which);
  const root = folderOf(flags.root);
  await prepareTypeScript(root);
  const options = given({
    size: breadth,
    transport: 'tcp' as const,
    host,
    tags,
    modules,
    root,
    concurrency,
    allowInline,
    authkey,
    discovery: discovery && (() => discovery),
    restarts: { limit: Number.POSITIVE_INFINITY },
    inspect: supervisor.inspect,
  });
  return await checked('skein pool up', () =>
    WorkerPool[openWith](options, {
      waitsForOthers: true,
      steadyAfterMs: STEADY_MS,
      replacing: supervisor.replacing,
    }),
  );
}

function reportOf({ host, port }: ControlServer, pool: WorkerPool, hasKey: boolean): UpReport {
  const address = formatAddress({ scheme: 'tcp', host, port });
  warnIfOpen(address, hasKey);
  const workers = pool.workers.filter(({ spawned }) => spawned).length;
  return { address, workers, pid: process.pid };
}
