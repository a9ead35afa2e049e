/** The entry of a worker process that a pool spawned. */
import { rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { inspectorOf } from '../actors/steps.ts';
import { processHome } from '../context/home.ts';
import { isStrict } from '../context/strictness.ts';
import { systemEnv } from '../env.ts';
import { MainModuleError } from '../errors.ts';
import { logLevel, RuntimeLog } from '../logger.ts';
import { setHomeDispatcher } from '../routine/gate.ts';
import type { HookName } from '../routine/hook.ts';
import { loadLocal } from '../routine/modules.ts';
import { decodeAuthkey } from '../security/authkey.ts';
import { CredentialSource } from '../security/source.ts';
import { beatTransport } from '../transport/beat.ts';
import { grpcTransport } from '../transport/grpc.ts';
import { defaultLimits } from '../transport/link.ts';
import { VERSION } from '../transport/version.ts';
import { type Authorize, type AuthorizeHook, Authorizer } from './authorize.ts';
import type { Backpressure } from './backpressure.ts';
import { startBeat } from './beat.ts';
import { guardAll, listenBeside, makeTransports } from './beside.ts';
import { WorkerCore } from './core.ts';
import { type FromWorker, markAsWorker, type ToWorker, type WorkerSetup } from './ipc.ts';
import { PackageNews } from './package-hints.ts';
import { resolveHook } from './resolve.ts';
import { poolFolder } from './sockets.ts';

markAsWorker();

/** Milliseconds in which tasks that were aborted may come to an end of their own. */
const ABORT_MS = 1_000;

/** Where the pool's workers have their sockets. An argument, so that it is known at once. */
const folder = poolFolder(process.argv.splice(2)[0]);

let worker: WorkerCore | undefined;
let packages: PackageNews | undefined;
let credentials: CredentialSource | undefined;
let stopping = false;
let alone = false;

function send(message: FromWorker, sent = () => {}): void {
  // The parent may be gone by now; 'disconnect' tells.
  process.send?.(message, undefined, undefined, sent);
}

async function start(setup: WorkerSetup): Promise<void> {
  try {
    // Its steps are lines of this process's output, which the pool forwards.
    const log = new RuntimeLog(undefined, logLevel(process.env.SKEIN_LOG));
    const inspect = inspectorOf(log);
    const warn = (message: string) => log.warn(message, 'SkeinSecurityWarning');
    credentials = setup.material && CredentialSource.pushed(setup.material);
    const secure = credentials !== undefined && setup.address !== undefined;
    packages = new PackageNews(setup, send);
    for (const module of setup.modules) await loadLocal(module, packages.policy);
    const backpressure =
      setup.backpressure && (await resolveHook<Backpressure>(setup.backpressure));
    const authorize = setup.authorize && (await authorizeFor(setup.authorize));
    // Those that the pool has found know nothing of its secret.
    const given = await makeTransports(setup.transports);
    const keyed = (key: string | undefined) => {
      const authkey = key === undefined ? undefined : decodeAuthkey(key);
      const grpc = grpcTransport({ authkey, credentials, warn, limits: setup.limits });
      return { grpc, others: guardAll(given, authkey) };
    };
    const { authkey, secret = authkey } = setup;
    const { grpc, others } = keyed(secret);
    const found = secret === authkey ? undefined : keyed(authkey);
    worker = new WorkerCore({
      env: systemEnv,
      limits: { ...defaultLimits, ...setup.limits },
      transports: [grpc, ...others],
      foundTransports: found && [found.grpc, ...found.others],
      beats: [beatTransport({ credentials })],
      lostAfterMs: setup.lostAfterMs,
      callerLostAfterMs: setup.callerLostAfterMs,
      tags: setup.tags,
      about: { host: hostname(), pid: process.pid, version: VERSION, extra: setup.extra, secure },
      concurrency: setup.concurrency,
      exposeStacks: setup.exposeStacks,
      allowInline: setup.allowInline,
      modules: packages.policy,
      lazy: setup.lazy,
      proxyTtlMs: setup.proxyTtlMs ?? Number.POSITIVE_INFINITY,
      home: processHome,
      strictContext: isStrict(process.env.SKEIN_CONTEXT) || setup.strict,
      backpressure,
      authorizer: authorize && new Authorizer(authorize, { env: systemEnv, warn }),
      warn: (message) => log.warn(message),
      ...(inspect && { inspect }),
      stop: leave,
    });
    const { uid } = worker;
    const beside = await listenBeside(worker, others);
    const own = setup.address === undefined ? undefined : await worker.listen(setup.address);
    setHomeDispatcher(worker.dispatcher);
    const [first, ...more] = own ? [own, ...beside.places] : beside.places;
    if (first === undefined) throw new TypeError('no address to listen on');
    const alternatives = more.map(({ address }) => address);
    const tell = () => {
      const { address, beat } = first;
      send({ skein: 'started', uid, address, alternatives, beat });
    };
    // The thread takes its time to start. Where its address is known before, nobody waits for it.
    const known = !setup.beat?.startsWith('beat+tcp:');
    if (known && own) own.beat = setup.beat;
    if (known) tell();
    const orphan = { parent: process.ppid, folder };
    const beat = await startBeat(setup.beat, {
      mayKill: true,
      orphan,
      also: beside.also,
      credentials,
    });
    if (own) own.beat = beat.address;
    if (!known) tell();
  } catch (error) {
    send({ skein: 'failed', message: String(error) }, () => process.exit(1));
  }
}

async function authorizeFor(given: readonly string[] | HookName): Promise<Authorize> {
  return 'module' in given ? await resolveHook<AuthorizeHook>(given) : given;
}

/** Ends as a signal asks. Calls that come from now on find another worker. */
async function leave(graceMs: number | undefined): Promise<void> {
  if (stopping) return void stop(graceMs);
  stopping = true;
  send({ skein: 'leaving' });
  if (graceMs !== undefined) setTimeout(() => process.exit(), graceMs + ABORT_MS);
  await worker?.stop(graceMs);
  // A signal to a whole group of processes ends the parent too. Its answer tells whether it lives; if
  // not, there is more to tidy up.
  send({ skein: 'left' });
}

async function stop(graceMs: number | undefined): Promise<void> {
  stopping = true;
  if (graceMs !== undefined) setTimeout(() => process.exit(), graceMs + ABORT_MS);
  await worker?.stop(graceMs);
  process.exit();
}

/** The parent is gone, and with it everyone who could want a result, and who would tidy up. */
function orphaned(): void {
  if (alone) return;
  alone = true;
  void stop(0);
}

process.on('exit', () => {
  // The other workers are alone, too: no link needs its socket's file any more.
  const orphan = alone || !process.connected;
  if (orphan && folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

process.on('message', (message: ToWorker) => {
  if (message.skein === 'start') {
    if (message.sourceMaps) process.setSourceMapsEnabled(true);
    void start(message.setup);
  } else if (message.skein === 'roster') worker?.roster(message.workers, message.found);
  else if (message.skein === 'renew') credentials?.push(message.material);
  else if (message.skein === 'ping') send({ skein: 'pong' });
  else if (message.skein === 'stop') void stop(message.graceMs);
  else packages?.receive(message);
});
process.on('disconnect', orphaned);
process.on('SIGTERM', () => void leave(0));
// Ctrl-C on a terminal goes to the parent too. It may live on, and says how long tasks may take.
process.on('SIGINT', () => {
  if (!stopping) void leave(undefined);
});
// A task's code must not end the worker for the other tasks.
process.on('unhandledRejection', (reason) => {
  // Thrown into a main program that nothing waits for, as in CommonJS. It says itself what to do.
  if (reason instanceof MainModuleError) console.error(String(reason));
  else console.error('A task, or a module that it needs, left a rejected promise behind:', reason);
});
for (const stream of [process.stdout, process.stderr]) {
  // Its reader is gone: the parent's end is noticed above.
  stream.on('error', () => {});
  // Otherwise what the pipe has no room for waits in memory, and is lost when a task exits or is killed.
  (stream as unknown as { _handle?: { setBlocking?(on: boolean): void } })._handle?.setBlocking?.(
    true,
  );
}
// It went while this file was loaded.
if (!process.connected) orphaned();
