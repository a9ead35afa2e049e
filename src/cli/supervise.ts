/** Keeps the workers of a durable pool running, and answers for them. */
import { availableParallelism } from 'node:os';
import { DEFAULT_POOL_HOST } from '../control/place.ts';
import { type ControlServer, serveControl } from '../control/server.ts';
import { openWith, WorkerPool } from '../pool/pool.ts';
import type { CredentialsProvider } from '../security/credentials.ts';
import { formatAddress } from '../transport/address.ts';
import { authorizedOf, credentialsOf } from './credentials.ts';
import { checked } from './failure.ts';
import { given } from './given.ts';
import { type Nats, natsOf } from './nats.ts';
import { discoveryOf } from './options.ts';
import { say, warn } from './output.ts';
import { Signals } from './signals.ts';
import { Supervisor } from './supervisor.ts';
import { prepareTypeScript } from './typescript.ts';
import {
  exposesStacks,
  folderOf,
  isFoundOnTcp,
  isMutual,
  type WorkerFlags,
  warnIfOpen,
} from './worker.ts';

export interface UpFlags extends WorkerFlags {
  readonly breadth?: number;
  readonly detach?: boolean;
  /** What the environment said of NATS. */
  readonly natsServers?: string | undefined;
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
  const nats = await natsOf(flags, flags.natsServers);
  const transport = nats?.transport;
  const credentials = credentialsOf(flags);
  const authorize = authorizedOf(flags, credentials, nats !== undefined);
  const trust = { authkey, credentials, authorize };
  const supervisor = new Supervisor({ host, concurrency, authkey, credentials, transport, say });
  const control = await checked('--host, --port', () =>
    serveControl({ ...given({ host, port, ...trust, transport }), warn, source: supervisor }),
  );
  const signals = new Signals('the pool waits for tasks that run', () => {
    void supervisor.end(grace);
  });
  try {
    const pool = await openPool(flags, trust, nats, supervisor);
    if (supervisor.isEnding) await pool.close({ grace: 0 });
    else {
      supervisor.pool = pool;
      nats?.warnIfOpen(authkey !== undefined);
      const isGuarded = authkey !== undefined || isMutual(flags, credentials);
      await up(reportOf(control, pool, isGuarded));
      await supervisor.over;
    }
  } finally {
    await control.close();
  }
  return signals.exitCode ?? 0;
}

/** How callers and workers know each other. */
interface Trust {
  readonly authkey: Uint8Array | undefined;
  readonly credentials: CredentialsProvider | undefined;
  readonly authorize: readonly string[] | undefined;
}

async function openPool(
  flags: UpFlags,
  trust: Trust,
  nats: Nats | undefined,
  supervisor: Supervisor,
): Promise<WorkerPool> {
  const { breadth = availableParallelism(), concurrency } = flags;
  const { tag: tags, module: modules, allowInline, discovery: which } = flags;
  // Where NATS carries all, no port of a worker's is open.
  const isOverNats = nats !== undefined && flags.host === undefined && !isFoundOnTcp(which);
  const host = isOverNats ? undefined : (flags.host ?? DEFAULT_POOL_HOST);
  const discovery = which === undefined ? undefined : discoveryOf(which, nats);
  const root = folderOf(flags.root);
  await prepareTypeScript(root);
  const options = given({
    size: breadth,
    transport: poolTransport(nats, host),
    host,
    tags,
    modules,
    root,
    concurrency,
    allowInline,
    exposeStacks: exposesStacks(flags),
    ...trust,
    discovery: discovery && (() => discovery),
    restarts: { limit: Number.POSITIVE_INFINITY },
    inspect: supervisor.inspect,
  });
  return await checked('skein pool up', () =>
    WorkerPool[openWith](options, {
      isForOthers: true,
      steadyAfterMs: STEADY_MS,
      replacing: supervisor.replacing,
    }),
  );
}

function poolTransport(nats: Nats | undefined, host: string | undefined) {
  if (nats === undefined) return 'tcp' as const;
  return host === undefined ? nats.transport : (['tcp', nats.transport] as const);
}

function reportOf({ host, port }: ControlServer, pool: WorkerPool, isGuarded: boolean): UpReport {
  const address = formatAddress({ scheme: 'tcp', host, port });
  warnIfOpen(address, isGuarded);
  const workers = pool.workers.filter(({ spawned }) => spawned).length;
  return { address, workers, pid: process.pid };
}
