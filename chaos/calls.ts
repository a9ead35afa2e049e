/** Makes the calls, and records how each ends. */
import { WorkerLost } from '../src/index.ts';
import type { Random } from '../src/testing/random.ts';
import type { CallRecord, Failure } from './history.ts';
import { drawCall } from './workload.ts';

export class Calls {
  readonly records: CallRecord[] = [];
  readonly #file: string;
  readonly #now: () => number;
  #open = 0;

  /**
   * @param file the trace file
   * @param now milliseconds since the start of the run
   */
  constructor(file: string, now: () => number) {
    this.#file = file;
    this.#now = now;
  }

  /** Calls that have not ended. */
  get inFlight(): number {
    return this.#open;
  }

  /** Makes one call after the other until `over` says so. */
  async lane(random: Random, over: () => boolean): Promise<void> {
    while (!over()) await this.#one(random);
  }

  async #one(random: Random): Promise<void> {
    const id = `t${this.records.length + 1}`;
    const { abortMs, run, ...plan } = drawCall(random, { file: this.#file, id });
    const record: CallRecord = {
      id,
      ...plan,
      aborts: abortMs !== undefined,
      startedAt: this.#now(),
      received: [],
    };
    this.records.push(record);
    const reason = new Error(`${id} is not wanted any more`);
    const controller = new AbortController();
    const abort = () => controller.abort(reason);
    if (abortMs === 0) abort();
    const timer = abortMs ? setTimeout(abort, abortMs) : undefined;
    this.#open += 1;
    try {
      const { signal } = controller;
      const { timeoutMs: timeout } = plan;
      const options = { ...(abortMs !== undefined && { signal }), ...(timeout && { timeout }) };
      const value = await run(options, record.received);
      record.outcome = { type: 'result', value };
    } catch (error) {
      record.outcome = { type: 'error', error: failure(error, reason) };
    } finally {
      this.#open -= 1;
      record.endedAt = this.#now();
      clearTimeout(timer);
    }
  }
}

function failure(error: unknown, reason: Error): Failure {
  if (!(error instanceof Error)) return { name: typeof error, message: String(error) };
  const { name, message } = error;
  return {
    name,
    message,
    isReason: error === reason,
    ...(error instanceof WorkerLost && { phase: error.phase, worker: error.worker }),
  };
}
