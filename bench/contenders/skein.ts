/** This runtime, as a user has it. */
import { WorkerPool } from 'skein';
import { add } from '../routines.ts';
import type { Contender, Socket } from './contender.ts';

export async function openSkein(transport: Socket): Promise<Contender> {
  await WorkerPool.open({ size: 1, transport });
  return { call: () => add(1, 2) };
}
