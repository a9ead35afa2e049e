/** The entry of a worker process that a pool spawned. */
import { systemEnv } from '../env.ts';
import { grpcTransport } from '../transport/grpc.ts';
import { defaultLimits } from '../transport/link.ts';
import { type FromWorker, markAsWorker, type ToWorker, type WorkerSetup } from './ipc.ts';
import { Worker } from './worker.ts';

markAsWorker();

let worker: Worker | undefined;
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
    send({ skein: 'started', uid: worker.uid, address });
  } catch (error) {
    send({ skein: 'failed', message: String(error) });
    process.exitCode = 1;
    process.disconnect();
  }
}

async function stop(graceMs: number | undefined): Promise<void> {
  stopping = true;
  await worker?.stop(graceMs);
  process.exit();
}

process.on('message', (message: ToWorker) => {
  if (message.skein === 'start') void start(message.setup);
  else if (message.skein === 'roster') worker?.roster(message.workers);
  else if (message.skein === 'stop') void stop(message.graceMs);
});
// The parent is gone, and with it everyone who could want a result.
process.on('disconnect', () => process.exit());
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
