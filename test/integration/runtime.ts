/**
 * Pools, workers and calls to workers for the tests of the runtime, whose files run once for each transport:
 * the same as those of `skein`, over the transport of this run. What a test says itself of the transport, holds.
 */
import { inject } from 'vitest';
import * as skein from '../../src/index.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The server of NATS, in the run of the files over NATS. */
    natsUrl?: string;
  }
}

const natsUrl = inject('natsUrl');

/** Whether this run is over NATS, and not over gRPC. */
export const isNats = natsUrl !== undefined;

// Programs that the tests start are told by it.
if (natsUrl !== undefined) process.env.SKEIN_TEST_NATS = natsUrl;
const { over }: { over: object } = await import('../fixtures/over.ts');

/** What the workers of a pool may listen on, by name; over NATS there is one. */
export const transports: readonly (readonly [string, Pick<skein.PoolOptions, 'transport'>])[] =
  isNats
    ? [['nats', over]]
    : [
        ['unix', { transport: 'unix' }],
        ['tcp', { transport: 'tcp' }],
      ];

/** For workers that others reach who are not their pool. */
export const onNetwork: Pick<skein.PoolOptions, 'transport'> = isNats ? over : { transport: 'tcp' };

/** What is no set of options, stays as it is. */
function added<T extends object | undefined>(options: T): T {
  const isSet = options === undefined || (typeof options === 'object' && !Array.isArray(options));
  return isSet && options !== null ? { ...over, ...options } : options;
}

export const WorkerPool = {
  open: (options?: skein.PoolOptions) => skein.WorkerPool.open(added(options)),
  connect: (options: skein.ConnectOptions) => skein.WorkerPool.connect(added(options)),
};
export type WorkerPool = skein.WorkerPool;

export class Worker extends skein.Worker {
  constructor(options?: skein.WorkerOptions) {
    super(added(options));
  }
}

export const workerStatus: typeof skein.workerStatus = (address, options) =>
  skein.workerStatus(address, added(options));

export const stopWorker: typeof skein.stopWorker = (address, options) =>
  skein.stopWorker(address, added(options));
