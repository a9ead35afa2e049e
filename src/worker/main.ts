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
  process.send?.(message);
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
process.on('SIGTERM', () => void stop(0));
process.on('SIGINT', () => {
  // A second Ctrl-C is impatient.
  void stop(stopping ? 0 : undefined);
});
// A task's code must not end the worker for the other tasks.
process.on('unhandledRejection', (reason) => {
  console.error('A task left a rejected promise behind:', reason);
});
// Output to a pipe whose reader is gone: the parent's end is noticed above.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
