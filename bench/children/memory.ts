/** A caller of skein that weighs itself and its worker. */
import { WorkerPool } from 'skein';
import { serve } from '../ipc.ts';
import { heldBytes } from '../memory.ts';
import { add, memory, park, parked, release } from '../routines.ts';

/** Bytes held by both ends. */
export interface Weight {
  readonly caller: number;
  readonly worker: number;
}

export interface Parking {
  readonly before: Weight;
  readonly during: Weight;
  readonly after: Weight;
}

export type Memory = {
  /** Weighs before, while and after `calls` calls are in flight, each of them running on the worker. */
  park(calls: number): Promise<Parking>;
  /** Makes that many calls that end at once, and weighs. */
  weighAfter(calls: number): Promise<Weight>;
};

async function weigh(): Promise<Weight> {
  const worker = await memory();
  return { caller: await heldBytes(), worker };
}

async function callMany(calls: number): Promise<void> {
  let left = calls;
  const lane = async (): Promise<void> => {
    while (left-- > 0) await add(1, 2);
  };
  await Promise.all(Array.from({ length: 512 }, lane));
}

async function parkMany(calls: number): Promise<Parking> {
  const results = new Array<Promise<void>>(calls);
  const before = await weigh();
  for (let i = 0; i < calls; i++) results[i] = park();
  while ((await parked()) < calls) await new Promise((resolve) => setImmediate(resolve));
  const during = await weigh();
  await release();
  await Promise.all(results);
  results.length = 0;
  return { before, during, after: await weigh() };
}

serve(async (): Promise<Memory> => {
  await WorkerPool.open({ size: 1 });
  return {
    park: parkMany,
    weighAfter: async (calls) => {
      await callMany(calls);
      return weigh();
    },
  };
});
