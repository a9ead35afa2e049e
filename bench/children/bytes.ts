/** Sends and receives large typed arrays, and weighs both ends. */
import { WorkerPool } from 'skein';
import { MiB } from '../contenders/grpc-protocol.ts';
import { serve } from '../ipc.ts';
import { forgetPeak, peakBytes, residentBytes } from '../memory.ts';
import { give, keep, letGo, level, peak, size } from '../routines.ts';

export interface Passage {
  /** MiB/s. */
  readonly rate: number;
  /** The peak of resident memory above the level before, for each byte of the value. */
  readonly caller: number;
  readonly worker: number;
}

export type Bytes = {
  argument(mib: number): Promise<Passage>;
  result(mib: number): Promise<Passage>;
};

/** The sender has the value already when the level is taken. */
async function weigh(mib: number, call: () => Promise<unknown>): Promise<Passage> {
  const worker = await level();
  const caller = await residentBytes();
  forgetPeak();
  const started = performance.now();
  const kept = await call();
  const seconds = (performance.now() - started) / 1000;
  const callerPeak = peakBytes();
  const workerPeak = await peak();
  if (kept === undefined) throw new Error('nothing arrived');
  const above = (most: number, before: number) => (most - before) / (mib * MiB);
  return {
    rate: mib / seconds,
    caller: above(callerPeak, caller),
    worker: above(workerPeak, worker),
  };
}

async function argument(mib: number): Promise<Passage> {
  const value = new Float64Array((mib * MiB) / 8).fill(0.5);
  return weigh(mib, () => size(value));
}

async function result(mib: number): Promise<Passage> {
  await keep(mib * MiB);
  const passage = await weigh(mib, () => give());
  await letGo();
  return passage;
}

serve(async (): Promise<Bytes> => {
  await WorkerPool.open({ size: 1, limits: { maxValueBytes: 512 * MiB } });
  return { argument, result };
});
