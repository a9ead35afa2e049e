/** Routines that do what a plan says, and callers that call them so. */
import { WorkerLost } from '../errors.ts';
import type { CallOptions } from '../routine/gate.ts';
import { routine } from '../routine/routine.ts';
import { currentTask } from '../routine/task.ts';
import { sleep } from './process.ts';
import type { CallPlan, TaskPlan } from './scenario.ts';

/** What a planned task throws. */
export class PlannedError extends Error {
  override name = 'PlannedError';
}

/** What a caller's cancel reason is. */
export class PlannedCancel extends Error {
  override name = 'PlannedCancel';
}

async function work({ workMs, deaf }: TaskPlan): Promise<void> {
  const signal = deaf ? undefined : currentTask()?.signal;
  await sleep(workMs, signal ? { signal } : {});
}

async function finish({ nested, outcome, bytes }: TaskPlan) {
  for (const call of nested) await perform(call);
  const id = currentTask()?.id;
  if (outcome === 'throw') throw new PlannedError(`planned by ${id}`);
  return { id, data: new Uint8Array(bytes) };
}

async function runFunction(plan: TaskPlan, _data: Uint8Array) {
  await work(plan);
  return await finish(plan);
}

async function* runGenerator(plan: TaskPlan, _data: Uint8Array) {
  for (let i = 0; i < plan.yields; i += 1) {
    await work(plan);
    yield { id: currentTask()?.id, i, data: new Uint8Array(plan.bytes) };
  }
  return await finish(plan);
}

const task = routine(runFunction, { name: 'task' });
const stream = routine(runGenerator, { name: 'stream' });
const taskAgain = routine(runFunction, { name: 'taskAgain', idempotent: true });
const streamAgain = routine(runGenerator, { name: 'streamAgain', idempotent: true });

/** Makes one planned call, and tries again as often as the plan says. Never rejects. */
export async function perform(plan: CallPlan): Promise<void> {
  for (let retry = 0; retry <= plan.retries; retry += 1) {
    try {
      await call(plan);
      return;
    } catch (error) {
      if (!(error instanceof WorkerLost)) return;
    }
  }
}

async function call(plan: CallPlan): Promise<void> {
  const { timeoutMs, cancelMs } = plan;
  const controller = cancelMs === undefined ? undefined : new AbortController();
  if (controller) {
    void sleep(cancelMs ?? 0).then(() => controller.abort(new PlannedCancel('planned')));
  }
  const options: CallOptions = {
    ...(controller && { signal: controller.signal }),
    ...(timeoutMs !== undefined && { timeout: timeoutMs }),
  };
  const data = new Uint8Array(plan.task.bytes);
  if (plan.task.kind === 'function') {
    const run = plan.idempotent ? taskAgain : task;
    await run.with(options)(plan.task, data);
  } else {
    const run = plan.idempotent ? streamAgain : stream;
    await consume(run.with(options)(plan.task, data), plan);
  }
}

async function consume(values: AsyncIterable<unknown>, { take, pauseMs }: CallPlan): Promise<void> {
  let taken = 0;
  for await (const _value of values) {
    taken += 1;
    if (taken === take) break;
    if (pauseMs > 0) await sleep(pauseMs);
  }
}

/** What a caller with this list does. Never rejects. */
export async function performAll(plans: readonly CallPlan[]): Promise<void> {
  const calls = plans.map(async (plan) => {
    await sleep(plan.at);
    await perform(plan);
  });
  await Promise.all(calls);
}
