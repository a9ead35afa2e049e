/** The entry of a worker process that a pool spawned. */
import { rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemEnv } from '../env.ts';
import { grpcTransport } from '../transport/grpc.ts';
import { defaultLimits } from '../transport/link.ts';
import { type FromWorker, markAsWorker, type ToWorker, type WorkerSetup } from './ipc.ts';
import { Worker } from './worker.ts';

markAsWorker();

/** Milliseconds in which tasks that were aborted may come to an end of their own. */
const ABORT_MS = 1_000;

let worker: Worker | undefined;
let folder: string | undefined;
let stopping = false;

function send(message: FromWorker): void {
  // The parent may be gone by now; 'disconnect' tells.
  process.send?.(message, undefined, undefined, () => {});
}

async function start(setup: WorkerSetup): Promise<void> {
  try {
    worker = new Worker({
      env: systemEnv,
      limits: { ...defaultLimits, maxValueBytes: setup.maxValueBytes },
      transports: [grpcTransport()],
      address: setup.address,
      tags: setup.tags,
      concurrency: setup.concurrency,
    });
    const address = await worker.start();
    if (address.startsWith('unix://')) folder = dirname(address.slice('unix://'.length));
    send({ skein: 'started', uid: worker.uid, address });
  } catch (error) {
    send({ skein: 'failed', message: String(error) });
    process.exitCode = 1;
    process.disconnect();
  }
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
  process.on('exit', () => {
    try {
      // The last worker of the pool finds it empty.
      if (folder !== undefined) rmdirSync(folder);
    } catch {
      // Another worker still has its socket in it.
    }
  });
  void stop(0);
}

process.on('message', (message: ToWorker) => {
  if (message.skein === 'start') void start(message.setup);
  else if (message.skein === 'roster') worker?.roster(message.workers);
  else if (message.skein === 'stop') void stop(message.graceMs);
});
process.on('disconnect', orphaned);
process.on('SIGTERM', () => void leave(0));
// Ctrl-C on a terminal goes to the parent too. It may live on, and says how long tasks may take.
process.on('SIGINT', () => {
  if (!stopping) void leave(undefined);
});
// A task's code must not end the worker for the other tasks.
process.on('unhandledRejection', (reason) => {
  console.error('A task left a rejected promise behind:', reason);
});
// Output to a pipe whose reader is gone: the parent's end is noticed above.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
