/** A caller of skein that counts the processor's time. Argument: what its calls have of context variables. */
import { WorkerPool } from 'skein';
import { serve } from '../ipc.ts';
import { drive } from '../measure.ts';
import { add, count, cpu } from '../routines.ts';
import type { Setting } from '../suites/context/settings.ts';

export interface Times {
  /** Microseconds of the processor for each call. */
  readonly caller: number;
  readonly worker: number;
  readonly callsPerSecond: number;
}

export type Context = { drive(inFlight: number, ms: number): Promise<Times> };

type Call = () => Promise<unknown>;

/** 100 bytes of CBOR: two tell what it is. */
const text = (i: number): string => `${i}`.padEnd(98, 'x');

/** Steps of as many generators as calls are in flight. */
function stepping(): Call {
  const free: ReturnType<typeof count>[] = [];
  return async () => {
    const steps = free.pop() ?? count();
    await steps.next();
    free.push(steps);
  };
}

/** Only where variables are measured are there any: to have declared one is a state of the process. */
async function callWith(setting: Exclude<Setting, 'no variables' | 'steps, no variables'>) {
  const { variables, addReadingAll, addReadingOne, take } = await import('../variables.ts');
  const [first] = variables as [(typeof variables)[number]];
  const set = (many: number): void => {
    for (const [i, variable] of variables.slice(0, many).entries()) variable.set(text(i));
  };
  const plain: Call = () => add(1, 2);
  let calls = 0;
  switch (setting) {
    case 'declared, none set':
    case 'none set, in pool.run':
      return { prepare: () => {}, call: plain };
    case '1 variable':
      return { prepare: () => set(1), call: plain };
    case '10 variables':
      return { prepare: () => set(10), call: plain };
    case '10, one read there':
      return { prepare: () => set(10), call: () => addReadingOne(1, 2) };
    case '10, all read there':
      return { prepare: () => set(10), call: () => addReadingAll(1, 2) };
    case '10, one set before each call':
      return {
        prepare: () => set(10),
        call: () => {
          first.set(text(calls++));
          return add(1, 2);
        },
      };
    case 'set, a token passed, reset':
      return {
        prepare: () => {},
        call: async () => {
          const token = first.set(text(0));
          await take(token);
          first.reset(token);
        },
      };
    case 'steps, 10 variables':
      return { prepare: () => set(10), call: stepping() };
  }
}

async function prepared(setting: Setting): Promise<{ prepare(): void; call: Call }> {
  if (setting === 'no variables') return { prepare: () => {}, call: () => add(1, 2) };
  if (setting === 'steps, no variables') return { prepare: () => {}, call: stepping() };
  return callWith(setting);
}

const total = ({ user, system }: NodeJS.CpuUsage): number => user + system;

serve(async ([name]): Promise<Context> => {
  const setting = name as Setting;
  const { prepare, call } = await prepared(setting);
  const pool = await WorkerPool.open({ size: 1 });
  const measure = async (inFlight: number, ms: number): Promise<Times> => {
    let calls = 0;
    const counted: Call = () => {
      calls++;
      return call();
    };
    prepare();
    const there = await cpu();
    const here = process.cpuUsage();
    const { callsPerSecond } = await drive(counted, inFlight, ms);
    const caller = total(process.cpuUsage(here)) / calls;
    return { caller, worker: (total(await cpu()) - total(there)) / calls, callsPerSecond };
  };
  const inRun = setting === 'none set, in pool.run';
  return {
    drive: (inFlight, ms) =>
      inRun ? pool.run(() => measure(inFlight, ms)) : measure(inFlight, ms),
  };
});
